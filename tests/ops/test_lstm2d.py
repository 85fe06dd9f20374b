"""lstm2d_layer against hand values, finite differences, every backend and its own symmetries."""

from math import atanh, tanh
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lstm2d import Tensor, backward, kernels
from lstm2d.errors import ShapeError
from lstm2d.ops import lstm2d_layer

BACKENDS = kernels.available("lstm2d")


def parameters(
    rng: np.random.Generator, channels: int, units: int, *, peepholes: bool = True, dtype: type = np.float64
) -> list[NDArray[Any]]:
    """Return weight, recurrent, bias and, if asked, peepholes: small values, so that cells stay small."""
    shapes = [(4, channels, 5 * units), (4, 2 * units, 5 * units), (4, 5 * units), (4, 5, units)]
    return [(0.3 * rng.standard_normal(s)).astype(dtype) for s in shapes[: 4 if peepholes else 3]]


def half_open(x: NDArray[Any]) -> list[NDArray[Any]]:
    """Return parameters of one unit whose gates are all 1/2 and whose candidate is 1/2."""
    bias = np.zeros((4, 5))
    bias[:, 3] = atanh(0.5)
    return [np.zeros((4, x.shape[3], 5)), np.zeros((4, 2, 5)), bias]


@pytest.mark.parametrize("backend", BACKENDS)
def test_values_by_hand(backend: str) -> None:
    x = np.zeros((1, 2, 2, 1))
    with kernels.use(backend):
        y = lstm2d_layer(Tensor(x), *map(Tensor, half_open(x))).data
    # every cell is 1/4 (input gate times candidate) and half of each old cell
    first, second, last = 0.25, 0.25 + 0.125, 0.25 + 0.1875 + 0.1875
    cells = np.array([[first, second], [second, last]])
    expected = np.stack([cells, cells[:, ::-1], cells[::-1], cells[::-1, ::-1]], axis=2)
    np.testing.assert_allclose(y[0], 0.5 * np.tanh(expected), rtol=1e-14)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradient_by_hand(backend: str) -> None:
    x = np.zeros((1, 1, 1, 1))
    leaves = [Tensor(a, requires_grad=True) for a in (x, *half_open(x))]
    with kernels.use(backend):
        y = lstm2d_layer(*leaves)
        backward(y, np.array([[[[1.0, 0.0, 0.0, 2.0]]]]))
    t = tanh(0.25)
    grad_cell = 0.5 * (1 - t * t)
    row = [grad_cell * 0.5 * 0.25, 0.0, 0.0, grad_cell * 0.5 * (1 - 0.25), t * 0.25]
    assert leaves[3].grad is not None
    np.testing.assert_allclose(leaves[3].grad, np.outer([1, 0, 0, 2], row), rtol=1e-14)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gates_and_peepholes_by_hand(backend: str) -> None:
    # each peephole alone moves one pre-activation of the second pixel by 0.25 times its weight
    x, weight = np.zeros((1, 1, 2, 1)), 2.0
    sigmoid = 1 / (1 + np.exp(-0.25 * weight))
    forget, gate_in = 0.5 * 0.25, 0.5 * 0.5
    cells = {0: forget + sigmoid * 0.5, 1: forget + gate_in, 2: sigmoid * 0.25 + gate_in, 3: forget + gate_in}
    for k in range(5):
        peepholes = np.zeros((4, 5, 1))
        peepholes[0, k] = weight
        with kernels.use(backend):
            y = lstm2d_layer(Tensor(x), *map(Tensor, [*half_open(x), peepholes])).data
        cell = cells.get(k, forget + gate_in)
        gate_out = 1 / (1 + np.exp(-weight * cell)) if k == 4 else 0.5
        assert y[0, 0, 1, 0] == pytest.approx(gate_out * tanh(cell), rel=1e-14)


@settings(max_examples=25)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    channels=st.integers(1, 4),
    units=st.integers(1, 5),
    seed=st.integers(0, 2**32 - 1),
)
def test_mirrored_image_exchanges_directions(
    height: int, width: int, channels: int, units: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((1, height, width, channels))
    weight, recurrent, bias, peepholes = parameters(rng, channels, units)
    y = lstm2d_layer(*map(Tensor, (x, weight, recurrent, bias, peepholes))).data
    for axis, order in ((2, [1, 0, 3, 2]), (1, [2, 3, 0, 1])):
        swapped = [p[order] for p in (weight, recurrent, bias, peepholes)]
        mirrored = lstm2d_layer(*map(Tensor, (np.flip(x, axis), *swapped))).data
        back = np.flip(mirrored, axis).reshape(1, height, width, 4, units)[..., order, :]
        np.testing.assert_array_equal(back.reshape(y.shape), y)


def test_error_clip_limits_what_enters(rng: np.random.Generator) -> None:
    arrays = [rng.standard_normal((1, 4, 3, 2)), *parameters(rng, 2, 2)]
    grad_y = 3 * rng.standard_normal((1, 4, 3, 8))
    grads = []
    for clip, grad in ((0.5, grad_y), (None, np.clip(grad_y, -0.5, 0.5)), (None, grad_y)):
        leaves = [Tensor(a, requires_grad=True) for a in arrays]
        backward(lstm2d_layer(*leaves, error_clip=clip), grad)
        grads.append([leaf.grad for leaf in leaves])
    for clipped, expected, free in zip(*grads, strict=True):
        np.testing.assert_array_equal(clipped, expected)
        assert not np.array_equal(clipped, free)


def test_wrong_shape(rng: np.random.Generator) -> None:
    x = Tensor(rng.standard_normal((1, 4, 5, 2)))
    weight, recurrent, bias, peepholes = map(Tensor, parameters(rng, 2, 3))
    with pytest.raises(ShapeError, match=r"expected x \(N, H, W, C\), got \(4, 5, 2\)"):
        lstm2d_layer(Tensor(x.data[0]), weight, recurrent, bias)
    with pytest.raises(ShapeError, match=r"expected weight \(4, 2, 15\).*got \(4, 3, 15\)"):
        lstm2d_layer(x, Tensor(np.zeros((4, 3, 15))), recurrent, bias)
    with pytest.raises(ShapeError, match=r"expected peepholes \(4, 5, 3\).*got \(4, 5, 2\)"):
        lstm2d_layer(x, weight, recurrent, bias, Tensor(peepholes.data[:, :, :2]))


def test_wrong_dtype(rng: np.random.Generator) -> None:
    x = rng.standard_normal((1, 4, 5, 2))
    weights = parameters(rng, 2, 3)
    with pytest.raises(TypeError, match="float32 or float64, got int64"):
        lstm2d_layer(*(Tensor(a.astype(np.int64)) for a in (x, *weights)))
    with pytest.raises(TypeError, match="x is float32, a parameter float64"):
        lstm2d_layer(Tensor(x.astype(np.float32)), *map(Tensor, weights))
