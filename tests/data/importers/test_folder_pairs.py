"""Folders of images and masks are found in the namings that are in use."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lstm2d.data.importers.folder_pairs import FolderPairs, find_pairs
from lstm2d.errors import DataError

Save = Callable[..., Path]
Photo = Callable[..., np.ndarray]
PIXEL = np.zeros((1, 1), np.uint8)


def found(src: Path) -> FolderPairs:
    pairs = find_pairs(src)
    assert pairs is not None
    return pairs


def table(src: Path) -> list[tuple[str, str, str]]:
    """Return image, mask and split of each pair."""
    return [
        (p.image.relative_to(src).as_posix(), p.mask.relative_to(src).as_posix(), p.split)
        for p in found(src).pairs
    ]


@pytest.mark.parametrize(
    ("image", "mask", "split"),
    [
        ("images/a.jpg", "masks/a.png", ""),
        ("imgs/a.jpg", "gt/a.png", ""),
        ("Image/a.tif", "Label/a.tif", ""),
        ("images/train/a.jpg", "masks/train/a.png", "train"),
        ("images/validation/a.jpg", "labels/validation/a.png", "val"),
        ("images/train2017/a.jpg", "annotations/train2017/a.png", "train"),
        ("img_dir/val/a.jpg", "ann_dir/val/a.png", "val"),
        ("train/a.png", "trainannot/a.png", "train"),
        ("testing/a.png", "testing_labels/a.png", "test"),
        ("train/images/a.jpg", "train/masks/a.png", "train"),
        ("data/train/images/a.jpg", "data/train/masks/a.png", "train"),
        ("train_images/a.jpg", "train_masks/a.png", "train"),
        ("JPEGImages/a.jpg", "SegmentationClass/a.png", ""),
        ("jpg/image_0001.jpg", "trimaps/image_0001.png", ""),
        ("horse/horse001.jpg", "mask/horse001.jpg", ""),
        ("rgb/horse001.jpg", "figure_ground/horse001.jpg", ""),
        ("images/a.jpg", "images/masks/a.png", ""),
        ("photos of mine/a.jpg", "ground truth/a.png", ""),
        ("images/field 1/a.jpg", "masks/field 1/a.png", ""),
        ("images/field 1/a.jpg", "masks/a.png", ""),
        ("images/a.jpg", "masks/train/a.png", "train"),
        ("a.jpg", "a.png", ""),
        ("a.png", "a_mask.png", ""),
        ("a.jpg", "mask_a.jpg", ""),
        ("train/a.png", "train/a_gt.png", "train"),
        ("all/a.jpg", "all/a.png", ""),
    ],
)
def test_layouts(save: Save, tmp_path: Path, image: str, mask: str, split: str) -> None:
    save(image, PIXEL)
    save(mask, PIXEL)
    assert table(tmp_path / "src") == [(image, mask, split)]


def test_all_splits(save: Save, tmp_path: Path) -> None:
    for folder, names in (("train", "ab"), ("val", "c"), ("test", "a")):
        for name in names:
            save(f"{folder}/{name}.png", PIXEL)
            save(f"{folder}annot/{name}.png", PIXEL)
    assert table(tmp_path / "src") == [
        ("test/a.png", "testannot/a.png", "test"),
        ("train/a.png", "trainannot/a.png", "train"),
        ("train/b.png", "trainannot/b.png", "train"),
        ("val/c.png", "valannot/c.png", "val"),
    ]


def test_what_is_left_out_is_reported(save: Save, tmp_path: Path) -> None:
    for name in "abcd":
        save(f"images/{name}.jpg", PIXEL)
    for name in "bdz":
        save(f"masks/{name}.png", PIXEL)
    save("overlays/b.png", PIXEL)
    pairs = found(tmp_path / "src")
    assert [p.image.name for p in pairs.pairs] == ["b.jpg", "d.jpg"]
    assert pairs.reason == "images/ and masks/: 2 of 4 images have a mask, by equal names"
    assert pairs.left_out == (
        "images without a mask: 2 (a.jpg, c.jpg)",
        "masks without an image: 1 (z.png)",
        "folders that are not used: overlays/ (1)",
    )


def test_the_folder_with_most_pairs_and_colours_before_gray(save: Save, tmp_path: Path) -> None:
    for folder in ("gray", "rgb", "figure_ground"):
        save(f"{folder}/horse001.jpg", PIXEL)
    save("others/horse002.jpg", PIXEL)
    assert table(tmp_path / "src") == [("rgb/horse001.jpg", "figure_ground/horse001.jpg", "")]
    save("gray/horse002.jpg", PIXEL)
    save("figure_ground/horse002.jpg", PIXEL)
    assert [row[0] for row in table(tmp_path / "src")] == ["gray/horse001.jpg", "gray/horse002.jpg"]


def test_masks_of_objects_and_pictures_of_masks_are_no_masks(save: Save, tmp_path: Path) -> None:
    for folder in ("JPEGImages", "SegmentationClass", "SegmentationObject", "label_preview"):
        save(f"{folder}/a.png", PIXEL)
    assert table(tmp_path / "src") == [("JPEGImages/a.png", "SegmentationClass/a.png", "")]


def test_two_folders_of_masks_are_asked_about(save: Save, tmp_path: Path) -> None:
    for folder in ("images", "masks", "labels"):
        save(f"{folder}/a.png", PIXEL)
    with pytest.raises(DataError, match="several folders of masks fit: labels/, masks/"):
        find_pairs(tmp_path / "src")


def test_two_masks_for_one_image_are_asked_about(save: Save, tmp_path: Path) -> None:
    for name in ("images/a", "images/b", "masks/a_mask", "masks/a_gt", "masks/b_gt"):
        save(f"{name}.png", PIXEL)
    with pytest.raises(DataError, match="several masks or images fit each other: a and a_gt, a_mask"):
        find_pairs(tmp_path / "src")


@pytest.mark.parametrize("names", [(), ("a.jpg",), ("a.png", "b.png"), ("images/a.jpg", "masks/b.png")])
def test_no_pairs(save: Save, tmp_path: Path, names: tuple[str, ...]) -> None:
    (tmp_path / "src").mkdir()
    for name in names:
        save(name, PIXEL)
    assert find_pairs(tmp_path / "src") is None


def test_links_are_followed_and_loops_end(save: Save, tmp_path: Path) -> None:
    save("masks/a.png", PIXEL)
    photo = save("../elsewhere/a.jpg", PIXEL)
    src = tmp_path / "src"
    (src / "images").symlink_to(photo.parent)
    (src / "loop").symlink_to(src)
    (src / "masks" / "loop.png").symlink_to("loop.png")
    assert table(src) == [("images/a.jpg", "masks/a.png", "")]
    assert found(src).left_out == ("masks without an image: 1 (loop.png)",)


def test_hidden_files_and_other_files_are_skipped(save: Save, tmp_path: Path) -> None:
    for name in ("images/a.jpg", "images/._a.jpg", ".cache/images/a.jpg", "masks/a.png", "masks/.a.png"):
        save(name, PIXEL)
    save("masks/a.txt", "0 0.5 0.5")
    save("__MACOSX/masks/a.png", PIXEL)
    assert table(tmp_path / "src") == [("images/a.jpg", "masks/a.png", "")]


def test_other_names_of_folders_by_what_the_files_hold(save: Save, photo: Photo) -> None:
    for k in range(4):
        save(f"fotos/image_{k:04}.jpg", photo(40, 60))
    for k in (0, 2):
        save(f"siluetas/image_{k:04}.png", np.eye(40, 60) * 255)
    src = save("siluetas/notes.txt", "").parents[1]
    assert table(src) == [(f"fotos/image_{k:04}.jpg", f"siluetas/image_{k:04}.png", "") for k in (0, 2)]
    assert found(src).reason == (
        "fotos/ and siluetas/, whose files have few values: 2 of 4 images have a mask, by equal names"
    )


@pytest.mark.parametrize("flat", [False, True])
def test_two_folders_of_one_kind_are_no_pairs(save: Save, photo: Photo, flat: bool) -> None:
    for folder in ("left", "right"):
        src = save(f"{folder}/a.png", np.eye(40, 60) if flat else photo(40, 60)).parents[1]
    assert find_pairs(src) is None
