"""lstm2d_layer against hand values, finite differences, every backend and its own symmetries."""

from math import atanh, tanh
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lstm2d import Tensor, backward, kernels, no_grad
from lstm2d.errors import ShapeError
from lstm2d.gradcheck import gradcheck
from lstm2d.kernels import arena
from lstm2d.ops import lstm2d_layer
from lstm2d.tape import record
from tests.callers import kernel_threads

BACKENDS = kernels.available("lstm2d")
SIZES = [
    (1, 1, 1, 2),
    (1, 1, 7, 3),
    (2, 6, 1, 2),
    (1, 5, 4, 3),
    (2, 3, 6, 1),
    (0, 3, 3, 2),
    (1, 0, 4, 2),
    (1, 3, 3, 0),
]


def parameters(
    rng: np.random.Generator, channels: int, units: int, *, peepholes: bool = True, dtype: type = np.float64
) -> list[NDArray[Any]]:
    """Return weight, recurrent, bias and, if asked, peepholes: small, so that cells stay small."""
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


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("peepholes", [True, False])
@pytest.mark.parametrize("options", [{}, {"cell_scale": 0.5}, {"leaky": True}])
def test_gradient(
    backend: str,
    size: tuple[int, int, int, int],
    peepholes: bool,
    options: dict[str, Any],
    rng: np.random.Generator,
) -> None:
    arrays = [rng.standard_normal(size), *parameters(rng, size[3], 2, peepholes=peepholes)]
    with kernels.use(backend):
        gradcheck(lambda *t: lstm2d_layer(*t, **options), *arrays, rng=rng)


@pytest.mark.parametrize("direction", range(4))
@pytest.mark.parametrize("peepholes", [True, False])
def test_gradient_of_each_direction(direction: int, peepholes: bool, rng: np.random.Generator) -> None:
    units, part = 3, np.s_[..., 3 * direction : 3 * direction + 3]

    def one_direction(*tensors: Tensor) -> Tensor:
        y = lstm2d_layer(*tensors)

        def spread(grad: NDArray[Any]) -> tuple[NDArray[Any]]:
            whole = np.zeros_like(y.data)
            whole[part] = grad
            return (whole,)

        return record("one_direction", {"y": y}, y.data[part].copy(), spread)

    arrays = [rng.standard_normal((2, 5, 20, 2)), *parameters(rng, 2, units, peepholes=peepholes)]
    gradcheck(one_direction, *arrays, rng=rng)


@pytest.mark.parametrize("which", range(5))
def test_gradcheck_sees_an_error_of_a_hundredth_percent(
    which: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = kernels.pick("lstm2d", like=np.zeros(1))
    right = module.lstm2d_backward

    def wrong(*args: Any) -> tuple[Any, ...]:
        grads = list(right(*args))
        grads[which] = grads[which] * (1 + 1e-4)
        return tuple(grads)

    monkeypatch.setattr(module, "lstm2d_backward", wrong)
    with pytest.raises(AssertionError):
        gradcheck(lstm2d_layer, rng.standard_normal((1, 4, 5, 2)), *parameters(rng, 2, 3), rng=rng)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-5), (np.float64, 1e-12)])
@pytest.mark.parametrize("options", [{"cell_scale": 0.5}, {"leaky": True}])  # cells stay small on 9 x 20
def test_backends_agree(
    backend: str,
    dtype: type,
    tolerance: float,
    options: dict[str, Any],
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # memory that nobody has written must not reach a result: lanes beyond a diagonal read it
    monkeypatch.setattr(arena, "empty", lambda shape, dtype: np.full(shape, np.nan, dtype))
    for peepholes in (True, False):
        arrays = [
            rng.standard_normal((4, 18, 20, 6)).astype(dtype)[::2, ::2, ::-1, ::2],  # views, not contiguous
            *(p[:, ..., ::-1] for p in parameters(rng, 3, 5, peepholes=peepholes, dtype=dtype)),
        ]
        for a in arrays:
            a.setflags(write=False)  # a kernel must not write its input
        grad_y = rng.standard_normal((2, 9, 20, 20)).astype(dtype).transpose(0, 1, 3, 2)
        results = []
        for name in ("_reference", backend):
            leaves = [Tensor(a, requires_grad=True) for a in arrays]
            with kernels.use(name):
                y = lstm2d_layer(*leaves, **options)
                backward(y, grad_y)
                with no_grad():
                    alone = lstm2d_layer(*leaves, **options)
            np.testing.assert_array_equal(alone.data, y.data)  # keeping nothing changes no bit
            results.append([y.data, *(leaf.grad for leaf in leaves)])
        for expected, got in zip(*results, strict=True):
            assert got is not None
            assert expected is not None
            assert got.dtype == dtype
            scale = max(1.0, float(np.abs(expected).max()))
            np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance * scale)


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


def test_same_bits_for_any_threads_and_any_batch(rng: np.random.Generator) -> None:
    images = rng.standard_normal((3, 33, 40, 7)).astype(np.float32)
    grad_y = rng.standard_normal((3, 33, 40, 80)).astype(np.float32)
    weights = parameters(rng, 7, 20, dtype=np.float32)

    def run(x: NDArray[Any], grad: NDArray[Any]) -> list[NDArray[Any]]:
        leaves = [Tensor(a, requires_grad=True) for a in (x, *weights)]
        y = lstm2d_layer(*leaves)
        backward(y, grad)
        return [y.data, *(leaf.grad for leaf in leaves if leaf.grad is not None)]

    results = []
    for threads in (1, 2, 3):
        with kernel_threads(threads):
            results.append(run(images, grad_y))
    for other in results[1:]:
        for expected, got in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(got, expected)
    for k in range(3):
        y, grad_x, *_ = run(images[k : k + 1], grad_y[k : k + 1])
        np.testing.assert_array_equal(y[0], results[0][0][k])
        np.testing.assert_array_equal(grad_x[0], results[0][1][k])


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


def test_no_gradient_for_an_input_that_needs_none(rng: np.random.Generator) -> None:
    x, *weights = (rng.standard_normal((1, 3, 4, 2)), *parameters(rng, 2, 2))
    leaves = [Tensor(x), *(Tensor(a, requires_grad=True) for a in weights)]
    y = lstm2d_layer(*leaves)
    assert y.node is not None
    assert y.node.backward(np.ones_like(y.data))[0] is None


def test_nan_is_not_hidden(rng: np.random.Generator) -> None:
    x = rng.standard_normal((1, 18, 20, 2)).astype(np.float32)
    x[0, 9, 10, 0] = np.nan
    y = lstm2d_layer(*map(Tensor, (x, *parameters(rng, 2, 3, dtype=np.float32)))).data
    down_right = np.isnan(y[0, ..., 0])
    assert down_right[9:, 10:].all()
    assert not down_right[:9].any()
    assert not down_right[:, :10].any()


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
