"""Images and masks that a caller gives: labels, guessed classes, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from lstm2d.data.arrays import ArrayDataset
from lstm2d.errors import ConfigError, DataError, ShapeError
from lstm2d.io.classes import ClassInfo

IMAGE = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
MASK = np.array([[0, 0, 1, 1, 1], [0, 0, 1, 2, 2], [0, 0, 1, 2, 2], [0, 255, 255, 2, 2]])


class Tensor:
    """What other libraries' tensors offer."""

    def __init__(self, values: NDArray[Any]) -> None:
        self.values = values

    def detach(self) -> "Tensor":
        return self

    def cpu(self) -> NDArray[Any]:
        return self.values


def loaded(image: Any, mask: Any, **options: Any) -> NDArray[np.uint8]:
    data = ArrayDataset([image], [mask], **options)
    pixels, labels = data.load(data.samples[0])
    np.testing.assert_array_equal(pixels, IMAGE)
    assert labels.dtype == np.uint8
    return labels


@pytest.mark.parametrize(
    "mask",
    [
        MASK,
        MASK.astype(np.uint8),
        MASK.astype(np.uint64),
        MASK[..., np.newaxis],
        MASK.tolist(),
        Tensor(MASK),
        Image.fromarray(MASK.astype(np.uint8)),
    ],
)
def test_masks_of_many_kinds(mask: Any) -> None:
    for classes in (None, ["a", "b", "c"]):
        np.testing.assert_array_equal(loaded(IMAGE, mask, classes=classes), MASK)


def test_files_and_arrays_are_read_alike(tmp_path: Path) -> None:
    Image.fromarray(IMAGE).save(tmp_path / "a.png")
    Image.fromarray(MASK.astype(np.uint8)).save(tmp_path / "m.png")
    data = ArrayDataset([IMAGE, tmp_path / "a.png"], [str(tmp_path / "m.png"), MASK])
    assert [sample.stem for sample in data.samples] == ["0", "1"]
    for sample in data.samples:
        image, labels = data.load(sample)
        np.testing.assert_array_equal(image, IMAGE)
        np.testing.assert_array_equal(labels, MASK)
    assert [str(sample.image_path) for sample in data.samples] == ["images[0]", str(tmp_path / "a.png")]


def test_colour_masks_in_files(tmp_path: Path) -> None:
    colors = np.array([[9, 8, 7], [200, 0, 0], [0, 0, 90]], np.uint8)
    Image.fromarray(colors[MASK % 255]).save(tmp_path / "m.png")
    classes = [ClassInfo(name, tuple(color)) for name, color in zip("abc", colors.tolist(), strict=True)]
    np.testing.assert_array_equal(loaded(IMAGE, tmp_path / "m.png", classes=classes), MASK % 255)
    with pytest.raises(DataError, match="a mask of colours"):
        ArrayDataset([IMAGE], [tmp_path / "m.png"])


def test_an_array_of_objects_is_a_list() -> None:
    """As scikit-learn passes images of several sizes."""
    images, masks = np.empty(2, object), np.empty(2, object)
    images[:], masks[:] = [IMAGE, IMAGE[:3]], [MASK, MASK[:3]]
    data = ArrayDataset(images, masks)
    assert [data.load(sample)[1].shape for sample in data.samples] == [(4, 5), (3, 5)]


def test_booleans_are_two_classes() -> None:
    data = ArrayDataset(IMAGE[np.newaxis], [MASK > 1])
    assert [info.name for info in data.classes] == ["class_0", "class_1"]
    np.testing.assert_array_equal(data.load(data.samples[0])[1], MASK > 1)


@given(
    st.lists(st.integers(-1, 4), min_size=20, max_size=20).filter(lambda row: max(row) > 0),
    st.sampled_from([-1, -100, 255, 99]),
    st.sampled_from([np.int64, np.int16, np.int8]),
)
def test_every_ignored_value_becomes_255(row: list[int], ignore: int, dtype: Any) -> None:
    values = np.array([ignore if value < 0 else value for value in row])
    if np.iinfo(dtype).min > ignore or np.iinfo(dtype).max < ignore:
        dtype = np.int64
    data = ArrayDataset([IMAGE], [values.reshape(4, 5).astype(dtype)], ignore=ignore)
    expected = [255 if value < 0 else value for value in row]
    assert data.load(data.samples[0])[1].ravel().tolist() == expected
    assert len(data.classes) == max(row) + 1


@pytest.mark.parametrize(
    ("mask", "options", "message"),
    [
        (np.where(MASK == 1, 255, 0), {}, "hold only 0 and 255"),
        (np.zeros((4, 5), int), {}, "same value, 0"),
        (np.full((4, 5), 255), {}, "same value, 255"),
        (np.full((4, 5), -1), {"ignore": -1}, "same value"),
        (MASK - 1, {}, "mask value -1: masks"),
        (MASK * 300, {}, "mask value 76500: masks"),
        (np.where(MASK == 1, 85, 170), {}, "do not look like class numbers"),
        (MASK, {"classes": ["a", "b"]}, r"mask value 2 at row 1, column 3 \(6 such pixels\): masks\[0\]"),
        (MASK, {"classes": ["a", "b", "c"], "ignore": -1}, "mask value 255 at row 3, column 1"),
        (MASK / 2, {"classes": ["a", "b", "c"]}, "mask of type float64"),
        ([[1, 2], [3]], {"classes": ["a", "b", "c"]}, "cannot make an array of the mask"),
        (MASK[:3], {}, r"the mask is 5x3 pixels, its image 5x4"),
        (MASK.T, {}, "the mask is 4x5 pixels"),
    ],
)
def test_masks_that_are_refused(mask: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        loaded(IMAGE, mask, **options)


def test_hints_say_what_to_write() -> None:
    with pytest.raises(DataError, match="mask == 255"):
        ArrayDataset([IMAGE], [np.where(MASK == 1, 255, 0)])
    with pytest.raises(DataError, match=r"`ignore=-1`"):
        ArrayDataset([IMAGE], [MASK - 1])
    with pytest.raises(ShapeError, match=r"a single one: \[image\]"):
        ArrayDataset(IMAGE, [MASK])
    with pytest.raises(ShapeError, match=r"a single one: \[mask\]"):
        ArrayDataset([IMAGE], MASK)


@pytest.mark.parametrize(
    ("images", "masks", "options", "message"),
    [
        ([IMAGE], [], {}, "1 images and 0 masks"),
        ([], [], {}, "no images"),
        ("photos", [MASK], {}, "`images` is one path"),
        (4, [MASK], {}, "`images` is a int"),
        ([IMAGE], [MASK], {"ignore": 1}, "`ignore` is the number of class 'class_1'"),
        ([IMAGE], [MASK], {"ignore": 2.0}, "`ignore` is not an integer"),
        ([IMAGE], ["m.png"], {"ignore": -1}, "`ignore` cannot occur in mask files"),
        ([IMAGE], [MASK], {"classes": "abc"}, "`classes` is not a list of names"),
        ([IMAGE], [MASK], {"classes": ["a", "a", "c"]}, "`classes` cannot be used"),
        ([IMAGE], [MASK], {"classes": []}, "`classes` cannot be used"),
    ],
)
def test_arguments_that_are_refused(images: Any, masks: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        ArrayDataset(images, masks, **options)


def test_an_image_that_is_none_is_named() -> None:
    data = ArrayDataset([IMAGE, np.full((4, 5), np.nan)], [MASK, MASK])
    with pytest.raises(DataError, match=r"images\[1\]"):
        data.load(data.samples[1])
    data = ArrayDataset([IMAGE, np.zeros((4, 5, 2))], [MASK, MASK])
    with pytest.raises(ShapeError, match=r"images\[1\], \(4, 5, 2\)"):
        data.load(data.samples[1])


def test_notes_count_each_image_once() -> None:
    data = ArrayDataset([IMAGE[..., 0].astype(np.uint16) * 60] * 2, [MASK] * 2)
    for sample in data.samples * 2:
        data.load(sample)
    assert list(data.notes.counts().values()) == [2]


def test_all_images_are_one_set_in_the_given_order() -> None:
    data = ArrayDataset([IMAGE] * 11, [MASK] * 11)
    assert [sample.stem for sample in data.samples] == [f"{k:02d}" for k in range(11)]
    training, held_out = data.training_splits(fraction=0.2, seed=3)
    assert len(held_out) == 2
    assert sorted(s.stem for s in training + held_out) == [s.stem for s in data.samples]
    assert (data.splits, data.scenes, data.guessed_toml, data.native) == ((), {}, None, False)
    with pytest.raises(ConfigError, match="arrays have no splits"):
        data.training_splits("fold1")


def test_the_digest_is_that_of_the_pixels(tmp_path: Path) -> None:
    Image.fromarray(IMAGE).save(tmp_path / "a.png")
    other = IMAGE.copy()
    other[3, 4, 2] += 1
    images = [IMAGE, IMAGE.copy(), other, IMAGE[:2], tmp_path / "a.png"]
    digests = [sample.image_digest() for sample in ArrayDataset(images, [MASK] * 5).samples]
    assert digests[0] == digests[1]
    assert len({*digests[:4]}) == 3
    assert digests[4] is None
