"""The 2D-LSTM layer on a GPU, with the kernels of lstm2d*.cu."""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np

from lstm2d.kernels._cuda.launch import contiguous, launch, launch_resident, processors
from lstm2d.kernels._cuda.steps import WARP, Plan, laid_out, plan, side_by_side

Array = Any  # cupy.ndarray: CuPy ships no types

FAMILY = "lstm2d"
COURIERS = 2 * WARP  # threads that copy rows between bands
RUNS = 1024  # partial sums of the gradients of biases and peepholes, at most
STEPS = ((1, 1), (1, -1), (-1, 1), (-1, -1))  # (rows, columns) of one step of each direction


def lstm2d_forward(
    x: Array,
    weight: Array,
    recurrent: Array,
    bias: Array,
    peepholes: Array | None,
    cell_scale: float,
    leaky: bool,
    keep: bool,
) -> tuple[Array, Any]:
    """Keep, for each pixel and direction besides the hidden states, the gates (5 U) and the cell (U)."""
    x, weight, recurrent, bias = contiguous(x, weight, recurrent, bias)
    n, h, w, channels = x.shape
    units = recurrent.shape[1] // 2
    y = cupy.empty((n, h, w, 4 * units), x.dtype)
    if y.size == 0:
        return y, (y, None, None) if keep else None
    z = cupy.matmul(x.reshape(n * h * w, channels), side_by_side(weight))
    cells = cupy.empty_like(y) if keep else None
    p = _plan(x, 2 * units, 5 * units, units, 2 * units, 14 * units)
    given = None if peepholes is None else contiguous(peepholes)[0]
    arrays = (z, laid_out(recurrent, p), bias, given, y, cells)
    _launch("lstm2d_forward", arrays, y, cell_scale, leaky, p)
    return y, (y, z, cells) if keep else None


def lstm2d_backward(
    grad_y: Array,
    x: Array,
    kept: Any,
    weight: Array,
    recurrent: Array,
    bias: Array,
    peepholes: Array | None,
    cell_scale: float,
    leaky: bool,
    gate_clip: float,
    need_x: bool,
) -> tuple[Array | None, Array, Array, Array, Array | None]:
    grad_y, x, weight, recurrent = contiguous(grad_y, x, weight, recurrent)
    n, h, w, channels = x.shape
    units = recurrent.shape[1] // 2
    if grad_y.size == 0:
        zeros = [cupy.zeros(a.shape, x.dtype) for a in (weight, recurrent, bias)]
        grad_peepholes = None if peepholes is None else cupy.zeros(peepholes.shape, x.dtype)
        return cupy.zeros(x.shape, x.dtype) if need_x else None, *zeros, grad_peepholes
    y, gates, cells = kept
    grad_z = cupy.empty((n, h, w, 4, 5 * units), x.dtype)
    p = _plan(x, 5 * units, 2 * units, units, 3 * units, 7 * units)
    given = None if peepholes is None else contiguous(peepholes)[0]
    limit = float(gate_clip or np.inf)
    arrays = (grad_y, laid_out(recurrent.transpose(0, 2, 1), p), given, gates, cells, grad_z, limit)
    _launch("lstm2d_backward", arrays, y, cell_scale, leaky, p)
    grad_recurrent = _grad_recurrent(y, grad_z)
    grad_bias, grad_peepholes = _grad_rest(grad_z, None if peepholes is None else cells)
    grad_z = grad_z.reshape(n * h * w, 20 * units)
    grad_weight = cupy.matmul(x.reshape(n * h * w, channels).T, grad_z).reshape(channels, 4, 5 * units)
    return (
        cupy.matmul(grad_z, side_by_side(weight).T).reshape(x.shape) if need_x else None,
        cupy.ascontiguousarray(grad_weight.transpose(1, 0, 2)),
        grad_recurrent,
        grad_bias,
        grad_peepholes,
    )


def _plan(x: Array, rows: int, columns: int, units: int, values: int, constants: int) -> Plan:
    n, h, _, _ = x.shape
    crowded = 4 * n * -(-h // 4) > processors()
    return plan(rows, columns, units, values, constants, x.dtype.itemsize, crowded, COURIERS)


def _launch(name: str, arrays: tuple[Any, ...], y: Array, cell_scale: float, leaky: bool, p: Plan) -> None:
    """Run a scan in all directions, with as many blocks as can be resident."""
    n, h, w, width = y.shape
    bands = -(-h // p.lanes)
    tasks = n * bands
    edges = cupy.empty((4, tasks, w, width // 2), y.dtype)
    sent = cupy.zeros((4, tasks), "uint32")
    together = 4 if processors() >= 4 else 1
    for first in range(0, 4, together):
        launch_resident(
            FAMILY,
            name,
            (min(tasks, processors() // together), together),
            p.threads,
            *arrays,
            *(edges, sent, float(cell_scale), int(leaky), width // 4, h, w, bands, tasks, first),
            *p.matrix,
            shared=p.shared,
        )


def _grad_recurrent(y: Array, grad_z: Array) -> Array:
    """Return the gradient of the recurrent weights: a product over all pixels with a predecessor per half."""
    units = y.shape[3] // 4
    grads = []
    for d, (rows, columns) in enumerate(STEPS):
        for axis, step in ((2, columns), (1, rows)):
            before, after = [slice(None)] * 3, [slice(None)] * 3
            before[axis], after[axis] = slice(None, -1), slice(1, None)
            if step < 0:
                before, after = after, before
            states = cupy.ascontiguousarray(y[(*before, slice(d * units, (d + 1) * units))])
            grad = cupy.ascontiguousarray(grad_z[(*after, d)])
            pixels = states.size // units
            grads.append(cupy.matmul(states.reshape(pixels, units).T, grad.reshape(pixels, 5 * units)))
    return cupy.stack(grads).reshape(4, 2 * units, 5 * units)


def _grad_rest(grad_z: Array, cells: Array | None) -> tuple[Array, Array | None]:
    """Return the gradients of biases and, if there are cells, of peepholes."""
    n, h, w, _, columns = grad_z.shape
    pixels, units = n * h * w, columns // 5
    run = max(32, -(-pixels // RUNS))
    runs = -(-pixels // run)
    sums = cupy.empty((runs, 4, 10, units), grad_z.dtype)
    size = (np.int64(pixels), run, runs, units, h, w)
    launch("lstm2d_sums", "lstm2d_sums", runs * 4 * units, grad_z, cells, sums, *size)
    total = sums.sum(axis=0)
    grad_peepholes = None if cells is None else cupy.ascontiguousarray(total[:, 5:])
    return cupy.ascontiguousarray(total[:, :5]).reshape(4, columns), grad_peepholes
