"""Recurrent sweeps on a GPU, with the kernels of rnn.cu."""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np

from lstm2d.kernels._cuda.launch import contiguous, launch_blocks, processors
from lstm2d.kernels._cuda.steps import Plan, laid_out, plan, side_by_side

Array = Any  # cupy.ndarray: CuPy ships no types

FAMILY = "rnn"
UNITS = {"tanh": (0, 1), "relu": (1, 1), "gru": (2, 3), "lstm": (3, 4)}  # number in rnn.cu, gates


def rnn_forward(
    x: Array, weight: Array, recurrent: Array, bias: Array, unit: str, axis: int, keep: bool
) -> tuple[Array, Any]:
    x, weight, recurrent, bias = contiguous(x, weight, recurrent, bias)
    n, h, w, channels = x.shape
    number, gates = UNITS[unit]
    units = recurrent.shape[1]
    y = cupy.empty((n, h, w, 2 * units), x.dtype)
    if y.size == 0:
        return y, (None, None) if keep else None
    z = cupy.matmul(x.reshape(n * h * w, channels), side_by_side(weight))
    extra = cupy.empty_like(y) if keep and gates > 1 else None
    blocks, p = _share(x, axis, units, gates * units, units, gates * units)
    launch_blocks(
        FAMILY,
        "rnn_forward",
        (blocks, 2),
        p.threads,
        *(z, laid_out(recurrent, p), bias, y, extra, number, units, gates),
        *_geometry(x.shape, axis),
        *p.matrix,
        shared=p.shared,
    )
    return y, ((z, extra) if gates > 1 else (None, None)) if keep else None


def rnn_backward(
    grad_y: Array,
    x: Array,
    y: Array,
    kept: Any,
    weight: Array,
    recurrent: Array,
    unit: str,
    axis: int,
    need_x: bool,
) -> tuple[Array | None, Array, Array, Array]:
    grad_y, x, y, weight, recurrent = contiguous(grad_y, x, y, weight, recurrent)
    number, gates = UNITS[unit]
    units, channels = recurrent.shape[1], x.shape[3]
    if y.size == 0:
        zeros = (cupy.zeros(a.shape, x.dtype) for a in (x, weight, recurrent, weight[:, 0]))
        grad_x, grad_weight, grad_recurrent, grad_bias = zeros
        return grad_x if need_x else None, grad_weight, grad_recurrent, grad_bias
    grad_z = cupy.empty((*x.shape[:3], 2, gates * units), x.dtype)
    grad_r = cupy.empty_like(grad_z) if unit == "gru" else None
    blocks, p = _share(x, axis, gates * units, units, units, 0)
    launch_blocks(
        FAMILY,
        "rnn_backward",
        (blocks, 2),
        p.threads,
        *(grad_y, laid_out(recurrent.transpose(0, 2, 1), p), y, *kept, grad_z, grad_r, number, units, gates),
        *_geometry(x.shape, axis),
        *p.matrix,
        shared=p.shared,
    )
    grad_recurrent = _grad_recurrent(y, grad_z if grad_r is None else grad_r, axis)
    pixels = grad_z.size // (2 * gates * units)
    grad_z = grad_z.reshape(pixels, 2 * gates * units)
    grad_weight = cupy.matmul(x.reshape(pixels, channels).T, grad_z).reshape(channels, 2, gates * units)
    return (
        cupy.matmul(grad_z, side_by_side(weight).T).reshape(x.shape) if need_x else None,
        cupy.ascontiguousarray(grad_weight.transpose(1, 0, 2)),
        grad_recurrent,
        cupy.matmul(cupy.ones((1, pixels), x.dtype), grad_z).reshape(2, gates * units),
    )


def _grad_recurrent(y: Array, grad_r: Array, axis: int) -> Array:
    """Return the gradient of the recurrent weights: one product over all steps after the first."""
    units = y.shape[3] // 2
    before, after = [slice(None)] * 3, [slice(None)] * 3
    before[axis], after[axis] = slice(None, -1), slice(1, None)
    grads = []
    for d in range(2):
        states = cupy.ascontiguousarray(y[(*before, slice(d * units, (d + 1) * units))])
        grad = cupy.ascontiguousarray(grad_r[(*after, d)])
        grads.append(cupy.matmul(states.reshape(-1, units).T, grad.reshape(-1, grad.shape[3])))
        before, after = after, before
    return cupy.stack(grads)


def _geometry(shape: tuple[int, ...], axis: int) -> tuple[Any, ...]:
    """Return lines, lines of an image, steps, and the distances of images, lines and steps in pixels."""
    n, h, w, _ = shape
    across, steps, aside, along = (w, h, 1, w) if axis == 1 else (h, w, w, 1)
    return n * across, across, steps, np.int64(h * w), np.int64(aside), np.int64(along)


def _share(x: Array, axis: int, rows: int, columns: int, units: int, constants: int) -> tuple[int, Plan]:
    """Return the number of blocks of a direction, and the plan of a step."""
    lines = _geometry(x.shape, axis)[0]
    crowded = 2 * -(-lines // 4) > processors()
    p = plan(rows, columns, units, units, constants, x.dtype.itemsize, crowded)
    return -(-lines // p.lanes), p
