"""First values of parameters: range, spread and repeatability."""

import numpy as np
import pytest

from lstm2d.nn import init


def test_uniform() -> None:
    x = init.uniform(np.random.default_rng(3), (200, 500), 0.1)
    assert x.dtype == np.float32
    assert -0.1 <= x.min() < -0.0999
    assert 0.0999 < x.max() <= np.float32(0.1)
    assert abs(x.mean()) < 1e-3
    assert x.std() == pytest.approx(0.2 / np.sqrt(12), rel=0.01)


def test_normal() -> None:
    x = init.normal(np.random.default_rng(3), (200, 500), 0.01)
    assert x.dtype == np.float32
    assert abs(x.mean()) < 2e-4
    assert x.std() == pytest.approx(0.01, rel=0.01)
    assert np.mean(np.abs(x) < 0.01) == pytest.approx(0.683, abs=0.01)


def test_glorot_uniform() -> None:
    x = init.glorot_uniform(np.random.default_rng(3), (100, 500), fan_in=100, fan_out=500)
    assert np.abs(x).max() == pytest.approx(0.1, rel=1e-3)
    assert x.std() == pytest.approx(np.sqrt(2 / 600), rel=0.01)
    assert init.glorot_uniform(np.random.default_rng(3), (0, 0), fan_in=0, fan_out=0).shape == (0, 0)


def test_the_same_numbers_for_each_dtype() -> None:
    for draw in (
        lambda rng, dtype: init.uniform(rng, (9,), 1, dtype),
        lambda rng, dtype: init.normal(rng, (9,), 1, dtype),
    ):
        wide, narrow = (draw(np.random.default_rng(4), dtype) for dtype in (np.float64, np.float32))
        assert wide.dtype == np.float64
        np.testing.assert_array_equal(wide.astype(np.float32), narrow)
