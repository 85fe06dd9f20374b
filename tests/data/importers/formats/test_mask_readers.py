"""Masks are read by number, by colour and by a threshold."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lstm2d.data.importers.formats.mask_readers import color_reader, number_reader, threshold_reader
from lstm2d.errors import DataError
from lstm2d.io.classes import ClassInfo

Save = Callable[..., Path]
CLASSES = (ClassInfo("sky", (0, 0, 255)), ClassInfo("road", (100, 100, 100)))
COLORS = [((0, 0, 255), 0), ((100, 100, 100), 1), ((0, 0, 0), 255)]
VALUES = [0, 5, 255, *[-1] * 253]


def test_numbers(save: Save) -> None:
    read = number_reader(VALUES)
    labels = read(save("a.png", [[0, 1], [2, 1]]))
    np.testing.assert_array_equal(labels, [[0, 5], [255, 5]])
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(
        read(save("p.png", [[2, 0]], palette=[9, 9, 9, 8, 8, 8, 7, 7, 7])), [[255, 0]]
    )


def test_a_number_that_is_not_known(save: Save) -> None:
    path = save("a.png", [[0, 1, 1], [3, 3, 0]])
    with pytest.raises(DataError, match=r"mask value 3 at row 1, column 0 \(2 such pixels\)") as error:
        number_reader(VALUES, hint="look again")(path)
    assert error.value.where == path
    assert error.value.expected == "0 to 2"
    assert error.value.hint == "look again"


def test_colours_are_no_numbers(save: Save) -> None:
    with pytest.raises(DataError, match="a mask of colours"):
        number_reader(VALUES)(save("a.png", [[[1, 2, 3]]]))


def test_colours(save: Save) -> None:
    read = color_reader(COLORS, CLASSES)
    mask = [[[0, 0, 255], [100, 100, 100], [0, 0, 0]]]
    np.testing.assert_array_equal(read(save("a.png", mask)), [[0, 1, 255]])
    gray = save("g.png", [[100, 0]])
    np.testing.assert_array_equal(read(gray), [[1, 255]])
    indexed = save("p.png", [[0, 1, 1]], palette=[100, 100, 100, 0, 0, 255])
    np.testing.assert_array_equal(read(indexed), [[1, 0, 0]])


def test_a_colour_that_is_not_known(save: Save) -> None:
    path = save("a.png", [[[0, 0, 255], [0, 0, 254]]])
    with pytest.raises(DataError, match=r"colour \(0, 0, 254\) at row 0, column 1 \(1 pixels") as error:
        color_reader(COLORS, CLASSES)(path)
    assert "(0, 0, 255) sky" in str(error.value.expected)
    assert "(0, 0, 0) ignored" in str(error.value.expected)


def test_the_nearest_colour(save: Save, rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    colors = [(tuple(int(v) for v in c), k) for k, c in enumerate(rng.integers(0, 256, (7, 3)))]
    labels = color_reader(colors, (), nearest=True)(save("a.png", pixels))
    distances = [((pixels.astype(float) - c) ** 2).sum(axis=2) for c, _ in colors]
    np.testing.assert_array_equal(labels, np.argmin(distances, axis=0))


def test_lossy_masks_only_if_allowed(save: Save) -> None:
    blocks = np.kron(np.array([[[0, 0, 255], [100, 100, 100]], [[0, 0, 0], [0, 0, 255]]]), np.ones((8, 8, 1)))
    path = save("a.jpg", blocks, quality=60)
    with pytest.raises(DataError, match="does not keep class numbers"):
        color_reader(COLORS, CLASSES)(path)
    expected = np.kron([[0, 1], [255, 0]], np.ones((8, 8)))
    labels = color_reader(COLORS, CLASSES, nearest=True)(save("b.jpg", blocks, quality=95, subsampling=0))
    np.testing.assert_array_equal(labels, expected)


def test_a_threshold(save: Save) -> None:
    levels = [[0, 99, 100, 255]]
    read = threshold_reader(100)
    np.testing.assert_array_equal(read(save("a.png", levels)), [[0, 0, 1, 1]])
    rgb = np.repeat(np.array(levels)[..., None], 3, axis=2)
    np.testing.assert_array_equal(read(save("rgb.png", rgb)), [[0, 0, 1, 1]])
    # a palette of grays counts by its grays, one of colours by its numbers
    np.testing.assert_array_equal(read(save("p.png", [[0, 1]], palette=[255] * 3 + [0] * 3)), [[1, 0]])
    indices = save("c.png", [[0, 200]], palette=[0, 0, 0] * 200 + [9, 0, 0])
    np.testing.assert_array_equal(read(indices), [[0, 1]])


def test_a_threshold_for_jpeg(save: Save) -> None:
    gray = np.kron([[0, 255], [255, 0]], np.ones((8, 8)))
    with pytest.raises(DataError, match="does not keep class numbers"):
        threshold_reader(128)(save("a.jpg", gray))
    read = threshold_reader(128, lossy=True)
    np.testing.assert_array_equal(read(save("a.jpg", gray)), gray > 0)
    rgb = np.repeat(gray[..., None], 3, axis=2)
    np.testing.assert_array_equal(read(save("rgb.jpg", rgb)), gray > 0)


def test_a_threshold_is_not_for_colours(save: Save) -> None:
    path = save("a.png", [[[0, 0, 0], [255, 0, 0]]])
    with pytest.raises(DataError, match=r"a mask of colours, \(255, 0, 0\) at row 0, column 1") as error:
        threshold_reader(128)(path)
    assert "`colors`" in str(error.value.hint)
