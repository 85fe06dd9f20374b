"""Exit codes of bad images and masks, for every command that reads them."""

import os
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lstm2d as library
from lstm2d.errors import DataError
from lstm2d.reliability.inputs import bombs, tiff_bombs
from tests.cli.conftest import Ran

Run = Callable[..., Ran]


def whole() -> bytes:
    """Return a PNG of 4x1 pixels."""
    buffer = BytesIO()
    Image.fromarray(np.array([[[0], [0], [255], [255]]], np.uint8).repeat(3, axis=2)).save(buffer, "PNG")
    return buffer.getvalue()


# content of the file, and a part of the message
BAD = {
    "empty": (b"", "the file is empty"),
    "text": (b"hello\n", "this is no image"),
    "cut": (whole()[:40], "cannot decode the image"),
    "damaged": (whole().replace(b"IDAT", b"IDAT\x01", 1), "cannot decode the image"),
    "claims": (bombs.png_claims(), "image too large (30000x30000 = 900000000 pixels)"),
    "tile": (tiff_bombs.huge_tile(), "image too large (16x16 in tiles of 12000x12000"),
    "endless": (bombs.png_text(50), "expands to more than 1 MB"),
    "heic": (b"\0\0\0\x18ftypheic\0\0\0\0", "files of this kind are not read (HEIC file)"),
    "folder": (None, "this is a folder"),
    "fifo": (None, "this is a FIFO"),
    "missing": (None, "cannot open" if os.name == "nt" else "file not found"),
}


def spoil(path: Path, kind: str) -> None:
    """Replace a file by a bad one."""
    path.unlink(missing_ok=True)
    content = BAD[kind][0]
    if content is not None:
        path.write_bytes(content)
    elif kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("nowhere")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Return a folder with one good image."""
    (tmp_path / "images").mkdir()
    (tmp_path / "images/good.png").write_bytes(whole())
    return tmp_path / "images"


@pytest.mark.parametrize("kind", BAD)
def test_predict_and_features(
    lstm2d: Run, brightness_model: Path, images: Path, tmp_path: Path, kind: str
) -> None:
    bad, message = images / "bad.png", BAD[kind][1]
    spoil(bad, kind)
    before = None if BAD[kind][0] is None else bad.read_bytes()
    if kind != "folder":  # a folder without images, and one that is searched
        alone = lstm2d("predict", brightness_model, bad, "-o", tmp_path / "alone")
        assert (alone.code, message in alone.err) == (3, True)
        among = lstm2d("predict", brightness_model, images, "-o", tmp_path / "among", "--json")
        assert among.code == 4
        assert [Path(one["image"]).name for one in among.json["failed"]] == ["bad.png"]
        assert message.partition(" (")[0] in among.json["failed"][0]["error"]
        assert (tmp_path / "among/good.png").is_file()
    features = lstm2d("features", brightness_model, bad, "-o", tmp_path / "maps")
    assert (features.code, kind == "folder" or message in features.err) == (3, True)
    assert not (tmp_path / "maps").exists()
    with pytest.raises(DataError) as e:
        library.load(brightness_model).predict(bad)
    assert message in str(e.value)
    assert before is None or bad.read_bytes() == before


@pytest.mark.parametrize("part", ["images", "masks"])
@pytest.mark.parametrize("kind", [kind for kind in BAD if kind not in ("folder", "missing")])
def test_a_bad_image_or_mask_of_a_dataset(
    lstm2d: Run, brightness_model: Path, dataset: Path, tmp_path: Path, kind: str, part: str
) -> None:
    bad, message = dataset / part / "b.png", BAD[kind][1]
    spoil(bad, kind)
    evaluated = lstm2d("evaluate", brightness_model, dataset)
    assert (evaluated.code, message in evaluated.err, "b.png" in evaluated.err) == (3, True, True)
    checked = lstm2d("data", "check", dataset, "--json")
    assert checked.code == 3
    faults = {one["kind"]: one for one in checked.json["findings"] if one["file"].endswith(f"{part}/b.png")}
    assert set(faults) & {"unreadable-image", "unreadable-mask", "empty-file"}
    (dataset / "dataset.toml").rename(tmp_path / "dataset.toml")
    imported = lstm2d("data", "import", "pairs", dataset, "-o", tmp_path / "imported")
    assert (imported.code, "b.png" in imported.err) == (3, True)
    assert not (tmp_path / "imported").exists()
    (tmp_path / "dataset.toml").rename(dataset / "dataset.toml")
    shutil.copy(dataset / "splits/test.txt", dataset / "splits/train.txt")
    options = ["--val", "0", "--set", "train.epochs=1", "--quiet"]
    trained = lstm2d("train", "lstm2d-5x5", "--data", dataset, "-o", tmp_path / "run", *options)
    assert (trained.code, message in trained.err, "b.png" in trained.err) == (3, True, True)
