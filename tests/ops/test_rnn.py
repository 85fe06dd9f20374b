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
from lstm2d.kernels.threads import get_num_threads, set_num_threads
from lstm2d.ops import gru_sweep, lstm_sweep, rnn_sweep

Array = NDArray[Any]
Sweep = Callable[..., Tensor]
BACKENDS = kernels.available("rnn")
SWEEPS: dict[str, tuple[Sweep, int]] = {  # and the number of products a unit has
    "gru": (gru_sweep, 3),
    "lstm": (lstm_sweep, 4),
    "tanh": (rnn_sweep, 1),
    "relu": (partial(rnn_sweep, activation="relu"), 1),
}


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = get_num_threads()
    yield
    set_num_threads(before)


def parameters(
    rng: np.random.Generator, name: str, channels: int, units: int, dtype: type = float
) -> list[Array]:
    """Return weight, recurrent and bias: small values, so that states stay small."""
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
