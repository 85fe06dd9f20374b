"""SIFT Flow as its authors give it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from lstm2d.data.importers.kinds import sift_flow
from lstm2d.data.importers.source import Options
from lstm2d.data.importers.write import write_source
from lstm2d.errors import DataError
from tests.data.importers.opened import labels_of, names_of, splits_of

Save = Callable[..., Path]
Photo = Callable[..., np.ndarray]
FOLDER = "spatial_envelope_256x256_static_8outdoorcategories"
STEMS = ("coast_art294", "highway_bost98", "tallbuilding_urban991")


def cells(names: list[str]) -> np.ndarray:
    found = np.empty((len(names), 1), dtype=object)
    found[:, 0] = names
    return found


@pytest.fixture
def matlab(tmp_path: Path, save: Save, photo: Photo, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Make a data set of three images; return the numbers in their files."""
    names = [info.name for info in sift_flow.CLASSES]
    numbers = {stem: rng.integers(0, 34, (5, 6)) for stem in STEMS}
    for stem, values in numbers.items():
        save(f"Images/{FOLDER}/{stem}.jpg", photo(5, 6))
        path = tmp_path / f"src/SemanticLabels/{FOLDER}/{stem}.mat"
        path.parent.mkdir(parents=True, exist_ok=True)
        savemat(
            path, {"S": values.astype(np.uint8), "names": cells(names), "metaData": "x"}, do_compression=True
        )
    save("TestSet1.txt", f"{FOLDER}\\highway_bost98.jpg\r\n")
    return numbers


def test_round_trip(
    tmp_path: Path, matlab: dict[str, np.ndarray], labels_in: Callable[[Path], dict[str, np.ndarray]]
) -> None:
    src = tmp_path / "src"
    assert sift_flow.recognise(src) is not None
    source = sift_flow.open_source(src, Options())
    assert source.classes == sift_flow.CLASSES
    assert len(source.classes) == 33
    assert splits_of(source) == dict(zip(STEMS, ["train", "test", "train"], strict=True))
    assert [item.scene for item in source.items] == ["coast", "highway", "tallbuilding"]
    write_source(source, tmp_path / "out")
    found = labels_in(tmp_path / "out")
    for stem, values in matlab.items():
        np.testing.assert_array_equal(found[stem], np.where(values == 0, 255, values - 1))
    assert (tmp_path / "out/scenes.txt").read_text().splitlines()[1] == "highway_bost98 highway"
    assert (tmp_path / "out/splits/test.txt").read_text() == "highway_bost98\n"


@pytest.mark.parametrize("ending", [".txt", ".regions.txt"])
def test_text_files(tmp_path: Path, save: Save, photo: Photo, ending: str) -> None:
    save("Images/a/forest_1.jpg", photo(2, 3))
    save(f"SemanticLabels/a/forest_1{ending}", "0 1 33\n32 2 0\n")
    source = sift_flow.open_source(tmp_path / "src", Options())
    assert labels_of(source)["forest_1"].tolist() == [[255, 0, 32], [31, 1, 255]]
    assert splits_of(source) == {"forest_1": ""}


def test_other_names(tmp_path: Path, save: Save, photo: Photo) -> None:
    (tmp_path / "src/SemanticLabels").mkdir(parents=True)
    for stem in ("a_1", "b_1"):
        save(f"Images/{stem}.jpg", photo(1, 3))
        content = {"S": np.array([[0.0, 1.0, 2.0]]), "names": cells(["lake ", "hut"])}
        savemat(tmp_path / f"src/SemanticLabels/{stem}.mat", content)
    source = sift_flow.open_source(tmp_path / "src", Options())
    assert names_of(source) == ["lake", "hut"]
    assert labels_of(source)["a_1"].tolist() == [[255, 0, 1]]
    assert source.items[0].scene == ""
    savemat(tmp_path / "src/SemanticLabels/b_1.mat", {"S": np.ones((1, 3)), "names": cells(["hut", "lake"])})
    with pytest.raises(DataError, match="other class names than in the first file") as e:
        source.items[1].labels()
    assert "b_1.mat" in str(e.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full((2, 2), 34), "class number 34 at row 0, column 0"),
        (np.full((2, 2), 1.5), "not whole, or huge"),
        (np.full((2, 2), np.nan), "not whole, or huge"),
        (np.full((2, 2), np.inf), "not whole, or huge"),
        (np.full((2, 2), 1 + 1j), "variable S is no array of numbers"),
        (np.ones((2, 2, 2)), "no matrix of numbers with the name S"),
        (np.ones((0, 0)), "0x0 pixels"),
        (cells(["x"]), "no matrix of numbers with the name S"),
    ],
)
def test_wrong_numbers(tmp_path: Path, matlab: dict, values: np.ndarray, message: str) -> None:
    path = tmp_path / f"src/SemanticLabels/{FOLDER}/{STEMS[0]}.mat"
    savemat(path, {"S": values})
    source = sift_flow.open_source(tmp_path / "src", Options())
    with pytest.raises(DataError, match=message) as e:
        source.items[0].labels()
    assert path.name in str(e.value)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (np.arange(3), "names is no cell array"),
        (cells(["a", ""]), "the class name ''"),
        (cells(["a", "b\nc"]), "the class name"),
        (cells(["a", "a"]), "two classes with the name 'a'"),
        (cells([f"c{k}" for k in range(256)]), "256 classes"),
    ],
)
def test_wrong_names(tmp_path: Path, matlab: dict, names: np.ndarray, message: str) -> None:
    savemat(tmp_path / f"src/SemanticLabels/{FOLDER}/{STEMS[0]}.mat", {"S": np.ones((2, 2)), "names": names})
    with pytest.raises(DataError, match=message):
        sift_flow.open_source(tmp_path / "src", Options())


@pytest.mark.parametrize("line", ["coast_art295.jpg", "..\\..\\etc\\passwd", "/etc/passwd"])
def test_a_list_with_another_name(tmp_path: Path, matlab: dict, save: Save, line: str) -> None:
    save("TestSet1.txt", f"{FOLDER}/{STEMS[0]}.jpg\n\n{line}\n")
    with pytest.raises(DataError, match="line 3: there is no image") as e:
        sift_flow.open_source(tmp_path / "src", Options())
    assert "TestSet1.txt" in str(e.value)


def test_lists_of_both_splits(tmp_path: Path, matlab: dict, save: Save) -> None:
    save("TrainSet1.txt", f"{FOLDER}/{STEMS[0]}.jpg\n")
    source = sift_flow.open_source(tmp_path / "src", Options())
    assert splits_of(source) == dict(zip(STEMS, ["train", "test", ""], strict=True))
    save("TrainSet1.txt", f"{FOLDER}/{STEMS[1]}.jpg\n")
    with pytest.raises(DataError, match=r"highway_bost98 is in TestSet1\.txt too"):
        sift_flow.open_source(tmp_path / "src", Options())


def test_other_folders(tmp_path: Path, save: Save, photo: Photo) -> None:
    save("Images/a.jpg", photo())
    assert sift_flow.recognise(tmp_path / "src") is None
    with pytest.raises(DataError, match="no data set of this kind"):
        sift_flow.open_source(tmp_path / "src", Options())
    save("SemanticLabels/b.txt", "1")
    with pytest.raises(DataError, match="no image has labels"):
        sift_flow.open_source(tmp_path / "src", Options())
