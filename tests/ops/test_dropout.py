"""dropout: the share of zeros, its random numbers, the gradient."""

import numpy as np
import pytest

from lstm2d import Tensor, backward
from lstm2d.errors import ShapeError
from lstm2d.ops import dropout


def mask(
    shape: tuple[int, ...], *, seed: int = 1, epoch: int = 2, samples: tuple[int, ...], layer: int = 3
) -> np.ndarray:
    x = Tensor(np.ones(shape, np.float32))
    return dropout(x, 0.5, seed=seed, epoch=epoch, samples=samples, layer=layer).data


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_share_and_scale(dtype: type, rate: float) -> None:
    x = Tensor(np.full((2, 50, 40, 50), 3, dtype), requires_grad=True)
    y = dropout(x, rate, seed=0, epoch=0, samples=[4, 5])
    backward(y, np.full(x.shape, 7, dtype))
    kept = y.data != 0
    assert y.dtype == dtype
    assert kept.mean() == pytest.approx(1 - rate, abs=0.003)
    np.testing.assert_allclose(y.data[kept], 3 / (1 - rate), rtol=1e-6)
    assert x.grad is not None
    np.testing.assert_allclose(x.grad, kept * 7 / (1 - rate), rtol=1e-6)


def test_neighbours_are_independent() -> None:
    values = (mask((1, 100, 100, 8), samples=(0,)) > 0).astype(float)
    for axis in (1, 2, 3):
        a, b = np.delete(values, 0, axis), np.delete(values, -1, axis)
        assert np.corrcoef(a.ravel(), b.ravel())[0, 1] == pytest.approx(0, abs=0.02)


def test_which_values_depends_on_four_numbers_and_on_nothing_else() -> None:
    base = mask((1, 9, 9, 3), samples=(7,))
    np.testing.assert_array_equal(mask((3, 9, 9, 3), samples=(6, 7, 8))[1:2], base)
    np.testing.assert_array_equal(mask((1, 9, 9, 3), samples=(7,)), base)
    for other in ({"seed": 2}, {"epoch": 3}, {"layer": 4}):
        assert (mask((1, 9, 9, 3), samples=(7,), **other) != base).any()  # type: ignore[arg-type]
    assert (mask((1, 9, 9, 3), samples=(8,)) != base).any()


def test_off() -> None:
    x = Tensor(np.ones((1, 2)))
    assert dropout(x, 0.5, seed=0, epoch=0, samples=[0], training=False) is x
    assert dropout(x, 0.0, seed=0, epoch=0, samples=[0]) is x


def test_nan_is_seen() -> None:
    y = dropout(Tensor(np.full((1, 20), np.nan)), 0.5, seed=0, epoch=0, samples=[0])
    assert np.isnan(y.data).all()


def test_wrong() -> None:
    x = Tensor(np.ones((2, 2)))
    for rate in (-0.1, 1.0, np.nan):
        with pytest.raises(ValueError, match="rate"):
            dropout(x, rate, seed=0, epoch=0, samples=[0, 1])
    with pytest.raises(ShapeError, match=r"1 sample numbers for x \(2, 2\)"):
        dropout(x, 0.5, seed=0, epoch=0, samples=[0])
