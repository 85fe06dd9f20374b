"""The size of a network's input, worked out by hand; reading for training uses the same."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm2d.data.contrast import with_contrast
from lstm2d.data.transforms import normalise
from lstm2d.errors import ConfigError
from lstm2d.pipeline.preprocess import Preprocessing, Size, parse_size, reduced

STANFORD = Preprocessing((0.0,) * 3, (1.0,) * 3, typical_size=math.sqrt(320 * 240))


@pytest.mark.parametrize(
    ("height", "width", "size", "expected"),
    [
        (240, 320, "auto", (240, 320)),
        (2880, 3840, "auto", (240, 320)),  # a phone's photograph
        (3840, 2880, "auto", (320, 240)),
        (360, 480, "auto", (360, 480)),  # 1.5 times as large: stays
        (361, 481, "auto", (240, 320)),  # a little more
        (160, 214, "auto", (160, 214)),  # a little above 1/1.5
        (159, 213, "auto", (239, 321)),
        (60, 80, "auto", (240, 320)),
        (40, 50, "auto", (160, 200)),  # at most 4 times
        (1, 1, "auto", (4, 4)),
        (1, 1_000_000, "auto", (1, 277_128)),  # no side below 1
        (2880, 3840, "native", (2880, 3840)),
        (2880, 3840, 554.2562584, (480, 640)),
        (240, 320, 300.0, (260, 346)),  # a number is a number: no tolerance
        (240, 320, 277.1281292, (240, 320)),
        (240, 320, 10_000.0, (960, 1280)),
    ],
)
def test_size_by_hand(height: int, width: int, size: Size, expected: tuple[int, int]) -> None:
    assert STANFORD.network_size(height, width, size) == expected


def test_pixels_of_a_fixed_scale_and_unknown_sizes_keep_theirs() -> None:
    native = Preprocessing((0.0,) * 3, (1.0,) * 3, typical_size=100.0, native=True)
    unknown = Preprocessing((0.0,) * 3, (1.0,) * 3)
    for model in (native, unknown):
        assert model.network_size(900, 1000) == (900, 1000)
        assert model.network_size(900, 1000, 300.0) == (285, 316)


@given(height=st.integers(1, 20_000), width=st.integers(1, 20_000), typical=st.floats(1, 5000))
def test_size_properties(height: int, width: int, typical: float) -> None:
    model = Preprocessing((0.0,) * 3, (1.0,) * 3, typical_size=typical)
    rows, columns = model.network_size(height, width)
    assert rows >= 1
    assert columns >= 1
    side = math.sqrt(height * width)
    if typical / 1.5 < side < typical * 1.5:
        assert (rows, columns) == (height, width)
    if min(rows, columns) > 20:  # the ratio of the sides is kept
        assert rows / columns == pytest.approx(height / width, rel=0.05)
        assert math.sqrt(rows * columns) == pytest.approx(
            side if (rows, columns) == (height, width) else min(typical, 4 * side), rel=0.05
        )
    assert rows <= 4 * height
    assert columns <= 4 * width


@pytest.mark.parametrize(
    ("given", "size"), [("auto", "auto"), ("native", "native"), ("320", 320.0), (480, 480.0)]
)
def test_sizes_that_can_be_asked_for(given: object, size: Size) -> None:
    assert parse_size(given) == size


@pytest.mark.parametrize(
    "given", ["", "big", "0", "0.5", "-3", "1e3", "nan", "99999", True, None, "²", "3x4"]
)
def test_sizes_that_cannot(given: object) -> None:
    with pytest.raises(ConfigError, match="size") as caught:
        parse_size(given)
    assert "auto, native" in str(caught.value)


def test_network_input(rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 256, (4, 7, 3), dtype=np.uint8)
    model = Preprocessing((10.0, 20.0, 30.0), (1.0, 2.0, 4.0), 3, "local")
    x = model.network_input(pixels)
    assert x.shape == (1, 6, 9, 3)
    expected = normalise(with_contrast(pixels, "local"), model.mean, model.std)
    np.testing.assert_array_equal(x[0, :4, :7], expected)
    np.testing.assert_array_equal(x[0, 4:, :7], np.repeat(expected[-1:], 2, axis=0))


def test_resized_returns_the_same_array_where_nothing_changes(rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 256, (240, 320, 3), dtype=np.uint8)
    assert STANFORD.resized(pixels) is pixels
    assert STANFORD.resized(pixels[:60, :80]).shape == (240, 320, 3)


def test_reduced_for_training(rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)
    labels = np.repeat(np.repeat(np.arange(6, dtype=np.uint8).reshape(2, 3), 20, axis=0), 20, axis=1)
    for size in ("native", 49.0, 4000.0):  # images that are not larger
        same = reduced(pixels, labels, size)
        assert same[0] is pixels
        assert same[1] is labels
    small, classes = reduced(pixels, labels, math.sqrt(20 * 30))
    assert small.shape == (20, 30, 3)
    assert small.dtype == np.uint8
    assert classes.tolist() == [[0] * 10 + [1] * 10 + [2] * 10] * 10 + [[3] * 10 + [4] * 10 + [5] * 10] * 10
    np.testing.assert_allclose(small.mean(), pixels.mean(), atol=1.5)
    assert reduced(pixels.astype(np.float32), labels, 10.0)[0].dtype == np.float32
