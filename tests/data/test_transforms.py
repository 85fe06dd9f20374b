"""Images and labels stay together through every transform."""

from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lstm2d.data.transforms import (
    flip,
    normalise,
    pad_labels_to_multiple,
    pad_to_multiple,
    random_color,
    random_crop,
    random_flip,
    random_rotation,
    random_scale,
)
from lstm2d.errors import ShapeError


@pytest.fixture
def image(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a photograph of noise."""
    return rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)


@pytest.fixture
def labels(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return labels of the same size."""
    return rng.integers(0, 4, (6, 8), dtype=np.uint8)


def test_normalise_by_hand() -> None:
    image = np.array([[[10, 20, 30], [12, 26, 30]]], np.uint8)
    result = normalise(image, (10, 20, 0), (2, 3, 10))
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, [[[0, 0, 3], [1, 2, 3]]], atol=1e-6)


def test_normalise_against_the_formula(image: NDArray[np.uint8]) -> None:
    mean, std = np.array([120.3, 118.2, 99.9]), np.array([60.1, 3.3, 0.7])
    for source in (image, image.astype(np.float32) / 3):
        before = source.copy()
        expected = (source.astype(np.float64) - mean) / std
        np.testing.assert_allclose(
            normalise(source, mean.tolist(), std.tolist()), expected, rtol=2e-6, atol=4e-5
        )
        np.testing.assert_array_equal(source, before)


def test_normalise_other_channels(image: NDArray[np.uint8]) -> None:
    for mean, std in (((1,), (1,)), ((1, 2, 3), (1, 2))):
        with pytest.raises(ShapeError, match="channels"):
            normalise(image, mean, std)
    with pytest.raises(ShapeError):
        normalise(image[0], (1, 2, 3), (1, 2, 3))


def test_pad_by_hand() -> None:
    image = np.arange(6).reshape(2, 3, 1)
    expected = [[0, 1, 2, 2], [3, 4, 5, 5], [3, 4, 5, 5], [3, 4, 5, 5]]
    np.testing.assert_array_equal(pad_to_multiple(image, 4)[..., 0], expected)
    labels = np.array([[0, 1, 2], [3, 4, 5]], np.uint8)
    expected = [[0, 1, 2, 255], [3, 4, 5, 255], [255] * 4, [255] * 4]
    np.testing.assert_array_equal(pad_labels_to_multiple(labels, 4), expected)
    assert pad_labels_to_multiple(labels, 4, ignore=9)[3, 3] == 9


@settings(max_examples=50)
@given(rows=st.integers(1, 12), columns=st.integers(1, 12), multiple=st.integers(1, 7))
def test_pad_any_size(rows: int, columns: int, multiple: int) -> None:
    image = np.random.default_rng(0).random((rows, columns, 3)).astype(np.float32)
    labels = np.zeros((rows, columns), np.uint8)
    padded, labels_padded = pad_to_multiple(image, multiple), pad_labels_to_multiple(labels, multiple)
    assert padded.shape[:2] == labels_padded.shape
    for before, after in zip((rows, columns), padded.shape[:2], strict=True):
        assert after % multiple == 0
        assert before <= after < before + multiple
    np.testing.assert_array_equal(padded[:rows, :columns], image)
    assert (labels_padded == 0).sum() == rows * columns
    assert padded.dtype == np.float32


def test_flip_mirrors_both(image: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
    mirrored, mirrored_labels = flip(image, labels)
    np.testing.assert_array_equal(mirrored[:, 0], image[:, -1])
    np.testing.assert_array_equal(mirrored_labels, np.fliplr(labels))
    assert mirrored.flags.c_contiguous
    np.testing.assert_array_equal(flip(mirrored, mirrored_labels)[0], image)


def test_every_second_image_is_mirrored(image: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
    turned = 0
    for seed in range(400):
        a, b = random_flip(image, labels, np.random.default_rng(seed))
        mirrored = not np.array_equal(a, image)
        assert mirrored != np.array_equal(b, labels)
        turned += mirrored
    assert 160 < turned < 240


def test_scale_by_one_changes_nothing(
    image: NDArray[np.uint8], labels: NDArray[np.uint8], rng: np.random.Generator
) -> None:
    scaled, scaled_labels = random_scale(image, labels, rng, amount=0)
    np.testing.assert_allclose(scaled, image, atol=1e-4)
    np.testing.assert_array_equal(scaled_labels, labels)


def test_scale_keeps_labels_with_their_pixels(rng: np.random.Generator) -> None:
    """Labels follow the image: both are the same, and their borders stay within a pixel."""
    labels = np.zeros((40, 60), np.uint8)
    labels[:25, 10:40] = 3
    labels[30:, 50:] = 255
    image = np.repeat(labels[:, :, None], 3, axis=2)
    sizes = set()
    for _ in range(20):
        scaled, scaled_labels = random_scale(image, labels, rng, amount=0.5)
        sizes.add(scaled_labels.shape)
        assert scaled.shape == (*scaled_labels.shape, 3)
        assert scaled.dtype == np.float32
        assert set(np.unique(scaled_labels)) <= {0, 3, 255}
        assert scaled_labels.flags.writeable
        inner = np.abs(scaled[..., 0] - scaled_labels) < 1e-3
        assert inner.mean() > 0.85
        ratio = scaled_labels.shape[0] / 40
        assert 1 / 1.5 - 0.02 <= ratio <= 1.5 + 0.02
        assert scaled_labels.shape[1] / 60 == pytest.approx(ratio, abs=0.02)
    assert len(sizes) > 10


def test_scale_of_one_pixel(rng: np.random.Generator) -> None:
    scaled, labels = random_scale(np.full((1, 1, 3), 7.0), np.array([[2]], np.uint8), rng, amount=3)
    assert (scaled == 7).all()
    assert (labels == 2).all()


def test_colour_by_the_formula(image: NDArray[np.uint8]) -> None:
    amount, seed = 0.2, 5
    draws = np.random.default_rng(seed).uniform(-1, 1, 5)
    shift, contrast, gains = amount * 128 * draws[0], 1.2 ** draws[1], 1.1 ** draws[2:]
    middle = image.mean()
    expected = np.clip(((image - middle) * contrast + middle) * gains + shift, 0, 255)
    result = random_color(image, np.random.default_rng(seed), amount=amount)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-3)


def test_no_colour_change(image: NDArray[np.uint8], rng: np.random.Generator) -> None:
    np.testing.assert_allclose(random_color(image, rng, amount=0), image, atol=1e-4)


def test_same_draws_same_result(image: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
    def both(seed: int) -> bytes:
        rng = np.random.default_rng(seed)
        scaled, _ = random_scale(image, labels, rng, amount=0.3)
        return random_color(scaled, rng, amount=0.3).tobytes()

    assert both(1) == both(1) != both(2)


def numbered(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an image and labels whose values are the position of each pixel."""
    labels = np.arange(rows * columns, dtype=np.uint8).reshape(rows, columns)
    return np.stack([labels, labels + 100, 255 - labels], axis=2), labels


def test_crop_by_hand_with_reflection() -> None:
    image, labels = numbered(1, 3)
    places = set()
    for seed in range(50):
        place = random_crop(labels.shape, np.random.default_rng(seed), size=(2, 7))
        cut, cut_labels = image[place], labels[place]
        np.testing.assert_array_equal(cut[..., 0], cut_labels)
        np.testing.assert_array_equal(cut_labels[0], cut_labels[1])  # one row reflects onto itself
        places.add(tuple(cut_labels[0].tolist()))
    endless = [0, 1, 2, 1] * 4
    assert places == {tuple(endless[k : k + 7]) for k in range(4)}


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 20), st.integers(1, 20), st.integers(0, 99))
def test_crop_cuts_out_what_is_there_and_reflects_the_rest(
    rows: int, columns: int, high: int, wide: int, seed: int
) -> None:
    image, labels = numbered(rows, columns)
    place = random_crop(labels.shape, np.random.default_rng(seed), size=(high, wide))
    cut, cut_labels = image[place], labels[place]
    assert cut.shape == (high, wide, 3)
    assert cut_labels.shape == (high, wide)
    assert cut.flags.c_contiguous
    assert cut_labels.flags.c_contiguous
    np.testing.assert_array_equal(cut[..., 0], cut_labels)
    padding = [(max(0, high - rows),) * 2, (max(0, wide - columns),) * 2]
    world = np.pad(labels, padding, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(world, (high, wide))
    assert (windows == cut_labels).all(axis=(2, 3)).any()
    if high >= rows and wide >= columns:  # the whole image is in it
        assert set(labels.ravel()) <= set(cut_labels.ravel())


def test_every_place_is_drawn() -> None:
    places = [random_crop((4, 5), np.random.default_rng(seed), size=(2, 3)) for seed in range(200)]
    found = {(int(rows[0, 0]), int(columns[0, 0])) for rows, columns in places}
    assert found == {(row, column) for row in range(3) for column in range(3)}


class Fixed:
    """A generator whose uniform numbers are all the same share of the range."""

    def __init__(self, share: float) -> None:
        self.share = share

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * (self.share + 1) / 2


def rotated(image: Any, labels: Any, degrees: float, fill: Any = (7.0, 8.0, 9.0)) -> tuple[Any, Any]:
    rng = cast(np.random.Generator, Fixed(1.0 if degrees > 0 else -1.0))
    return random_rotation(image, labels, rng, amount=abs(degrees), fill=fill, ignore=250)


def test_rotation_by_hand() -> None:
    image = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    labels = np.arange(9, dtype=np.uint8).reshape(3, 3)
    same = rotated(image, labels, 1e-9)
    np.testing.assert_allclose(same[0], image, atol=1e-6)
    np.testing.assert_array_equal(same[1], labels)
    # by 45 degrees anticlockwise: the middle of the right side comes to the corner at the top right
    turned, where = rotated(image, labels, 45)
    assert where.tolist() == [[1, 2, 5], [0, 4, 8], [3, 6, 7]]
    np.testing.assert_allclose(turned[0, 2], image[1, 2], atol=1e-5)  # from the outer half of that pixel
    np.testing.assert_allclose(turned[1, 1], image[1, 1], atol=1e-5)
    # (0, 1) lies at (1 - sqrt(1/2), 1 + sqrt(1/2)) of the image
    near, far = 1 - np.sqrt(0.5), np.sqrt(0.5)
    expected = (
        near * far * image[0, 1] + far * far * image[0, 2] + near**2 * image[1, 1] + near * far * image[1, 2]
    )
    np.testing.assert_allclose(turned[0, 1], expected, rtol=1e-5)


@given(
    degrees=st.floats(-45, 45).filter(lambda d: abs(d) > 1e-3),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
)
def test_image_and_mask_turn_alike(degrees: float, height: int, width: int) -> None:
    """Two channels are row and column: bilinear interpolation gives the place that the label comes from."""
    rows, columns = np.indices((height, width))
    image = np.stack([rows, columns, 0 * rows], axis=2).astype(np.float32)
    labels = ((7 * rows + 3 * columns) % 200).astype(np.uint8)
    turned, where = rotated(image, labels, degrees * (-1) ** height, fill=(-1.0, -1.0, -1.0))
    filled = (turned == -1).all(axis=2)
    np.testing.assert_array_equal(filled, where == 250)
    place = turned[..., :2]
    sure = ~filled & (np.abs(place - np.floor(place) - 0.5) > 1e-3).all(axis=2)
    nearest = np.rint(place[sure]).astype(int)
    np.testing.assert_array_equal(where[sure], labels[nearest[:, 0], nearest[:, 1]])
    middle = (height - 1) / 2, (width - 1) / 2
    distance = np.hypot(rows - middle[0], columns - middle[1])
    source = np.hypot(place[..., 0] - middle[0], place[..., 1] - middle[1])
    inner = ~filled & (place > 0).all(axis=2) & (place < (height - 1, width - 1)).all(axis=2)
    np.testing.assert_allclose(source[inner], distance[inner], atol=1e-3)


def test_a_small_rotation_fills_the_corners_alone() -> None:
    image, labels = np.zeros((60, 80, 3), np.uint8), np.zeros((60, 80), np.uint8)
    for degrees in (-8.0, 8.0):
        turned, where = rotated(image, labels, degrees)
        outside = where == 250
        assert outside[[0, 0, -1, -1], [0, -1, 0, -1]].any()
        assert 0.02 < outside.mean() < 0.2
        assert not outside[15:45, 20:60].any()
        assert (turned[outside] == (7, 8, 9)).all()
        assert not turned[~outside].any()


def test_angles_are_uniform_and_come_from_the_generator(
    image: NDArray[np.uint8], labels: NDArray[np.uint8]
) -> None:
    first = random_rotation(image, labels, np.random.default_rng(3), amount=8, fill=(0, 0, 0))
    second = random_rotation(image, labels, np.random.default_rng(3), amount=8, fill=(0, 0, 0))
    np.testing.assert_array_equal(first[0], second[0])
    degrees = 8 * np.random.default_rng(3).uniform(-1, 1)
    np.testing.assert_array_equal(first[0], rotated(image, labels, degrees, (0, 0, 0))[0])
