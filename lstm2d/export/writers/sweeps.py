"""Recurrent sweeps along columns or rows: the operators GRU, LSTM and RNN."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.export.graph import Graph, Value
from lstm2d.export.writers.arguments import Arguments

RESET, UPDATE, CANDIDATE = range(3)
INPUT, FORGET, CELL, OUTPUT = range(4)
Gates = tuple[tuple[int, int], ...]  # in the operator's order: the number of our gate, and its sign


def gru_sweep(g: Graph, a: Arguments) -> Value:
    """Write `lstm2d.ops.gru_sweep`.

    ONNX's update gate is 1 minus ours: its weights have the other sign. The reset gate comes after the
    product in both.
    """
    return _sweep(g, a, "GRU", ((UPDATE, -1), (RESET, 1), (CANDIDATE, 1)), linear_before_reset=1)


def lstm_sweep(g: Graph, a: Arguments) -> Value:
    """Write `lstm2d.ops.lstm_sweep`."""
    return _sweep(g, a, "LSTM", ((INPUT, 1), (OUTPUT, 1), (FORGET, 1), (CELL, 1)))


def rnn_sweep(g: Graph, a: Arguments) -> Value:
    """Write `lstm2d.ops.rnn_sweep`."""
    activation = {"tanh": "Tanh", "relu": "Relu"}[a.fixed("activation")]
    return _sweep(g, a, "RNN", ((0, 1),), activations=[activation] * 2)


def _sweep(g: Graph, a: Arguments, op: str, gates: Gates, **attributes: Any) -> Value:
    x, axis = a.value(), int(a.fixed("axis"))
    weight, recurrent, bias = (a.parameter(name) for name in ("weight", "recurrent", "bias"))
    units = recurrent.shape[1]
    n, rows, columns, channels = (x.size(k) for k in range(4))
    # the operators sweep along axis 0, for a batch on axis 1: columns of all images, or rows
    forth, back = ((1, 0, 2, 3), (2, 0, 3, 1, 4)) if axis == 1 else ((2, 0, 1, 3), (2, 3, 0, 1, 4))
    steps, others = (rows, columns) if axis == 1 else (columns, rows)
    sequence = g.add(
        "Reshape", g.add("Transpose", x.last, perm=forth), g.shape(steps, g.add("Mul", n, others), channels)
    )
    biases = np.concatenate([_ordered(bias[:, np.newaxis], gates)[..., 0], np.zeros_like(bias)], axis=1)
    names = [g.constant(values) for values in (_ordered(weight, gates), _ordered(recurrent, gates), biases)]
    y = g.add(op, sequence, *names, direction="bidirectional", hidden_size=units, **attributes)
    split = g.add("Reshape", y, g.shape(steps, 2, n, others, units))  # (steps, directions, N, others, U)
    ordered = g.add("Transpose", split, perm=back)  # (N, H, W, directions, U)
    return Value(g, g.add("Reshape", ordered, g.shape(n, rows, columns, 2 * units)))


def _ordered(weight: NDArray[Any], gates: Gates) -> NDArray[Any]:
    """Return (directions, C, gates * U) as (directions, gates * U, C), the gates in the operator's order."""
    parts = np.split(weight, len(gates), axis=2)
    return np.concatenate([sign * parts[k].swapaxes(1, 2) for k, sign in gates], axis=1)
