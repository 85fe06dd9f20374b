"""How each operation of the tape is written in ONNX operators: one function per operation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lstm2d.errors import ConfigError
from lstm2d.export.graph import Graph, Value
from lstm2d.export.trace import Operation
from lstm2d.export.writers import dense, images, lstm2d, shapes, sweeps
from lstm2d.export.writers.arguments import Arguments

Writer = Callable[[Graph, Arguments], Value]
WRITERS: dict[str, Writer] = {
    "add": dense.add,
    "avg_pool2d": images.avg_pool2d,
    "batch_norm": dense.batch_norm,
    "bilinear_resize": shapes.bilinear_resize,
    "clip_normalise": dense.clip_normalise,
    "concatenate": shapes.concatenate,
    "conv2d": images.conv2d,
    "conv_transpose2d": images.conv_transpose2d,
    "crop": shapes.crop,
    "cubic_resize": shapes.cubic_resize,
    "direction_sum": dense.direction_sum,
    "gru_sweep": sweeps.gru_sweep,
    "l2_normalise": dense.l2_normalise,
    "linear": dense.linear,
    "local_response_norm": images.local_response_norm,
    "lstm2d_layer": lstm2d.lstm2d_layer,
    "lstm_sweep": sweeps.lstm_sweep,
    "max_pool2d": images.max_pool2d,
    "pad2d": shapes.pad2d,
    "relu": dense.relu,
    "repeat_cells": shapes.repeat_cells,
    "reshape": shapes.reshape,
    "rnn_sweep": sweeps.rnn_sweep,
    "scale": dense.scale,
    "sigmoid": dense.sigmoid,
    "softmax": dense.softmax,
    "tanh": dense.tanh,
    "transpose": shapes.transpose,
    "window_gather": shapes.window_gather,
}


def write(g: Graph, operation: Operation, values: Sequence[Value]) -> Value:
    """Write an operation.

    Parameters
    ----------
    g : Graph
        Gets the operators.
    operation : Operation
        From the trace.
    values : sequence of Value
        The values before it.

    Returns
    -------
    Value
        Its result.

    Raises
    ------
    ConfigError
        If the operation, or an argument of it, has no ONNX form.
    """
    if operation.op not in WRITERS:
        raise ConfigError(f"the operation {operation.op} has no ONNX form")
    return WRITERS[operation.op](g, Arguments(g, operation, values))
