"""Folders that dataset.toml names: anywhere, for all images or for each split."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lstm2d.data.folder import DatasetFolder, Sample
from lstm2d.errors import DataError

Maker = Callable[..., Path]
MASK = np.array([[0, 1, 2], [255, 2, 1]])
CLASSES = "".join(f'[[classes]]\nname = "{name}"\n' for name in ("sky", "tree", "road"))
CAMVID = """
[folders.train]
images = "train"
masks = "trainannot"

[folders.test]
images = "../elsewhere/test"
masks = "../elsewhere/testannot"
"""


def stems(samples: list[Sample]) -> list[str]:
    return [s.stem for s in samples]


def write(images: Path, masks: Path, content: dict[str, np.ndarray]) -> None:
    """Write images of the colour (n, n, n) for a mask whose first value is n, and these masks."""
    for folder in (images, masks):
        folder.mkdir(parents=True)
    for stem, mask in content.items():
        Image.new("RGB", mask.shape[::-1], (int(mask[0, 0]),) * 3).save(images / f"{stem}.png")
        Image.fromarray(mask.astype(np.uint8)).save(masks / f"{stem}.png")


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    """Return a dataset with a folder inside and one outside, and the same stem in both."""
    root, other = tmp_path / "data", tmp_path / "elsewhere"
    write(root / "train", root / "trainannot", {"b": MASK, "a": MASK + 0})
    write(other / "test", other / "testannot", {"a": np.full((2, 3), 2)})
    return root


@pytest.mark.parametrize("classes", [CLASSES, ""])
def test_folders_per_split(camvid: Path, classes: str) -> None:
    (camvid / "dataset.toml").write_text(CAMVID + classes)
    dataset = DatasetFolder(camvid)
    assert dataset.splits == ("test", "train")
    assert stems(dataset.split("train")) == ["train/a", "train/b"]
    assert stems(dataset.samples) == ["test/a", "train/a", "train/b"]
    image, labels = dataset.load(dataset.split("test")[0])
    assert (image == 2).all()
    assert (labels == 2).all()
    np.testing.assert_array_equal(dataset.load(dataset.split("train")[1])[1], MASK)
    train, held = dataset.training_splits(fraction=0.5)
    assert sorted(stems(train) + stems(held)) == ["train/a", "train/b"]
    assert stems(dataset.named(["train/b", "test/a"])) == ["train/b", "test/a"]
    assert dataset.guessed == (classes == "")
    assert [c.name for c in dataset.classes] == (
        ["sky", "tree", "road"] if classes else ["class_0", "class_1", "class_2"]
    )


def test_a_guess_keeps_the_folders(camvid: Path) -> None:
    (camvid / "dataset.toml").write_text(CAMVID)
    guessed = DatasetFolder(camvid)
    assert guessed.guessed_toml is not None
    (camvid / "dataset.toml").write_text(guessed.guessed_toml)
    again = DatasetFolder(camvid)
    assert not again.guessed
    assert (again.samples, again.classes) == (guessed.samples, guessed.classes)


@pytest.mark.parametrize("absolute", [False, True])
def test_folders_outside(tmp_path: Path, absolute: bool) -> None:
    write(tmp_path / "photos", tmp_path / "labels", {"a": MASK})
    (tmp_path / "data").mkdir()
    start = tmp_path if absolute else ".."
    toml = f'name = "x"\nimages = "{start}/photos"\nmasks = "{start}/labels"\n'
    for text in (toml, toml + CLASSES):
        (tmp_path / "data" / "dataset.toml").write_text(text)
        dataset = DatasetFolder(tmp_path / "data")
        assert dataset.name == "x"
        np.testing.assert_array_equal(dataset.load(dataset.samples[0])[1], MASK)


def test_colours_of_cvat_in_named_folders(tmp_path: Path) -> None:
    write(tmp_path / "photos", tmp_path / "labels", {"a": MASK})
    (tmp_path / "dataset.toml").write_text('images = "photos"\nmasks = "labels"\n')
    (tmp_path / "labelmap.txt").write_text("sky:1,2,3::\ntree:4,5,6::\nroad:7,8,9::\n")
    dataset = DatasetFolder(tmp_path)
    assert not dataset.guessed
    assert [c.name for c in dataset.classes] == ["sky", "tree", "road"]


def test_ambiguous_masks_are_asked_about_with_the_folders(camvid: Path) -> None:
    for path in (*camvid.glob("trainannot/*"), camvid.parent / "elsewhere/testannot/a.png"):
        Image.fromarray(np.array([[0, 255, 0], [0, 0, 0]], np.uint8)).save(path)
    (camvid / "dataset.toml").write_text(CAMVID)
    with pytest.raises(DataError, match="only 0 and 255") as e:
        DatasetFolder(camvid)
    (camvid / "dataset.toml").write_text(
        str(e.value).partition("# 1: ")[2].partition("# 2: ")[0].partition("\n")[2]
    )
    dataset = DatasetFolder(camvid)
    assert stems(dataset.samples) == ["test/a", "train/a", "train/b"]
    np.testing.assert_array_equal(dataset.load(dataset.samples[0])[1], [[0, 1, 0], [0, 0, 0]])


def test_missing_masks_name_their_folder(camvid: Path) -> None:
    (camvid / "dataset.toml").write_text(CAMVID + CLASSES)
    (camvid / "trainannot" / "b.png").unlink()
    with pytest.raises(DataError, match=r"1 of 2 images have no mask \(train/b\): .*trainannot") as e:
        DatasetFolder(camvid).split("train")
    assert "a mask b.png" in str(e.value)
    assert stems(DatasetFolder(camvid).split("test")) == ["test/a"]


def test_splits_are_defined_once(camvid: Path) -> None:
    (camvid / "dataset.toml").write_text(CAMVID + CLASSES)
    (camvid / "splits").mkdir()
    assert DatasetFolder(camvid).splits == ("test", "train")
    (camvid / "splits" / "train.txt").write_text("a\n")
    with pytest.raises(DataError, match="defined twice"):
        DatasetFolder(camvid)


def test_no_such_split(camvid: Path) -> None:
    (camvid / "dataset.toml").write_text(CAMVID + CLASSES)
    for name in ("val", "", "../train"):
        with pytest.raises(DataError, match="no split") as e:
            DatasetFolder(camvid).split(name)
        assert "test, train" in str(e.value)


def test_images_that_are_gone(camvid: Path) -> None:
    (camvid / "dataset.toml").write_text(CAMVID + CLASSES)
    with pytest.raises(DataError, match=r"2 of 3 images are missing \(a, train/c\)"):
        DatasetFolder(camvid).named(["a", "train/a", "train/c"])


def test_letters_in_either_unicode_form(tmp_path: Path) -> None:
    write(tmp_path / "cafe\u0301" / "bilder", tmp_path / "masks", {"a": MASK})
    (tmp_path / "dataset.toml").write_text('images = "caf\u00e9/bilder"\n' + CLASSES)
    assert stems(DatasetFolder(tmp_path).samples) == ["a"]
