"""Sweeps and pooling equal PyTorch's in float64; skipped where PyTorch is not installed."""

from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lstm2d import Tensor, backward
from lstm2d.ops import avg_pool2d, gru_sweep, lstm_sweep, max_pool2d, rnn_sweep

torch: Any = pytest.importorskip("torch", exc_type=ImportError)
Array = NDArray[Any]
UNITS = {  # ours, PyTorch's layer, products a unit
    "gru": (gru_sweep, torch.nn.GRU, 3),
    "lstm": (lstm_sweep, torch.nn.LSTM, 4),
    "tanh": (rnn_sweep, torch.nn.RNN, 1),
    "relu": (partial(rnn_sweep, activation="relu"), partial(torch.nn.RNN, nonlinearity="relu"), 1),
}


def turned(values: Array, name: str, units: int) -> Array:
    """Return weights or gradients with the sign of PyTorch's update gate, which is one minus ours."""
    values = values.copy()
    if name == "gru":
        values[..., units : 2 * units] *= -1
    return values


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("name", UNITS)
def test_sweeps(name: str, axis: int, rng: np.random.Generator) -> None:
    ours, layer, gates = UNITS[name]
    units, channels = 19, 7
    shapes = [
        (2, 23, 31, channels),
        (2, channels, gates * units),
        (2, units, gates * units),
        (2, gates * units),
    ]
    arrays = [0.3 * rng.standard_normal(s) for s in shapes]
    grad_y = rng.standard_normal((*shapes[0][:3], 2 * units))
    leaves = [Tensor(a, requires_grad=True) for a in arrays]
    y = ours(*leaves, axis=axis)
    backward(y, grad_y)

    twin = layer(channels, units, bidirectional=True).double()
    names = [("weight_ih_l0", 1), ("weight_hh_l0", 2), ("bias_ih_l0", 3)]
    with torch.no_grad():
        for d, suffix in enumerate(("", "_reverse")):
            getattr(twin, f"bias_hh_l0{suffix}").zero_()
            for key, k in names:
                getattr(twin, key + suffix).copy_(
                    torch.from_numpy(turned(arrays[k][d], name, units).T.copy())
                )

    def steps(a: Array) -> Any:  # (steps, sequences, values)
        moved = np.moveaxis(a, axis, 0)
        return torch.from_numpy(moved.reshape(len(moved), -1, a.shape[3]).copy())

    x = steps(arrays[0]).requires_grad_()
    out, _ = twin(x)
    out.backward(steps(grad_y))
    assert leaves[0].grad is not None
    np.testing.assert_allclose(steps(y.data), out.detach(), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(steps(leaves[0].grad), x.grad, rtol=1e-10, atol=1e-12)
    for d, suffix in enumerate(("", "_reverse")):
        for key, k in names:
            grad = leaves[k].grad
            assert grad is not None
            expected = turned(getattr(twin, key + suffix).grad.numpy().T, name, units)
            np.testing.assert_allclose(grad[d], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("size", "stride", "padding"), [(2, 2, 0), (3, 1, 1), (3, 2, 1), (8, 8, 0), (5, 7, 2)]
)
@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
def test_pools(name: str, size: int, stride: int, padding: int, rng: np.random.Generator) -> None:
    values = rng.standard_normal((2, 21, 26, 18))
    leaf = Tensor(values, requires_grad=True)
    ours = {"max_pool2d": max_pool2d, "avg_pool2d": avg_pool2d}[name]
    y = ours(leaf, size, stride=stride, padding=padding)
    grad_y = rng.standard_normal(y.shape)
    backward(y, grad_y)
    x = torch.from_numpy(values).permute(0, 3, 1, 2).requires_grad_()
    out = getattr(torch.nn.functional, name)(x, size, stride, padding)
    out.backward(torch.from_numpy(grad_y).permute(0, 3, 1, 2))
    assert leaf.grad is not None
    np.testing.assert_allclose(y.data, out.detach().permute(0, 2, 3, 1), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(leaf.grad, x.grad.permute(0, 2, 3, 1), rtol=1e-10, atol=1e-12)
