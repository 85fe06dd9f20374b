"""The 2D-LSTM layer, an anti-diagonal at a time; meaning: kernels/_reference/lstm2d.py."""

from __future__ import annotations

from typing import Any

import numpy as np

from lstm2d.kernels import arena
from lstm2d.kernels._numba.blas import NN, TN, TT, gemm, matmul
from lstm2d.kernels._numba.jit import kernel, part, row, spread
from lstm2d.kernels._numba.lstm2d_diagonals import (
    LANES,
    Scan,
    clear_column,
    columns_to_pixels,
    diagonal,
    edge_place,
    keep_state,
    lanes,
    pixels_to_columns,
    put_above,
    round_up,
    shift_rows,
    stride,
    vectors,
)
from lstm2d.kernels._numba.lstm2d_gates import gates_backward, gates_forward, grads_of_weights
from lstm2d.kernels.arrays import FloatArray, contiguous
from lstm2d.kernels.blas import single_blas


def lstm2d_forward(
    x: FloatArray,
    weight: FloatArray,
    recurrent: FloatArray,
    bias: FloatArray,
    peepholes: FloatArray | None,
    cell_scale: float,
    leaky: bool,
    keep: bool,
) -> tuple[FloatArray, Any]:
    y, state, _ = _scans(x, weight, recurrent, bias, peepholes, cell_scale, leaky, keep, None)
    return y, (state if keep else None)


def lstm2d_strip(
    x: FloatArray,
    weight: FloatArray,
    recurrent: FloatArray,
    bias: FloatArray,
    peepholes: FloatArray | None,
    cell_scale: float,
    leaky: bool,
    above: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    y, _, edge = _scans(x, weight, recurrent, bias, peepholes, cell_scale, leaky, False, above)
    assert edge is not None
    return y, edge


def _scans(
    x: FloatArray,
    weight: FloatArray,
    recurrent: FloatArray,
    bias: FloatArray,
    peepholes: FloatArray | None,
    cell_scale: float,
    leaky: bool,
    keep: bool,
    above: FloatArray | None,
) -> tuple[FloatArray, FloatArray, FloatArray | None]:
    """Return the hidden states of as many directions as there are weights, all states, the last ones."""
    x = contiguous(x)
    (n, h, w, channels), directions = x.shape, len(weight)
    units, dtype, tasks = recurrent.shape[1] // 2, x.dtype, n * directions
    both = contiguous(np.concatenate([weight, recurrent], axis=1, dtype=dtype)).reshape(directions, -1)
    slot = 0 if keep else round_up(min(h, w)) + 2 * LANES
    ld = stride(2 * slot if slot else h * w + 3 * LANES)
    s = Scan(h, w, channels, units, directions * units, ld, slot, dtype.type(cell_scale), 0)
    state = arena.empty((n, directions, channels + 10 * units, ld), dtype)
    edge = None if above is None else np.array(above, dtype, order="C")  # of the row above, then of the last
    y = arena.empty((n, h, w, directions * units), dtype)
    if y.size:
        weights = both, contiguous(bias), _flat(peepholes)
        edges = None if edge is None else edge.reshape(tasks, -1)
        arrays = x.reshape(n, -1), *weights, state.reshape(tasks, -1), edges, y.reshape(n, -1)
        with single_blas():
            spread(_forward, tasks, 5 * h * w * units, gemm(dtype), s, leaky or None, *arrays)
    return y, state, edge


@kernel
def _forward(gemm, s, leaky, x, both, bias, peepholes, states, edges, y, begin, end):
    directions = both.shape[0]
    for task in range(begin, end):
        image, direction = task // directions, task % directions
        peep = None if peepholes is None else peepholes[direction]
        weights = both[direction], bias[direction], peep
        edge = None if edges is None else edges[task]
        _scan_forward(gemm, s, leaky, direction, x[image], weights, states[task], edge, y[image])


@part
def _scan_forward(gemm, s, leaky, direction, x, weights, state, edge, y):
    # `edge` holds h and c of the row above, by image column; each column's give way to those of the last row
    both, bias, peepholes = weights
    units, ld, steps = s.units, s.ld, s.height + s.width - 1
    inner = s.channels + 2 * units
    hidden, cells, gates = s.channels * ld, inner * ld, (inner + 2 * units) * ld
    below = units * ld  # to the rows of the vertical predecessor
    new = np.empty((2, lanes(min(s.height, s.width))), state.dtype)
    low, high, length, column, pixel, step = diagonal(s, direction, 0)
    clear_column(state, hidden + column, units, ld)
    clear_column(state, cells + column, units, ld)
    first = edge_place(s, direction, 0)
    put_above(s, edge, first, state, hidden + below + column, cells + below + column)
    for t in range(steps):
        after = diagonal(s, direction, t + 1)
        next_low, next_high, next_length, next_column = after[:4]
        pixels_to_columns(x, pixel * s.channels, step * s.channels, length, s.channels, state, column, ld)
        here = gates + (0 if s.slot else column)
        # whole vectors: BLAS computes them faster than the rest; the gates of the next diagonal come later
        shape, factors = (5 * units, vectors(length), inner), ((both, 0, 5 * units), (state, column, ld))
        matmul(gemm, TN, shape, factors[0], factors[1], 0, (state, here, ld))
        # where the lower neighbours of this diagonal lie in the next one
        shift = below + next_column + 1 - (next_low - low)
        places = here, cells + column, hidden + shift, cells + shift
        gates_forward(s, leaky, length, bias, peepholes, state, places, new)
        first = pixel * s.out + direction * units
        columns_to_pixels(state, hidden + shift, ld, length, units, y, first, step * s.out)
        if edge is not None and high == s.height - 1:
            last, place = shift + length - 1, edge_place(s, direction, t - high)
            keep_state(s, state, hidden + last, cells + last, edge, place)
        if t + 1 < steps:
            for rows in (hidden, cells):
                shift_rows(units, next_length, ld, state, rows + next_column)
                if next_high > high:  # its last pixel lies in the first column: nothing to the left
                    clear_column(state, rows + next_column + next_length - 1, units, ld)
            if next_low == 0:  # its first pixel lies in the first row
                first, top = edge_place(s, direction, t + 1), below + next_column
                put_above(s, edge, first, state, hidden + top, cells + top)
        low, high, length, column, pixel, step = after


def lstm2d_backward(
    grad_y: FloatArray,
    x: FloatArray,
    kept: Any,
    weight: FloatArray,
    recurrent: FloatArray,
    bias: FloatArray,
    peepholes: FloatArray | None,
    cell_scale: float,
    leaky: bool,
    gate_clip: float,
    need_x: bool,
) -> tuple[FloatArray | None, FloatArray, FloatArray, FloatArray, FloatArray | None]:
    n, h, w, channels = x.shape
    units, dtype = recurrent.shape[1] // 2, x.dtype
    limit, crossing = dtype.type(gate_clip) if gate_clip else None, stride(h + 2 * LANES)
    s = Scan(h, w, channels, units, 4 * units, kept.shape[3], 0, dtype.type(cell_scale), crossing)
    size, work = channels + 2 * units, 5 * h * w * units
    grad_both = np.zeros((n, 4, size, 5 * units), dtype)
    grad_bias = np.zeros((n, 4, 5 * units), dtype)
    grad_peepholes = None if peepholes is None else np.zeros((n, 4, 5, units), dtype)
    grad_pixels = arena.empty((4 * n, h * w * channels), dtype) if need_x else None
    if grad_y.size:
        arrays = contiguous(grad_y).reshape(n, -1), kept.reshape(4 * n, -1)
        weights = _flat(weight), _flat(recurrent), _flat(peepholes)
        totals = (a if a is None else a.reshape(4 * n, -1) for a in (grad_both, grad_bias, grad_peepholes))
        options = leaky or None, limit
        with single_blas():
            spread(
                *(_backward, 4 * n, work, gemm(dtype), s, *options, *arrays, *weights, *totals, grad_pixels),
                scratch=(7 * units * crossing + 5 * units * s.ld, dtype),
            )
    grad_x = None
    if grad_pixels is not None and not grad_y.size:
        grad_x = np.zeros((n, h, w, channels), dtype)
    elif grad_pixels is not None:
        grad_x = arena.empty((n, h, w, channels), dtype)
        spread(_add_directions, n, 4 * h * w * channels, s, grad_pixels, grad_x.reshape(n, h * w * channels))
    summed = grad_both.sum(0)  # over images, in order
    return (
        grad_x,
        summed[:, :channels],
        summed[:, channels:],
        grad_bias.sum(0),
        None if grad_peepholes is None else grad_peepholes.sum(0),
    )


@kernel
def _backward(
    gemm, s, leaky, limit, grad_y, states, weight, recurrent, peepholes, grad_both, grad_bias,
    grad_peepholes, grad_pixels, scratch, begin, end,
):  # fmt: skip
    for task in range(begin, end):
        image, direction = task // 4, task % 4
        peep = None if peepholes is None else peepholes[direction]
        arrays = grad_y[image], states[task], scratch
        _scan_backward(gemm, s, leaky, limit, direction, recurrent[direction], peep, arrays)
        grad_z = scratch[7 * s.units * s.crossing + LANES :]
        to_peep = None if grad_peepholes is None else grad_peepholes[task]
        grads_of_weights(gemm, s, leaky, states[task], grad_z, grad_both[task], grad_bias[task], to_peep)
        if grad_pixels is not None:
            shape, matrix = (s.height * s.width, s.channels, 5 * s.units), (weight[direction], 0, 5 * s.units)
            matmul(gemm, TT, shape, (grad_z, 0, s.ld), matrix, 0, (grad_pixels[task], 0, s.channels))


@part
def _scan_backward(gemm, s, leaky, limit, direction, recurrent, peepholes, arrays):
    """Compute the gradients of the gates, before the activation: the last rows of `scratch`.

    The rows before them hold, by image row, gradients that cross diagonals: of h from the output, the right
    and the lower neighbour, of c from the right and the lower neighbour, and of c to the left and the upper
    one.
    """
    (grad_y, state, scratch), units, ld, gd = arrays, s.units, s.ld, s.crossing
    cells = (s.channels + 2 * units) * ld
    in_cells, out_cells, grad_z = 3 * units * gd, 5 * units * gd, 7 * units * gd
    scratch[:grad_z] = 0
    for t in range(s.height + s.width - 2, -1, -1):
        low, _, length, column, pixel, step = diagonal(s, direction, t)
        # lanes beyond the diagonal lie before it, on the diagonal that comes next
        back, at = lanes(length) - length, LANES + low
        first = pixel * 4 * units + direction * units
        pixels_to_columns(grad_y, first, step * 4 * units, length, units, scratch, at, gd)
        begin, here = at - back, column - back
        places = cells + here, begin, in_cells + begin, out_cells + begin, grad_z + here
        gates_backward(s, leaky, limit, lanes(length), peepholes, state, scratch, places)
        clear_column(scratch, out_cells + at - 1, units, gd)  # no pixel of this diagonal has it to its left
        in_cells, out_cells = out_cells, in_cells
        if t:
            shape, matrix = (2 * units, length, 5 * units), (recurrent, 0, 5 * units)
            matmul(gemm, NN, shape, matrix, (scratch, grad_z + column, ld), 0, (scratch, units * gd + at, gd))


@kernel
def _add_directions(s, grad_pixels, grad_x, begin, end):
    """Sum the four directions' gradients, each in its own order of diagonals, always in one order."""
    for image in range(begin, end):
        to = grad_x[image]
        to[:] = 0
        for direction in range(4):
            source, k = grad_pixels[4 * image + direction], 0
            for t in range(s.height + s.width - 1):
                _, _, length, _, pixel, step = diagonal(s, direction, t)
                for p in range(length):
                    pixel_grad = row(to, (pixel + p * step) * s.channels, s.channels)
                    for c in range(s.channels):
                        pixel_grad[c] += source[k + c]
                    k += s.channels


def _flat(weights: FloatArray | None) -> FloatArray | None:
    return None if weights is None else contiguous(weights).reshape(len(weights), -1)
