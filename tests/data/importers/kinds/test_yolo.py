"""YOLO data sets with polygons."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lstm2d.data.importers.kinds import yolo
from lstm2d.data.importers.source import Options
from lstm2d.data.importers.write import write_source
from lstm2d.errors import DataError
from tests.data.importers.opened import labels_of, names_of, splits_of

Save = Callable[..., Path]
Photo = Callable[..., np.ndarray]
# in an image of 8x4 pixels: columns 2 to 5 of rows 1 and 2, and column 3 of row 1
LARGE = "0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75"
SMALL = "0.375 0.25 0.5 0.25 0.5 0.5 0.375 0.5"
YAML = "path: ../datasets/mine\ntrain: images/train\nval: images/val\nnames:\n  0: cat\n  1: dog\n"


@pytest.fixture
def src(tmp_path: Path, save: Save, photo: Photo) -> Path:
    """Make a data set of three images, one of them without objects."""
    save("data.yaml", YAML)
    save("labels/train/a.txt", f"1 {SMALL}\n0 {LARGE}\n")
    save("labels/train/b.txt", "")
    save("labels/val/c.txt", f"1 {LARGE}\n\n")
    for name in ("train/a", "train/b", "val/c"):
        save(f"images/{name}.jpg", photo(4, 8))
    return tmp_path / "src"


def test_round_trip(tmp_path: Path, src: Path, labels_in: Callable[[Path], dict[str, np.ndarray]]) -> None:
    assert (
        yolo.recognise(src)
        == yolo.recognise(src / "data.yaml")
        == "data.yaml with names, as in YOLO data sets"
    )
    source = yolo.open_source(src, Options())
    assert names_of(source) == ["background", "cat", "dog"]
    assert splits_of(source) == {"a": "train", "b": "train", "c": "val"}
    assert source.left_out == ()
    write_source(source, tmp_path / "out")
    found = labels_in(tmp_path / "out")
    empty = [0] * 8
    assert found["a"].tolist() == [empty, [0, 0, 1, 2, 1, 1, 0, 0], [0, 0, 1, 1, 1, 1, 0, 0], empty]
    assert not found["b"].any()
    assert found["c"].tolist() == [empty, [0, 0, 2, 2, 2, 2, 0, 0], [0, 0, 2, 2, 2, 2, 0, 0], empty]
    assert any("is not followed" in line for line in source.found)


def test_uncovered_pixels_can_be_ignored(src: Path) -> None:
    source = yolo.open_source(src / "data.yaml", Options(uncovered="ignore"))
    assert names_of(source) == ["cat", "dog"]
    assert labels_of(source)["c"][1].tolist() == [255, 255, 1, 1, 1, 1, 255, 255]


@pytest.mark.parametrize(
    "text",
    [
        "train: ./images/train\nval: images/val/",
        "train: ../images/train\nval: ../images/val",  # as Roboflow writes it
        "path: images\ntrain: train\nval: val",
        "path: .\ntrain: lists/train.txt\nval: [images/val]",
    ],
)
def test_ways_to_name_the_images(src: Path, save: Save, text: str) -> None:
    save("lists/train.txt", "./images/train/a.jpg\nimages/train/b.jpg\n")
    save("data.yaml", f"{text}\nnc: 2\nnames: [cat, dog]\n")
    source = yolo.open_source(src, Options())
    assert splits_of(source) == {"a": "train", "b": "train", "c": "val"}
    assert labels_of(source)["c"].max() == 2


def test_without_splits(src: Path, save: Save) -> None:
    save("data.yaml", "names: [cat, dog]\n")
    assert splits_of(yolo.open_source(src, Options())) == {"a": "", "b": "", "c": ""}


def test_labels_beside_the_images(tmp_path: Path, save: Save, photo: Photo) -> None:
    save("data.yaml", "train: all\nval: all\nnames: [cat]\n")
    save("all/a.jpg", photo(4, 8))
    save("all/a.txt", f"0 {LARGE}\n")
    source = yolo.open_source(tmp_path / "src", Options())
    assert labels_of(source)["a"].sum() == 8
    assert splits_of(source) == {"a": "train"}
    assert source.left_out == ("1 images of val that another split has already: all/a.jpg",)


def test_images_without_labels_are_left_out(src: Path) -> None:
    (src / "labels/train/b.txt").unlink()
    source = yolo.open_source(src, Options())
    assert sorted(splits_of(source)) == ["a", "c"]
    assert source.left_out == ("1 images without a file of labels: images/train/b.jpg",)


def test_the_size_is_that_of_the_upright_image(src: Path, save: Save, photo: Photo) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[274] = 6  # turned by 90 degrees
    save("images/val/c.jpg", photo(8, 4), exif=exif)
    assert labels_of(yolo.open_source(src, Options()))["c"].shape == (4, 8)


def test_boxes_are_no_polygons(src: Path, save: Save) -> None:
    save("labels/val/c.txt", f"0 {LARGE}\n1 0.5 0.5 0.25 0.25\n")
    with pytest.raises(DataError, match="1 of 4 labels are boxes, not polygons") as e:
        yolo.open_source(src, Options())
    assert "c.txt, line 2" in str(e.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"2 {LARGE}", "the class is 2"),
        (f"-1 {LARGE}", "the class is -1"),
        (f"0.5 {LARGE}", "the class is 0.5"),
        (f"nan {LARGE}", "the class is nan"),
        (f"cat {LARGE}", "not a number"),
        ("0 0.1 0.1", "2 coordinates"),
        ("0", "0 coordinates"),
        (f"0 {LARGE} 0.5", "9 coordinates"),
        (f"0 {LARGE} nan 0.5", "the coordinate nan"),
        (f"0 {LARGE} 1.02 0.5", "the coordinate 1.02, shares of width and height"),
        (f"0 {LARGE} 320 200", "the coordinate 320"),
        (f"0 {LARGE} 0.5 -inf", "the coordinate -inf"),
    ],
)
def test_wrong_lines(src: Path, save: Save, line: str, message: str) -> None:
    save("labels/train/a.txt", f"0 {LARGE}\n{line}\n")
    with pytest.raises(DataError, match=message) as e:
        yolo.open_source(src, Options())
    assert "labels/train/a.txt, line 2" in str(e.value)


def test_a_little_outside_is_fine(src: Path, save: Save) -> None:
    save("labels/val/c.txt", "1.0 -0.001 0 1.001 0 1.001 1.001 0 1\n")
    assert (labels_of(yolo.open_source(src, Options()))["c"] == 2).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: images/none\nnames: [a]", "data.yaml, train: there is no folder or list 'images/none'"),
        ("train: ../secret\nnames: [a]", "data.yaml, train: the file name '../secret' leads out"),
        ("train: /etc\nnames: [a]", "data.yaml, train: the file name '/etc'"),
        ("train: list.txt\nnames: [a]", "list.txt, line 1: the file name '../../a.jpg' leads out"),
        ("train: other.txt\nnames: [a]", "other.txt, line 2: there is no image 'images/x.jpg'"),
        ("train: images/train\nnames: cat", "names is no list"),
        ("train: images/train\nnames: {0: a, 2: b}", "names with other keys"),
        ("train: images/train\nnc: 3\nnames: [a, b]", "nc is 3, but there are 2 names"),
        ("train: images/train\nnames: [a, a]", "two classes with the name 'a'"),
        ("train: images/train\nnames: [a, '']", "the class name ''"),
        ("train: images/train\nnames: []", "0 classes"),
        ("train: images/empty\nnames: [a, b]", "annotations without their images"),
    ],
)
def test_wrong_data_yaml(src: Path, save: Save, text: str, message: str) -> None:
    save("list.txt", "../../a.jpg\n")
    save("other.txt", "images/train/b.jpg\nimages/x.jpg\n")
    (src / "images/empty").mkdir()
    save("data.yaml", text)
    with pytest.raises(DataError, match=message):
        yolo.open_source(src, Options())


def test_other_folders(tmp_path: Path, save: Save) -> None:
    save("data.yaml", "train: images\n")
    assert yolo.recognise(tmp_path / "src") is None
    assert yolo.recognise(tmp_path / "src/data.yaml") is None
    with pytest.raises(DataError, match="no YOLO data set"):
        yolo.open_source(tmp_path / "src", Options())
