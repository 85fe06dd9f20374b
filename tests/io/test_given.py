"""Images given from Python: invalid ones are errors that say how to convert them."""

import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from lstm2d.errors import ConfigError, DataError, Lstm2dError, ShapeError
from lstm2d.io.given import photo_of
from lstm2d.io.photo import Reading


class Unhelpful:
    """An array on a device that NumPy cannot reach."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")


@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((), None),
        ((4,), None),
        ((0, 4, 3), None),
        ((4, 0), None),
        ((4, 5, 2), r"image\[\.\.\., 0\]"),
        ((6, 5, 5), r"image\[\.\.\., :3\]"),
        ((4, 20, 30), r"image\.transpose\(1, 2, 0\)"),
        ((2, 20, 30), r"image\.transpose\(1, 2, 0\)"),
        ((12, 20, 30), r"image\.transpose\(1, 2, 0\)"),
        ((2, 20, 30, 3), "for image in images"),
        ((8, 3, 20, 30), "for image in images"),
        ((1, 1, 20, 30, 3), "one image at a time"),
    ],
)
def test_shapes_that_are_no_image(shape: tuple[int, ...], hint: str | None) -> None:
    with pytest.raises(ShapeError, match="image to label") as e:
        photo_of(np.zeros(shape, np.uint8))
    assert str(shape) in str(e.value)
    if hint is None:
        assert e.value.hint is None
    else:
        with pytest.raises(ShapeError, match=hint):
            raise e.value


def test_a_list_of_images_is_no_image() -> None:
    """Three gray images are not taken for red, green and blue either."""
    gray = np.zeros((5, 7), np.uint8)
    for images in ([gray] * 3, [Image.fromarray(gray)] * 3, (gray, gray)):
        with pytest.raises(ShapeError, match="one image at a time"):
            photo_of(images)
    assert photo_of([Image.new("RGB", (7, 5))]).size == (5, 7)


def test_channels_last_win_where_both_are_possible() -> None:
    values = np.arange(3 * 5 * 3, dtype=np.uint8).reshape(3, 5, 3)
    photo = photo_of(values)
    np.testing.assert_array_equal(photo.pixels, values)
    assert photo.notes == ()


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.ma.masked_greater(np.arange(60).reshape(4, 5, 3), 36), "23 masked values, the first at row 2"),
        ([[1, 2], [3]], "cannot make an array"),
        (Unhelpful(), "Implicit conversion"),
        (b"\x89PNG", "image of type"),
        (BytesIO(b"\x89PNG"), "image of type object"),
        (None, "image of type object"),
        (np.zeros((4, 5), np.complex64), "image of type complex64"),
        (np.full((4, 5), "a"), "image of type <U1"),
        (np.zeros((4, 5), "datetime64[s]"), "image of type datetime64"),
        (np.array([[0, -3], [0, -9]]), "the value -9; the first below 0 is at row 0, column 1"),
        (np.array([[0, 65_536]]), "the value 65536"),
        (np.array([[0.5, 0.1], [np.nan, 0]]), "NaN or infinite value at row 1, column 0"),
        (np.array([[[0.5, 0.1, np.inf]]]), "NaN or infinite value at row 0, column 0"),
        (np.array([[-1.0, 1.0]]), "values from -1 to 1"),
        (np.array([[-2.1, 2.6]]), "values from -2.1 to 2.6"),
        (np.array([[-20.0, 60.0]]), "values from -20 to 60"),
        (np.array([[0, 70_000.0]]), "values from 0 to 70000"),
        (np.array([[[0.5, 0.1, 0.2, np.nan]]]), "opacity that is NaN or infinite at row 0, column 0"),
    ],
)  # fmt: skip
def test_values_that_are_no_image(image: object, message: str) -> None:
    with pytest.raises(DataError) as e:
        photo_of(image)
    assert message in str(e.value)
    assert e.value.expected


def test_normalised_images_are_explained() -> None:
    with pytest.raises(DataError, match="undo the normalisation"):
        photo_of(np.linspace(-2, 2, 20).reshape(4, 5))


@pytest.mark.parametrize(
    ("values", "expected", "notes"),
    [
        ([0, 0.5, 1], [0, 127.5, 255], 0),
        ([-0.0009, 0.5, 1.0009], [0, 127.5, 255], 0),
        ([-0.0011, 0.5, 1], [0, 127.5, 255], 1),
        ([0, 0.5, 1.0011], [0, 127.5, 255], 1),
        ([-0.5, 0.5, 2], [0, 127.5, 255], 1),
        ([0, 1, 2.01], [0, 1, 2.01], 0),
        ([-0.25, 1, 255.25], [0, 1, 255], 0),
        ([-0.26, 1, 255], [0, 1, 255], 1),
        ([0, 1, 510], [0, 1, 255], 1),
        ([0, 1023, 511], [0, 255, 511 * 255 / 1023], 1),
        ([0, 65535, 1], [0, 255, 1 / 257], 1),
    ],
)
def test_ranges_of_floats(values: list[float], expected: list[float], notes: int) -> None:
    photo = photo_of(np.array([values], np.float64))
    np.testing.assert_allclose(photo.pixels[0, :, 0], expected, rtol=1e-6)
    assert len(photo.notes) == notes


def test_bits_and_floats() -> None:
    values = np.array([[0.0, 300.0, 4095.0]])
    np.testing.assert_allclose(
        photo_of(values, Reading(bits=12)).pixels[0, :, 0], values[0] * 255 / 4095, rtol=1e-6
    )
    assert photo_of(values, Reading(bits=12)).notes == ()
    np.testing.assert_array_equal(photo_of([[0.0, 1.0]], Reading(bits=12)).pixels[0, :, 0], [0, 255])


def test_bits_apply_where_there_is_more_room() -> None:
    few = np.array([[0, 7, 15]], np.uint8)
    np.testing.assert_array_equal(photo_of(few, Reading(bits=4)).pixels[0, :, 0], [0, 119, 255])
    np.testing.assert_allclose(photo_of(few, Reading(bits=5)).pixels[0, :, 0], few[0] * (255 / 31), rtol=1e-6)
    np.testing.assert_array_equal(photo_of(few, Reading(bits=12)).pixels[0, :, 0], few[0])
    with pytest.raises(DataError, match="the value 15, which is more than 3 bits hold"):
        photo_of(few, Reading(bits=3))
    with pytest.raises(DataError, match="which is more than 12 bits hold"):
        photo_of(np.array([[5000]], np.uint16), Reading(bits=12))


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.uint16, np.int32, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("bits", [None, 8, 12, 16])
def test_black_images(dtype: Any, bits: int | None) -> None:
    photo = photo_of(np.zeros((2, 3), dtype), Reading(bits=bits))
    assert (photo.pixels == 0).all()
    assert photo.notes == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"bits": 0},
        {"bits": 17},
        {"max_pixels": 0},
        {"background": (0, 0, 256)},
        {"background": (0, 0)},
    ],
)
def test_wrong_choices(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Reading(**wrong)


def test_limit_of_pixels_holds_for_what_is_not_decoded_yet(tmp_path: Path) -> None:
    Image.new("RGB", (7, 5)).save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image, pytest.raises(DataError, match=r"too large .*a\.png"):
        photo_of(image, Reading(max_pixels=34))
    assert photo_of(np.zeros((5, 7, 3), np.uint8), Reading(max_pixels=34)).size == (5, 7)


def test_a_damaged_file_opened_with_pillow(tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 50, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:2000])
    with Image.open(tmp_path / "a.png") as image, pytest.raises(DataError, match=r"cannot decode .*a\.png"):
        photo_of(image)


@given(
    arrays.arrays(
        st.sampled_from([np.uint8, np.uint16, np.int32, np.float16, np.float32, np.float64, np.bool_]),
        arrays.array_shapes(min_dims=1, max_dims=4, max_side=6),
    )
)
def test_any_array_is_a_photo_or_one_error(values: np.ndarray) -> None:
    before = values.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            photo = photo_of(values)
        except Lstm2dError:
            return
        finally:
            np.testing.assert_array_equal(values, before)
    assert photo.pixels.shape[2] == 3
    assert photo.pixels.min() >= 0
    assert photo.pixels.max() <= 255.001
    assert all("\n" not in note for note in photo.notes)
