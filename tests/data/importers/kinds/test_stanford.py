"""The Stanford Background data set as its authors give it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lstm2d.data.importers.kinds import stanford
from lstm2d.data.importers.source import Options
from lstm2d.data.importers.write import write_source
from lstm2d.errors import DataError
from tests.data.importers.opened import labels_of, names_of

Save = Callable[..., Path]
Photo = Callable[..., np.ndarray]


@pytest.fixture
def regions(save: Save, photo: Photo, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Make iccv09Data with three images; return the numbers in their files."""
    numbers = {
        stem: rng.integers(-1, 8, (4 + k, 6)) for k, stem in enumerate(["0000047", "0000051", "6000001"])
    }
    for stem, values in numbers.items():
        text = "".join(" ".join(map(str, row)) + "\n" for row in values.tolist())
        save(f"iccv09Data/labels/{stem}.regions.txt", text)
        for other in ("surfaces", "layers"):
            save(f"iccv09Data/labels/{stem}.{other}.txt", text.replace("-1", "7"))
        save(f"iccv09Data/images/{stem}.jpg", photo(*values.shape))
    save("iccv09Data/horizons.txt", "0000047 6 4 2\n")
    return numbers


@pytest.mark.parametrize("below", ["", "iccv09Data"])
def test_round_trip(
    tmp_path: Path,
    regions: dict[str, np.ndarray],
    labels_in: Callable[[Path], dict[str, np.ndarray]],
    below: str,
) -> None:
    src = tmp_path / "src" / below
    assert "regions.txt" in (stanford.recognise(src) or "")
    source = stanford.open_source(src, Options())
    assert names_of(source) == ["sky", "tree", "road", "grass", "water", "building", "mountain", "foreground"]
    assert [info.color for info in source.classes[:2]] == [(135, 206, 235), (34, 102, 51)]
    assert source.left_out == ()
    write_source(source, tmp_path / "out")
    found = labels_in(tmp_path / "out")
    assert found.keys() == regions.keys()
    for stem, values in regions.items():
        np.testing.assert_array_equal(found[stem], np.where(values < 0, 255, values))


def test_what_is_missing_is_listed(tmp_path: Path, regions: dict, save: Save, photo: Photo) -> None:
    save("iccv09Data/images/0000099.jpg", photo())
    (tmp_path / "src/iccv09Data/images/6000001.jpg").unlink()
    source = stanford.open_source(tmp_path / "src", Options())
    assert sorted(labels_of(source)) == ["0000047", "0000051"]
    assert source.left_out == (
        "1 images without labels: 0000099.jpg",
        "1 labels without an image: 6000001.regions.txt",
    )


def test_a_wrong_number_is_named(tmp_path: Path, regions: dict, save: Save) -> None:
    save("iccv09Data/labels/0000047.regions.txt", "0 1\n2 8\n")
    source = stanford.open_source(tmp_path / "src", Options())
    with pytest.raises(DataError, match="class number 8 at row 1, column 1") as e:
        source.items[0].labels()
    assert "0000047.regions.txt" in str(e.value)


def test_other_folders(tmp_path: Path, save: Save, photo: Photo) -> None:
    save("images/a.jpg", photo())
    save("labels/a.txt", "0")
    assert stanford.recognise(tmp_path / "src") is None
    with pytest.raises(DataError, match="no data set of this kind"):
        stanford.open_source(tmp_path / "src", Options())
    save("labels/b.regions.txt", "0")
    with pytest.raises(DataError, match="no image has labels"):
        stanford.open_source(tmp_path / "src", Options())
