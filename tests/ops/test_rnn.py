"""The sweeps against hand values, finite differences, every backend and their own symmetries."""

from collections.abc import Callable, Iterator
from functools import partial
from math import atanh, tanh
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lstm2d import Tensor, backward, kernels
from lstm2d.errors import ShapeError
from lstm2d.gradcheck import gradcheck
from lstm2d.kernels import arena
from lstm2d.kernels.threads import get_num_threads, set_num_threads
from lstm2d.ops import gru_sweep, lstm_sweep, rnn_sweep
from lstm2d.tape import record

Array = NDArray[Any]
Sweep = Callable[..., Tensor]
BACKENDS = kernels.available("rnn")
SWEEPS: dict[str, tuple[Sweep, int]] = {  # and the number of products a unit has
    "gru": (gru_sweep, 3),
    "lstm": (lstm_sweep, 4),
    "tanh": (rnn_sweep, 1),
    "relu": (partial(rnn_sweep, activation="relu"), 1),
}
SIZES = [
    (1, 1, 1, 2),
    (1, 1, 7, 3),
    (2, 6, 1, 2),
    (1, 5, 4, 3),
    (2, 3, 6, 1),
    (0, 3, 3, 2),
    (1, 0, 4, 2),
    (1, 3, 0, 2),
    (1, 3, 3, 0),
]


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = get_num_threads()
    yield
    set_num_threads(before)


def parameters(
    rng: np.random.Generator, name: str, channels: int, units: int, dtype: type = float
) -> list[Array]:
    """Return weight, recurrent and bias: small, so that states stay small."""
    gates = SWEEPS[name][1] * units
    shapes = [(2, channels, gates), (2, units, gates), (2, gates)]
    return [(0.3 * rng.standard_normal(s)).astype(dtype) for s in shapes]


def column(values: list[float]) -> Tensor:
    return Tensor(np.array(values, float).reshape(1, -1, 1, 1), requires_grad=True)


def both(*values: float) -> Array:
    """Return the values for either direction."""
    return np.array([values, values])


@pytest.mark.parametrize("backend", BACKENDS)
class TestByHand:
    def test_relu(self, backend: str) -> None:
        # h = max(0, x + 2 h'): down 1, 2 - ..., up from the last one
        x = column([1, -3, 2])
        weight, recurrent, bias = (
            Tensor(a, requires_grad=True)
            for a in (both(1.0).reshape(2, 1, 1), both(2.0).reshape(2, 1, 1), both(0.0))
        )
        with kernels.use(backend):
            y = rnn_sweep(x, weight, recurrent, bias, axis=1, activation="relu")
            assert y.data[0, :, 0].tolist() == [[1, 3], [0, 1], [2, 2]]  # up: 2, then -3 + 4, then 1 + 2
            backward(y, np.array([[1, 1], [1, 0], [1, 0]], float).reshape(1, 3, 1, 2))
        assert x.grad is not None
        assert x.grad[0, :, 0, 0].tolist() == [1 + 1, 0 + 2, 1 + 4]  # down: 1, 0 (clipped), 1; up: 1, 2, 4
        assert weight.grad is not None
        assert weight.grad[:, 0, 0].tolist() == [1 + 2, 1 - 3 * 2 + 2 * 4]
        assert recurrent.grad is not None
        assert recurrent.grad[:, 0, 0].tolist() == [0, 1 * 1 + 2 * 2]
        assert bias.grad is not None
        assert bias.grad[:, 0].tolist() == [2, 7]

    def test_tanh(self, backend: str) -> None:
        x = column([0.5, 0.25])
        with kernels.use(backend):
            y = rnn_sweep(
                x, *map(Tensor, (both(1.0).reshape(2, 1, 1), both(0.5).reshape(2, 1, 1), both(0.0))), axis=1
            )
        first, last = tanh(0.5), tanh(0.25)
        expected = [[first, tanh(0.5 + 0.5 * last)], [tanh(0.25 + 0.5 * first), last]]
        np.testing.assert_allclose(y.data[0, :, 0], expected, rtol=1e-14)

    def test_gru(self, backend: str) -> None:
        # reset 3/4, update 1/4; the candidate sees 3/4 of the product 2 h
        bias = both(np.log(3), -np.log(3), 0.0)
        weight, recurrent = np.zeros((2, 1, 3)), np.zeros((2, 1, 3))
        weight[:, 0, 2], recurrent[:, 0, 2] = 1, 2
        with kernels.use(backend):
            y = gru_sweep(column([0.5, 0.25]), Tensor(weight), Tensor(recurrent), Tensor(bias), axis=1).data
        down = 0.25 * tanh(0.5)
        up = 0.25 * tanh(0.25)
        assert y[0, 0, 0, 0] == pytest.approx(down, rel=1e-14)
        assert y[0, 1, 0, 0] == pytest.approx(0.75 * down + 0.25 * tanh(0.25 + 0.75 * 2 * down), rel=1e-14)
        assert y[0, 0, 0, 1] == pytest.approx(0.75 * up + 0.25 * tanh(0.5 + 0.75 * 2 * up), rel=1e-14)

    def test_gru_gates_see_input_and_state(self, backend: str) -> None:
        for gate in (0, 1):
            weight, recurrent, bias = np.zeros((2, 1, 3)), np.zeros((2, 1, 3)), both(0.0, 0.0, atanh(0.5))
            weight[:, 0, gate], recurrent[:, 0, gate], recurrent[:, 0, 2] = 2, 4, 1
            with kernels.use(backend):
                y = gru_sweep(
                    column([0.5, 0.25]), Tensor(weight), Tensor(recurrent), Tensor(bias), axis=1
                ).data
            h = (1 / (1 + np.exp(-1)) if gate else 0.5) * 0.5
            value = 1 / (1 + np.exp(-(0.5 + 4 * h)))
            reset, update = (0.5, value) if gate else (value, 0.5)
            expected = (1 - update) * h + update * tanh(atanh(0.5) + reset * h)
            assert y[0, 1, 0, 0] == pytest.approx(expected, rel=1e-14)

    def test_lstm(self, backend: str) -> None:
        # input gate 1/4, forget gate 3/4, output gate 1/2
        bias = both(-np.log(3), np.log(3), 0.0, 0.0)
        weight, recurrent = np.zeros((2, 1, 4)), np.zeros((2, 1, 4))
        weight[:, 0, 2], recurrent[:, 0, 2] = 1, 2
        with kernels.use(backend):
            y = lstm_sweep(column([0.5, 0.25]), Tensor(weight), Tensor(recurrent), Tensor(bias), axis=1).data
        cell = 0.25 * tanh(0.5)
        h = 0.5 * tanh(cell)
        assert y[0, 0, 0, 0] == pytest.approx(h, rel=1e-14)
        after = 0.75 * cell + 0.25 * tanh(0.25 + 2 * h)
        assert y[0, 1, 0, 0] == pytest.approx(0.5 * tanh(after), rel=1e-14)

    def test_lstm_gates_see_input_and_state(self, backend: str) -> None:
        for gate in (0, 1, 3):
            weight, recurrent, bias = (
                np.zeros((2, 1, 4)),
                np.zeros((2, 1, 4)),
                both(0.0, 0.0, atanh(0.5), 0.0),
            )
            weight[:, 0, gate], recurrent[:, 0, gate] = 2, 4
            with kernels.use(backend):
                y = lstm_sweep(
                    column([0.5, 0.25]), Tensor(weight), Tensor(recurrent), Tensor(bias), axis=1
                ).data
            gates = np.full(4, 0.5)
            cell = h = 0.0
            for value in (0.5, 0.25):
                gates[gate] = 1 / (1 + np.exp(-(2 * value + 4 * h)))
                cell = gates[1] * cell + gates[0] * 0.5
                h = gates[3] * tanh(cell)
            assert y[0, 1, 0, 0] == pytest.approx(h, rel=1e-14)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("name", SWEEPS)
def test_gradient(
    backend: str, name: str, axis: int, size: tuple[int, int, int, int], rng: np.random.Generator
) -> None:
    arrays = [rng.standard_normal(size), *parameters(rng, name, size[3], 3)]
    with kernels.use(backend):
        gradcheck(partial(SWEEPS[name][0], axis=axis), *arrays, rng=rng)


@pytest.mark.parametrize("direction", [0, 1])
@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("name", SWEEPS)
def test_gradient_of_each_direction(name: str, axis: int, direction: int, rng: np.random.Generator) -> None:
    units = 17  # more than a block of the inner loops
    part = np.s_[..., units * direction : units * (direction + 1)]

    def one_direction(*tensors: Tensor) -> Tensor:
        y = SWEEPS[name][0](*tensors, axis=axis)

        def spread(grad: Array) -> tuple[Array]:
            whole = np.zeros_like(y.data)
            whole[part] = grad
            return (whole,)

        return record("one_direction", {"y": y}, y.data[part].copy(), spread)

    x = rng.standard_normal((2, 20, 30, 2))  # more than a block of steps
    gradcheck(one_direction, x, *parameters(rng, name, 2, units), rng=rng, eps=1e-7, rtol=1e-5)


@pytest.mark.parametrize("which", range(4))
@pytest.mark.parametrize("name", SWEEPS)
def test_gradcheck_sees_an_error_of_a_hundredth_percent(
    name: str, which: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = kernels.pick("rnn", like=np.zeros(1))
    right = module.rnn_backward

    def wrong(*args: Any) -> tuple[Any, ...]:
        grads = list(right(*args))
        grads[which] = grads[which] * (1 + 1e-4)
        return tuple(grads)

    monkeypatch.setattr(module, "rnn_backward", wrong)
    arrays = [rng.standard_normal((1, 4, 5, 2)), *parameters(rng, name, 2, 3)]
    with pytest.raises(AssertionError):
        gradcheck(partial(SWEEPS[name][0], axis=1), *arrays, rng=rng)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-5), (np.float64, 1e-12)])
@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("name", SWEEPS)
def test_backends_agree(
    backend: str,
    name: str,
    axis: int,
    dtype: type,
    tolerance: float,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # memory that nobody has written must not reach a result
    monkeypatch.setattr(arena, "empty", lambda shape, dtype: np.full(shape, np.nan, dtype))
    sweep = SWEEPS[name][0]
    for units in (5, 16, 21):
        arrays = [
            rng.standard_normal((4, 36, 25, 6)).astype(dtype)[::2, ::2, ::-1, ::2],  # views, not contiguous
            *(p[..., ::-1] for p in parameters(rng, name, 3, units, dtype)),
        ]
        for a in arrays:
            a.setflags(write=False)  # a kernel must not write its input
        grad_y = rng.standard_normal((2, 18, 2 * units, 25)).astype(dtype).transpose(0, 1, 3, 2)
        grad_y.setflags(write=False)
        results = []
        for other in ("_reference", backend):
            leaves = [Tensor(a, requires_grad=True) for a in arrays]
            with kernels.use(other):
                y = sweep(*leaves, axis=axis)
                backward(y, grad_y)
                alone = sweep(*map(Tensor, arrays), axis=axis)
            np.testing.assert_array_equal(alone.data, y.data)  # keeping nothing changes no bit
            results.append([y.data, *(leaf.grad for leaf in leaves)])
        for expected, got in zip(*results, strict=True):
            assert got is not None
            assert expected is not None
            assert got.dtype == dtype
            scale = max(1.0, float(np.abs(expected).max()))
            np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance * scale)


@settings(max_examples=40)
@given(
    name=st.sampled_from(sorted(SWEEPS)),
    height=st.integers(1, 30),
    width=st.integers(1, 30),
    channels=st.integers(1, 4),
    units=st.integers(1, 20),
    seed=st.integers(0, 2**32 - 1),
)
def test_mirrored_and_transposed_images(
    name: str, height: int, width: int, channels: int, units: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((1, height, width, channels))
    weights = parameters(rng, name, channels, units)
    sweep = SWEEPS[name][0]
    y = sweep(*map(Tensor, (x, *weights)), axis=1).data
    mirrored = sweep(*map(Tensor, (x[:, ::-1], *(w[::-1] for w in weights))), axis=1).data
    back = mirrored[:, ::-1].reshape(1, height, width, 2, units)[..., ::-1, :]
    np.testing.assert_array_equal(back.reshape(y.shape), y)
    turned = sweep(*map(Tensor, (x.swapaxes(1, 2), *weights)), axis=2).data
    np.testing.assert_array_equal(turned.swapaxes(1, 2), y)


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("name", SWEEPS)
def test_same_bits_for_any_threads_and_any_batch(name: str, axis: int, rng: np.random.Generator) -> None:
    images = rng.standard_normal((3, 45, 50, 7)).astype(np.float32)
    grad_y = rng.standard_normal((3, 45, 50, 40)).astype(np.float32)
    weights = parameters(rng, name, 7, 20, np.float32)

    def run(x: Array, grad: Array) -> list[Array]:
        leaves = [Tensor(a, requires_grad=True) for a in (x, *weights)]
        y = SWEEPS[name][0](*leaves, axis=axis)
        backward(y, grad)
        return [y.data, *(leaf.grad for leaf in leaves if leaf.grad is not None)]

    results = []
    for threads in (1, 2, 3):
        set_num_threads(threads)
        results.append(run(images, grad_y))
    for other in results[1:]:
        for expected, got in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(got, expected)
    for k in range(3):
        y, grad_x, *_ = run(images[k : k + 1], grad_y[k : k + 1])
        np.testing.assert_array_equal(y[0], results[0][0][k])
        np.testing.assert_array_equal(grad_x[0], results[0][1][k])


@pytest.mark.parametrize("name", SWEEPS)
def test_what_is_kept_serves_twice(name: str, rng: np.random.Generator) -> None:
    leaves = [
        Tensor(a, requires_grad=True)
        for a in (rng.standard_normal((1, 4, 5, 2)), *parameters(rng, name, 2, 3))
    ]
    y = SWEEPS[name][0](*leaves, axis=1)
    assert y.node is not None
    first, second = (y.node.backward(np.ones_like(y.data)) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert a is not None
        np.testing.assert_array_equal(a, b)


def test_no_gradient_for_an_input_that_needs_none(rng: np.random.Generator) -> None:
    x, *weights = (rng.standard_normal((1, 3, 4, 2)), *parameters(rng, "gru", 2, 2))
    y = gru_sweep(Tensor(x), *(Tensor(a, requires_grad=True) for a in weights), axis=1)
    assert y.node is not None
    assert y.node.backward(np.ones_like(y.data))[0] is None


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", SWEEPS)
def test_nan_is_not_hidden(backend: str, name: str, dtype: type, rng: np.random.Generator) -> None:
    x = rng.standard_normal((1, 9, 20, 2)).astype(dtype)
    x[0, 4, 10, 0] = np.nan
    leaves = [Tensor(a, requires_grad=True) for a in (x, *parameters(rng, name, 2, 18, dtype))]
    with kernels.use(backend):
        y = SWEEPS[name][0](*leaves, axis=2)
        backward(y, np.ones_like(y.data))
    nan = np.isnan(y.data)
    assert nan[0, 4, 10:, :18].all()
    assert nan[0, 4, :11, 18:].all()
    assert nan.sum() == 18 * (10 + 11)
    for leaf in leaves[1:3] if name == "relu" else leaves:  # the slope of relu is a number everywhere
        assert leaf.grad is not None
        assert np.isnan(leaf.grad).any()


def test_wrong(rng: np.random.Generator) -> None:
    x = Tensor(rng.standard_normal((1, 4, 5, 2)))
    weight, recurrent, bias = map(Tensor, parameters(rng, "gru", 2, 3))
    with pytest.raises(ShapeError, match=r"expected x \(N, H, W, C\), got \(4, 5, 2\)"):
        gru_sweep(Tensor(x.data[0]), weight, recurrent, bias, axis=1)
    with pytest.raises(ShapeError, match=r"gru_sweep: expected weight \(2, 2, 9\).*got \(2, 3, 9\)"):
        gru_sweep(x, Tensor(np.zeros((2, 3, 9))), recurrent, bias, axis=1)
    with pytest.raises(ShapeError, match=r"lstm_sweep: expected weight \(2, 2, 8\).*got \(2, 2, 9\)"):
        lstm_sweep(x, weight, recurrent, bias, axis=1)
    with pytest.raises(ShapeError, match=r"expected bias \(2, 9\).*got \(2, 3\)"):
        gru_sweep(x, weight, recurrent, Tensor(np.zeros((2, 3))), axis=1)
    with pytest.raises(ShapeError, match=r"rnn_sweep: expected weight \(2, 2, 0\)"):
        rnn_sweep(x, weight, Tensor(np.zeros(())), bias, axis=1)
    with pytest.raises(ValueError, match="axis 0, expected 1"):
        gru_sweep(x, weight, recurrent, bias, axis=0)
    with pytest.raises(ValueError, match="activation 'sigmoid'"):
        rnn_sweep(x, weight, recurrent, bias, axis=1, activation="sigmoid")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="x is float32, weight float64"):
        gru_sweep(Tensor(x.data.astype(np.float32)), weight, recurrent, bias, axis=1)
    with pytest.raises(TypeError, match="float32 or float64, got int64"):
        gru_sweep(*(Tensor(t.data.astype(np.int64)) for t in (x, weight, recurrent, bias)), axis=1)
