"""lstm2d_layer against hand values, finite differences, every backend and its own symmetries."""

from collections.abc import Callable
from functools import cache
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


def two_by_two(
    gradient: float, limit: float
) -> tuple[list[NDArray[Any]], dict[str, NDArray[Any]], list[float]]:
    """Scan a 2x2 grid down-right with one unit by hand: a | b over c | d.

    Returns x and the parameters, their expected gradients if each hidden state has the same gradient, and the
    errors of all gates before the bound.
    """
    r, p_x, p_o = 0.8, 1.5, 2.0  # candidate from the hidden state to the left, peepholes of f^x and of o
    x = np.zeros((1, 2, 2, 1))
    weight, recurrent, bias = half_open(x)
    peepholes = np.zeros((4, 5, 1))
    recurrent[0, 0, 3], peepholes[0, 2], peepholes[0, 4] = r, p_x, p_o

    def sigmoid(z: float) -> float:
        return float(1 / (1 + np.exp(-z)))

    cell_a = 0.25
    h_a = sigmoid(p_o * cell_a) * tanh(cell_a)
    g_b, f_b = tanh(atanh(0.5) + r * h_a), sigmoid(p_x * cell_a)
    cell_b, cell_c = f_b * cell_a + 0.5 * g_b, 0.5 * cell_a + 0.25
    h_c = sigmoid(p_o * cell_c) * tanh(cell_c)
    g_d, f_d = tanh(atanh(0.5) + r * h_c), sigmoid(p_x * cell_c)
    cell_d = f_d * cell_c + 0.5 * cell_b + 0.5 * g_d

    free: list[float] = []

    def bound(error: float) -> float:
        free.append(error)
        return min(max(error, -limit), limit)

    def position(
        cell: float, g: float, old: list[tuple[float, float]], dh: float, dc: float
    ) -> tuple[float, list[float]]:
        """Return the gradient of the new cell, and the bounded errors; `old`: (cell, gate), x then y."""
        o, t = sigmoid(p_o * cell), tanh(cell)
        z_o = bound(dh * t * o * (1 - o))
        dc += dh * o * (1 - t * t) + z_o * p_o
        z_f = [bound(dc * c * f * (1 - f)) for c, f in old]
        return dc, [bound(dc * g * 0.25), *z_f, bound(dc * 0.5 * (1 - g * g)), z_o]

    dc_d, z_d = position(cell_d, g_d, [(cell_c, f_d), (cell_b, 0.5)], gradient, 0)
    from_d = dc_d * f_d + z_d[1] * p_x  # the path through the cell is free, that through the gate is bounded
    dc_c, z_c = position(cell_c, 0.5, [(0, 0.5), (cell_a, 0.5)], gradient + r * z_d[3], from_d)
    dc_b, z_b = position(cell_b, g_b, [(cell_a, f_b), (0, 0.5)], gradient, dc_d * 0.5)
    from_b = dc_b * f_b + z_b[1] * p_x
    _, z_a = position(cell_a, 0.5, [(0, 0.5), (0, 0.5)], gradient + r * z_b[3], dc_c * 0.5 + from_b)

    grads = {name: np.zeros_like(a) for name, a in (("recurrent", recurrent), ("peepholes", peepholes))}
    grads["bias"] = np.zeros_like(bias)
    grads["bias"][0] = np.sum([z_a, z_b, z_c, z_d], axis=0)
    h_b = sigmoid(p_o * cell_b) * tanh(cell_b)
    grads["recurrent"][0] = np.outer([h_a, 0], z_b) + np.outer([0, h_a], z_c) + np.outer([h_c, h_b], z_d)
    grads["peepholes"][0, :, 0] = [
        z_b[0] * cell_a + z_d[0] * cell_c,
        z_c[0] * cell_a + z_d[0] * cell_b,
        z_b[1] * cell_a + z_d[1] * cell_c,
        z_c[2] * cell_a + z_d[2] * cell_b,
        z_a[4] * cell_a + z_b[4] * cell_b + z_c[4] * cell_c + z_d[4] * cell_d,
    ]
    return [x, weight, recurrent, bias, peepholes], grads, free


def check_two_by_two(bring: Callable[[NDArray[Any]], Any], fetch: Callable[[Any], NDArray[Any]]) -> None:
    """Compare gradients with those by hand: without a bound, with one that acts in part, with a tight one."""
    for limit, acts in ((None, 0), (1.0, 7), (0.01, 16)):
        arrays, expected, free = two_by_two(7.0, limit or np.inf)
        assert sum(abs(error) > (limit or np.inf) for error in free) == acts
        leaves = [Tensor(bring(a), requires_grad=True) for a in arrays]
        y = lstm2d_layer(*leaves, gate_clip=limit)
        grad = np.zeros(y.shape)
        grad[..., 0] = 7.0
        backward(y, bring(grad))
        for name, leaf in zip(("recurrent", "bias", "peepholes"), leaves[2:], strict=True):
            np.testing.assert_allclose(fetch(leaf.grad), expected[name], rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gate_clip_by_hand(backend: str) -> None:
    with kernels.use(backend):
        check_two_by_two(np.asarray, np.asarray)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("leaky", [False, True])
def test_gate_clip_that_does_not_act_changes_nothing(
    backend: str, leaky: bool, rng: np.random.Generator
) -> None:
    arrays = [rng.standard_normal((1, 4, 3, 2)), *parameters(rng, 2, 2)]
    grad_y = rng.standard_normal((1, 4, 3, 8))
    with kernels.use(backend):
        grads = []
        for clip in (None, 1e6):
            leaves = [Tensor(a, requires_grad=True) for a in arrays]
            backward(lstm2d_layer(*leaves, leaky=leaky, gate_clip=clip), grad_y)
            grads.append([leaf.grad for leaf in leaves])
    for free, bounded in zip(*grads, strict=True):  # factors are multiplied in another order
        np.testing.assert_allclose(free, bounded, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gate_clip_keeps_nan(backend: str, rng: np.random.Generator) -> None:
    leaves = [
        Tensor(a, requires_grad=True) for a in (rng.standard_normal((1, 3, 3, 2)), *parameters(rng, 2, 2))
    ]
    grad_y = np.ones((1, 3, 3, 8))
    grad_y[0, 1, 1] = np.nan
    with kernels.use(backend):
        backward(lstm2d_layer(*leaves, gate_clip=1.0), grad_y)
    assert leaves[3].grad is not None
    assert np.isnan(leaves[3].grad).all()


def growing(dtype: type) -> list[Tensor]:
    """Return an image and parameters whose cells double from step to step: the forget gates open at once."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((1, 50, 110, 3))  # 159 steps: 2^159 is beyond float32
    weight, recurrent, bias, peepholes = parameters(rng, 3, 4)
    peepholes[:] = np.abs(peepholes) + 0.1
    return [Tensor(a.astype(dtype), requires_grad=True) for a in (x, weight, recurrent, bias, peepholes)]


@cache
def grown() -> tuple[NDArray[Any], list[Tensor]]:
    """Return the layer's values and the inputs with their gradients, by the reference in float64."""
    leaves = growing(np.float64)
    with kernels.use("_reference"), np.errstate(over="ignore"):
        y = lstm2d_layer(*leaves, gate_clip=1.0)
        backward(y, np.ones_like(y.data))
    return y.data, leaves


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cells_that_double_at_every_step_stay_in_range(backend: str, dtype: type) -> None:
    if backend == "_reference" and dtype is np.float32:
        pytest.skip("float64 is the measure")
    leaves = growing(dtype)
    with kernels.use(backend), np.errstate(over="ignore"):
        y = lstm2d_layer(*leaves, gate_clip=1.0)
        backward(y, np.ones_like(y.data))
    assert np.abs(y.data).max() <= 1
    z, expected = grown()
    # where a cell passes 0 on its way between huge values, float32 has no digits of it
    assert np.mean(np.abs(y.data - z) < 1e-3) > 0.999
    for leaf, other in zip(leaves, expected, strict=True):
        assert leaf.grad is not None
        assert other.grad is not None
        assert np.isfinite(leaf.grad).all()
        if dtype is np.float64:
            np.testing.assert_allclose(leaf.grad, other.grad, rtol=1e-6, atol=1e-6 * np.abs(other.grad).max())


def test_gate_clip_must_be_positive(rng: np.random.Generator) -> None:
    inputs = [Tensor(a) for a in (rng.standard_normal((1, 3, 3, 2)), *parameters(rng, 2, 2))]
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="expected a number > 0, or None"):
            lstm2d_layer(*inputs, gate_clip=wrong)


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
