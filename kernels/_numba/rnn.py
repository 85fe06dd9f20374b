"""Recurrent sweeps, a few steps at a time; meaning: kernels/_reference/rnn.py.

One direction of one image is a task. Its input products are computed for a block of steps; then each step is
one product over its pixels and one pass over its gates. The backward pass takes the same blocks. Arrays are
flat, with one row of values per pixel of a step.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lstm2d.kernels import arena
from lstm2d.kernels._numba.blas import NN, NT, TN, gemm, matmul
from lstm2d.kernels._numba.jit import kernel, part, row, spread
from lstm2d.kernels._numba.rnn_cells import cells, cells_grad
from lstm2d.kernels._numba.rnn_sizes import gathered, place_of, scatter, sweep_of, work_of
from lstm2d.kernels.arrays import FloatArray
from lstm2d.kernels.blas import single_blas
from lstm2d.kernels.checks import contiguous_floats


def rnn_forward(
    x: FloatArray,
    weight: FloatArray,
    recurrent: FloatArray,
    bias: FloatArray,
    unit: str,
    axis: int,
    keep: bool,
) -> tuple[FloatArray, Any]:
    y, kept, _ = _sweeps(x, weight, recurrent, bias, unit, axis, keep, None)
    return y, kept


def rnn_strip(
    x: FloatArray, weight: FloatArray, recurrent: FloatArray, bias: FloatArray, unit: str, above: FloatArray
) -> tuple[FloatArray, FloatArray]:
    y, _, edge = _sweeps(x, weight, recurrent, bias, unit, 1, False, above)
    assert edge is not None
    return y, edge


def _sweeps(
    x: FloatArray,
    weight: FloatArray,
    recurrent: FloatArray,
    bias: FloatArray,
    unit: str,
    axis: int,
    keep: bool,
    above: FloatArray | None,
) -> tuple[FloatArray, FloatArray | None, FloatArray | None]:
    """Return the hidden states of as many directions as there are weights, what is kept, the last states."""
    x, weight, recurrent, bias = contiguous_floats(x, _inside(weight, unit), recurrent, _inside(bias, unit))
    n, directions = x.shape[0], len(weight)
    s = sweep_of(unit, x.shape, recurrent.shape[1], axis, directions)
    tasks = n * directions
    y = arena.empty((*x.shape[:3], s.out), x.dtype)
    kept = arena.empty((n, directions, s.steps * s.rows, s.kept), x.dtype) if keep else None
    edge = None if above is None else np.array(above, x.dtype, order="C")  # of the row above, then the last
    size = s.rows * (s.block * (s.gates + s.channels) + s.gates + 2 * s.state)
    scratch = arena.empty((tasks, size), x.dtype)
    if y.size:
        weights = weight.reshape(directions, -1), recurrent.reshape(directions, -1), bias
        to = kept.reshape(tasks, -1) if kept is not None and s.kept else None
        edges = None if edge is None else edge.reshape(tasks, -1)
        arrays = x.reshape(n, -1), *weights, y.reshape(n, -1), to, edges, scratch
        with single_blas():
            spread(_forward, tasks, work_of(s), gemm(x.dtype), s, *arrays)
    return y, kept, edge


@kernel
def _forward(gemm, s, x, weight, recurrent, bias, y, kept, edges, scratch, begin, end):
    directions = weight.shape[0]
    for task in range(begin, end):
        image, side = task // directions, task % directions
        weights, to = (weight[side], recurrent[side], bias[side]), None if kept is None else kept[task]
        edge = None if edges is None else edges[task]
        _task_forward(gemm, s, side, x[image], weights, y[image], to, edge, scratch[task])


@part
def _task_forward(gemm, s, side, x, weights, y, kept, edge, scratch):
    # `edge` holds the state before the first step, and gets that after the last one
    weight, recurrent, bias = weights
    size = s.rows * s.state
    before, after, r = scratch[:size], scratch[size : 2 * size], row(scratch, 2 * size, s.rows * s.gates)
    z = row(scratch, 2 * size + s.rows * s.gates, s.block * s.rows * s.gates)
    block = scratch[2 * size + (s.block + 1) * s.rows * s.gates :]
    before[:] = 0
    if edge is not None:
        before[:] = edge
    r[:] = 0
    for first in range(0, s.steps, s.block):
        n = min(s.block, s.steps - first)
        low = min(place_of(s, side, first), place_of(s, side, first + n - 1))
        for p in range(n * s.rows):
            target = row(z, p * s.gates, s.gates)
            for c in range(s.gates):
                target[c] = bias[c]
        if s.channels:
            pixels = gathered(s, x, 0, s.channels, s.channels, low, n, block)
            shape = n * s.rows, s.gates, s.channels
            matmul(gemm, NN, shape, pixels, (weight, 0, s.gates), 1, (z, 0, s.gates))
        for k in range(first, first + n):
            at = place_of(s, side, k)
            here, out = z[(at - low) * s.rows * s.gates :], y[at * s.step * s.out + side * s.units :]
            to = None if kept is None else kept[at * s.rows * s.kept :]
            begun = k > 0 or edge is not None
            cells(gemm, s, begun, recurrent, here, r, before, after, out, to)
            before, after = after, before
    if edge is not None:
        edge[:] = before


def rnn_backward(
    grad_y: FloatArray,
    x: FloatArray,
    y: FloatArray,
    kept: Any,
    weight: FloatArray,
    recurrent: FloatArray,
    unit: str,
    axis: int,
    need_x: bool,
) -> tuple[FloatArray | None, FloatArray, FloatArray, FloatArray]:
    grad_y, x, y, weight, recurrent = contiguous_floats(grad_y, x, y, _inside(weight, unit), recurrent)
    s = sweep_of(unit, x.shape, recurrent.shape[1], axis, 2)
    n, dtype = x.shape[0], x.dtype
    grad_weight = np.zeros((n, 2, s.channels, s.gates), dtype)
    grad_recurrent = np.zeros((n, 2, s.units, s.gates), dtype)
    grad_bias = np.zeros((n, 2, s.gates))
    grad_x = arena.empty((2, *x.shape), dtype) if need_x else None  # of either direction
    size = s.rows * (s.block * (s.grads + max(s.channels, s.units)) + 3 * s.units) + s.units
    scratch = arena.empty((2 * n, size), dtype)
    if y.size:
        arrays = grad_y.reshape(n, -1), x.reshape(n, -1), y.reshape(n, -1), kept.reshape(2 * n, -1)
        weights = weight.reshape(2, -1), recurrent.reshape(2, -1)
        totals = tuple(a.reshape(2 * n, -1) for a in (grad_weight, grad_recurrent, grad_bias))
        to = None if grad_x is None else grad_x.reshape(2, n, -1)
        with single_blas():
            spread(_backward, 2 * n, 3 * work_of(s), gemm(dtype), s, *arrays, *weights, totals, to, scratch)
    elif grad_x is not None:
        grad_x[...] = 0
    return (
        None if grad_x is None else np.add(grad_x[0], grad_x[1], out=grad_x[0]),
        _outside(grad_weight.sum(0), unit),  # over images, in order
        grad_recurrent.sum(0),
        _outside(grad_bias.sum(0), unit).astype(dtype),
    )


@kernel
def _backward(gemm, s, grad_y, x, y, kept, weight, recurrent, totals, grad_x, scratch, begin, end):
    for task in range(begin, end):
        image, side = task // 2, task % 2
        arrays, weights = (grad_y[image], x[image], y[image], kept[task]), (weight[side], recurrent[side])
        sums = totals[0][task], totals[1][task], totals[2][task]
        to = None if grad_x is None else grad_x[side, image]
        _task_backward(gemm, s, side, arrays, weights, sums, to, scratch[task])


@part
def _task_backward(gemm, s, side, arrays, weights, sums, grad_x, scratch):
    (grad_y, x, y, kept), (weight, recurrent), size = arrays, weights, s.rows * s.units
    zeros, carry = scratch[: s.units], row(scratch, s.units, size)
    carry_out = row(scratch, s.units + size, size)
    from_r = row(scratch, s.units + 2 * size, size)
    grads = row(scratch, s.units + 3 * size, s.block * s.rows * s.grads)
    block = scratch[s.units + 3 * size + s.block * s.rows * s.grads :]
    scratch[: s.units + 3 * size] = 0
    to_recurrent = s.grads - s.gates  # where the gradients of the recurrent product begin
    blocks = (s.steps + s.block - 1) // s.block
    for index in range(blocks - 1, -1, -1):
        first = index * s.block
        n = min(s.block, s.steps - first)
        low = min(place_of(s, side, first), place_of(s, side, first + n - 1))
        for k in range(first + n - 1, first - 1, -1):
            at = place_of(s, side, k)
            place = (at - low) * s.rows * s.grads
            cells_grad(s, side, k, grad_y, y, kept, zeros, from_r, carry, carry_out, grads[place:])
            carry, carry_out = carry_out, carry
            if k:
                shape, grad = (s.rows, s.units, s.gates), (grads, place + to_recurrent, s.grads)
                matmul(gemm, NT, shape, grad, (recurrent, 0, s.gates), 0, (from_r, 0, s.units))
        _grads_of_block(gemm, s, side, first, low, n, grads, x, y, weight, block, sums, grad_x)


@part
def _grads_of_block(gemm, s, side, first, low, n, grads, x, y, weight, block, sums, grad_x):
    """Add the gradients of the weights from the n steps at `low`, and write the gradient of x."""
    (grad_weight, grad_recurrent, grad_bias), pixels = sums, n * s.rows
    if s.channels:
        operand = gathered(s, x, 0, s.channels, s.channels, low, n, block)
        shape = s.channels, s.gates, pixels
        matmul(gemm, TN, shape, operand, (grads, 0, s.grads), 1, (grad_weight, 0, s.gates))
    # hidden states of the steps before; the very first step has none, and is the last row of a backward block
    skip = 1 if first == 0 else 0
    if n > skip:
        before = low + 1 if side else low + skip - 1
        operand = gathered(s, y, side * s.units, s.units, 2 * s.units, before, n - skip, block)
        behind = 0 if side else skip * s.rows * s.grads
        shape, grad = (s.units, s.gates, (n - skip) * s.rows), (grads, behind + s.grads - s.gates, s.grads)
        matmul(gemm, TN, shape, operand, grad, 1, (grad_recurrent, 0, s.gates))
    for p in range(pixels):
        source = row(grads, p * s.grads, s.gates)
        for c in range(s.gates):
            grad_bias[c] += source[c]
    if grad_x is not None and s.channels:
        direct = s.step == s.rows
        to = grad_x if direct else block, low * s.step * s.channels if direct else 0, s.channels
        shape = pixels, s.channels, s.gates
        matmul(gemm, NT, shape, (grads, 0, s.grads), (weight, 0, s.gates), 0, to)
        if not direct:
            scatter(s, block, low, n, grad_x)


def _inside(weights: FloatArray, unit: str) -> FloatArray:
    """Return weights or biases with their gates in the order of this module."""
    return _turn(weights, 1) if unit == "gru" else weights


def _outside(weights: FloatArray, unit: str) -> FloatArray:
    return _turn(weights, -1) if unit == "gru" else weights


def _turn(weights: FloatArray, shift: int) -> FloatArray:
    if weights.size == 0:
        return weights
    *front, columns = weights.shape
    return np.roll(weights.reshape(*front, 3, columns // 3), shift, len(front)).reshape(weights.shape)
