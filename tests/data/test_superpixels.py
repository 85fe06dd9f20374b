"""Superpixels are connected and nearly equal in area; their centres are nearest to the centroids."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from lstm2d.data.superpixels import centres, superpixels
from lstm2d.errors import ShapeError


def test_areas_are_nearly_equal_and_connected(rng: np.random.Generator) -> None:
    image = np.zeros((96, 128, 3), np.uint8)
    image[:, 70:] = (200, 30, 30)
    image[60:, :40] = (20, 200, 40)
    image += rng.integers(0, 8, image.shape, dtype=np.uint8)
    found = superpixels(image)
    area = np.bincount(found.ravel())
    assert area.min() > 0
    assert abs(area.size - 96 * 128 / 300) <= 0.2 * 96 * 128 / 300
    assert area.std() < 0.25 * area.mean()
    for number in range(area.size):
        assert ndimage.label(found == number)[1] == 1
    edge = found[:, 69] == found[:, 70]  # few superpixels cross the edge between two colours
    assert edge.mean() < 0.35


def test_the_range_of_the_type_does_not_matter(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    assert np.array_equal(superpixels(image, 100), superpixels(image.astype(np.float32), 100))


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 40, 3), (5, 7, 3), (17, 17, 3)])
def test_small_and_even_images(shape: tuple[int, int, int]) -> None:
    found = superpixels(np.full(shape, 90, np.uint8))
    assert found.shape == shape[:2]
    assert found.min() == 0
    assert np.bincount(found.ravel()).min() > 0


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 4), (0, 5, 3)])
def test_wrong_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="superpixels"):
        superpixels(np.zeros(shape, np.uint8))


def test_centres_by_hand() -> None:
    segments = np.array([[0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 1], [2, 2, 2, 2]])
    rows, columns = centres(segments)
    # centroids (1, 1), (1, 3), (3, 1.5); of the two pixels nearest to the last, the first one counts
    assert rows.tolist() == [1, 1, 3]
    assert columns.tolist() == [1, 3, 1]


def test_a_centre_lies_in_its_superpixel() -> None:
    segments = np.zeros((7, 7), int)
    segments[1:6, 1:6] = 1
    segments[2:5, 2:5] = 0  # a ring: the centroid of 1 is in 0
    rows, columns = centres(segments)
    assert (rows[1], columns[1]) == (1, 3)  # distance 2, as (3, 1), (3, 5) and (5, 3)
    assert (rows[0], columns[0]) == (3, 3)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 6), st.integers(0, 999))
def test_centres_as_one_by_one(height: int, width: int, count: int, seed: int) -> None:
    drawn = np.random.default_rng(seed).integers(0, count, (height, width))
    segments = np.unique(drawn, return_inverse=True)[1].reshape(drawn.shape)
    rows, columns = centres(segments)
    for number in range(segments.max() + 1):
        places = np.argwhere(segments == number)
        distance = np.sum((places - places.mean(axis=0)) ** 2, axis=1)
        own = (rows[number] - places[:, 0].mean()) ** 2 + (columns[number] - places[:, 1].mean()) ** 2
        assert segments[rows[number], columns[number]] == number
        assert own == pytest.approx(distance.min())
