"""Feature maps as pictures, by hand."""

import numpy as np
import pytest

from lstm2d.predict.layer_maps import LayerMaps
from lstm2d.report.map_pictures import (
    component_picture,
    gray_map,
    limits,
    principal_components,
    projected,
    to_gray,
)


def layer_of(values: object, stride: int = 1) -> LayerMaps:
    """Return a layer of one channel, or of several if `values` has three axes."""
    array = np.asarray(values, np.float32)
    return LayerMaps("layer", array if array.ndim == 3 else array[:, :, None], stride)


def test_every_pixel_gets_the_value_of_its_position() -> None:
    """Positions of 3x3 pixels on a photograph of 4x5: the last row and column are cut to 1 and 2 pixels."""
    values = np.array([[1, 2], [3, 4]], np.float32)
    pixels = [[1, 1, 1, 2, 2]] * 3 + [[3, 3, 3, 4, 4]]
    np.testing.assert_array_equal(projected(values, 3, (4, 5), (4, 5)), pixels)
    twice = np.repeat(np.repeat(pixels, 2, axis=0), 2, axis=1)
    np.testing.assert_array_equal(projected(values, 3, (4, 5), (8, 10)), twice)


def test_smaller_tiles_hold_means() -> None:
    values = np.arange(16, dtype=np.float32).reshape(4, 4)
    expected = [[2.5, 4.5], [10.5, 12.5]]  # of 0, 1, 4, 5 and so on
    np.testing.assert_allclose(projected(values, 1, (4, 4), (2, 2)), expected)


def test_gray_levels_by_hand() -> None:
    assert to_gray(np.array([-2, -1, 0, 1, 3], np.float32), -1, 1).tolist() == [0, 0, 128, 255, 255]
    assert to_gray(np.array([0, 0.5, 1], np.float32), 0.5, 1.0).tolist() == [0, 0, 255]
    assert to_gray(np.array([7, 7], np.float32), 7, 7).tolist() == [128, 128]


def test_black_and_white_are_percentiles() -> None:
    values = np.arange(101, dtype=np.float32)
    assert limits(values) == (2, 98)
    rare = np.zeros(1000, np.float32)
    rare[7] = 5
    assert limits(rare) == (0, 5)  # both percentiles are 0: minimum and maximum
    assert limits(np.full(9, 3, np.float32)) == (3, 3)


def test_lighter_is_higher() -> None:
    values = np.arange(101, dtype=np.float32).reshape(1, 101)
    picture, black, white = gray_map(layer_of(values), 0, (1, 101), (1, 101))
    assert (black, white) == (2, 98)
    assert picture[0, [0, 2, 50, 98, 100]].tolist() == [0, 0, 128, 255, 255]
    assert picture[0, 26] == round(255 * 24 / 96)


def test_components_of_known_directions(rng: np.random.Generator) -> None:
    """Independent columns along known orthonormal axes come back in order of strength, with fixed signs."""
    axes = np.linalg.qr(rng.standard_normal((5, 5)))[0][:, :4].T
    axes *= np.sign(axes[np.arange(4), np.abs(axes).argmax(axis=1)])[:, None]
    strengths = np.array([8.0, 4.0, 2.0, 1.0])
    sources = rng.standard_normal((120, 4))
    sources = np.linalg.qr(sources - sources.mean(axis=0))[0] * np.sqrt(120)
    values = (sources * strengths) @ axes + np.arange(5)
    found, share = principal_components(values.reshape(10, 12, 5).astype(np.float32))
    np.testing.assert_allclose(found.reshape(120, 3), (sources * strengths)[:, :3], atol=1e-4)
    assert share == pytest.approx((64 + 16 + 4) / 85, rel=1e-6)
    negative, _ = principal_components(-values.reshape(10, 12, 5).astype(np.float32))
    np.testing.assert_allclose(negative, -found, atol=1e-4)


def test_components_of_a_large_map_come_from_every_other_position() -> None:
    """One row and column of two count: an odd column that differs is projected, but changes no axis."""
    values = np.zeros((512, 512, 2), np.float32)
    values[::2, :, 0] = np.linspace(-1, 1, 512)
    values[:, 1::2, 1] = 9
    found, share = principal_components(values)
    assert share == 1
    assert (found[:, :, 1:] == 0).all()
    np.testing.assert_allclose(found[0, 2] - found[0, 0], [4 / 511, 0, 0], atol=1e-6)


def test_few_channels() -> None:
    ramp = np.arange(101, dtype=np.float32).reshape(1, 101)
    gray = gray_map(layer_of(ramp), 0, (1, 101), (1, 101))[0]
    for values in (ramp[..., None], np.stack([ramp, 0 * ramp], axis=2), np.stack([ramp, 2 * ramp], axis=2)):
        picture, share = component_picture(layer_of(values), (1, 101), (1, 101))
        assert np.abs(picture - gray[..., None].astype(int)).max() <= 1  # 212.5 may be rounded either way
        assert (np.ptp(picture, axis=2) == 0).all()
        assert share == pytest.approx(1)
    picture, share = component_picture(layer_of(np.full((2, 3, 4), 6.0)), (2, 3), (2, 3))
    assert (picture == 128).all()
    assert share == 1


def test_two_components_leave_blue_alone() -> None:
    row = np.arange(9, dtype=np.float32)
    values = np.stack(np.broadcast_arrays(3 * row[None, :], row[:, None]), axis=2)
    picture, _ = component_picture(layer_of(values), (9, 9), (9, 9))
    assert (np.diff(picture[4, 1:-1, 0].astype(int)) > 0).all()
    assert (np.diff(picture[1:-1, 4, 1].astype(int)) > 0).all()
    assert (picture[:, :, 2] == 128).all()
