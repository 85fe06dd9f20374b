"""`--size`, `--bits` and `--background` of predict and evaluate: effects and messages."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lstm2d.cli.options import colour
from lstm2d.errors import ConfigError
from lstm2d.predict import load
from tests.cli.conftest import Run


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Return a photograph of 960x720 pixels, 3 times as wide as the bundled models' training images."""
    rows, columns = np.indices((720, 960))
    image = np.stack([(rows + columns) % 256, rows * 255 // 719, columns * 255 // 959], axis=2)
    Image.fromarray(image.astype(np.uint8)).save(tmp_path / "large.png")
    return tmp_path / "large.png"


@pytest.mark.parametrize("size", ["auto", "native", "150"])
def test_predict(lstm2d: Run, large: Path, tmp_path: Path, size: str) -> None:
    ran = lstm2d("predict", "outdoor", large, "-o", tmp_path / "out", "--size", size, "--json")
    assert ran.code == 0
    labels = np.array(Image.open(tmp_path / "out" / "large.png"))
    asked = size if size in ("auto", "native") else float(size)
    np.testing.assert_array_equal(labels, load("outdoor").predict(large, size=asked))
    if size == "native":
        assert ran.json["size"]["resized"] == 0
    else:
        assert ran.json["size"]["resized"] == 1
        assert ran.json["size"]["model"] == pytest.approx(277.128, abs=1e-3)


def test_ordinary_photographs_are_not_mentioned(lstm2d: Run, photos: Path, tmp_path: Path) -> None:
    for path in photos.rglob("*.png"):
        Image.open(path).resize((320, 240)).save(path)
    ran = lstm2d("predict", "outdoor", photos, "-o", tmp_path / "out", "--json")
    assert ran.code == 0
    assert "size" not in ran.json


def test_an_unknown_size_is_reported_once(
    lstm2d: Run, photos: Path, tmp_path: Path, brightness_model: Path
) -> None:
    ran = lstm2d("predict", brightness_model, photos, "-o", tmp_path / "out")
    assert ran.err.count("does not say the size of its training images") == 1
    ran = lstm2d("predict", brightness_model, photos, "-o", tmp_path / "other", "--size", "native")
    assert "does not say" not in ran.err


def test_evaluate(lstm2d: Run, dataset: Path, brightness_model: Path) -> None:
    """At a size of 4 pixels of one row, images of 4x1 become 8x2 and labels come back to 4x1."""
    ran = lstm2d("evaluate", brightness_model, dataset, "--size", "4", "--json")
    assert ran.code == 0
    assert ran.json["size"] == {"asked": 4.0, "model": None, "resized": 2}
    assert ran.json["pixel_accuracy"] == pytest.approx(5 / 7)
    assert "resized" in ran.err


@pytest.mark.parametrize("command", ["predict", "evaluate"])
@pytest.mark.parametrize(
    ("options", "part"),
    [(("--size", "big"), "auto, native"), (("--bits", "17"), "1<=x<=16"), (("--background", "#12"), "R,G,B")],
)
def test_wrong_values(
    lstm2d: Run,
    dataset: Path,
    tmp_path: Path,
    brightness_model: Path,
    command: str,
    options: tuple[str, str],
    part: str,
) -> None:
    where = [dataset / "images", "-o", tmp_path / "out"] if command == "predict" else [dataset]
    ran = lstm2d(command, brightness_model, *where, *options)
    assert ran.code == 2
    assert part in ran.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("white", (255, 255, 255)), ("#0a141e", (10, 20, 30)), ("10,20,30", (10, 20, 30)), ("Red", (255, 0, 0))],
)
def test_colours(text: str, expected: tuple[int, int, int]) -> None:
    assert colour(text) == expected


@pytest.mark.parametrize("text", ["", "whitish", "1,2", "300,0,0", "1,2,3,4,5"])
def test_no_colours(text: str) -> None:
    with pytest.raises(ConfigError, match="no such colour"):
        colour(text)
