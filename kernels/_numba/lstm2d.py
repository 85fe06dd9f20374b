"""The 2D-LSTM layer, an anti-diagonal at a time; meaning: kernels/_reference/lstm2d.py.

The state of a scan (one direction of one image), and with it what is kept for the backward pass, is that of
kernels/_cython/lstm2d.pyx: pixels by anti-diagonals as columns, and these rows:

    x (C), old h of the horizontal predecessor (U), of the vertical one (U)    the operand of the products
    old c of the horizontal predecessor (U), of the vertical one (U)
    gates (5 U), tanh of the new cell (U)

Options that change the loops are None or a value: Numba compiles the branches that a call needs, and no
others.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lstm2d.kernels import arena
from lstm2d.kernels._numba.activations import sigmoid, tanh
from lstm2d.kernels._numba.blas import gemm, matmul
from lstm2d.kernels._numba.jit import kernel, part, row, rows2, rows5, spread, thread_of, threads_for
from lstm2d.kernels.arrays import FloatArray, contiguous
from lstm2d.kernels.blas import single_blas

LANES = 16  # a diagonal is rounded up to whole vectors; what lanes beyond its end compute is never read
LARGEST = 2.0**100  # bound of cells and their gradients, see kernels/_reference/lstm2d.py


class Scan(NamedTuple):
    """Sizes and options of all scans of a call."""

    height: int
    width: int
    channels: int
    units: int
    ld: int  # distance of two rows of the state
    slot: int  # 0: all diagonals are kept; else the distance of the two that take turns
    scale: Any
    crossing: int  # distance of two rows of gradients that cross diagonals


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
    x = contiguous(x)
    n, h, w, channels = x.shape
    units, dtype = recurrent.shape[1] // 2, x.dtype
    both = contiguous(np.concatenate([weight, recurrent], axis=1, dtype=dtype)).reshape(4, -1)
    slot = 0 if keep else _round_up(min(h, w)) + 2 * LANES
    ld = _stride(2 * slot if slot else h * w + 3 * LANES)
    s = Scan(h, w, channels, units, ld, slot, dtype.type(cell_scale), 0)
    state = arena.empty((n, 4, channels + 10 * units, ld), dtype)
    y = arena.empty((n, h, w, 4 * units), dtype)
    if y.size:
        bias, states = contiguous(bias), state.reshape(4 * n, -1)
        with single_blas():
            spread(
                *(
                    _forward,
                    4 * n,
                    5 * h * w * units,
                    gemm(dtype),
                    s,
                    leaky or None,
                    x.reshape(n, -1),
                    both,
                    bias,
                ),
                *(_flat(peepholes), states, y.reshape(n, -1)),
            )
    return y, (state if keep else None)


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
    limit, crossing = dtype.type(gate_clip) if gate_clip else None, _stride(h + 2 * LANES)
    s = Scan(h, w, channels, units, kept.shape[3], 0, dtype.type(cell_scale), crossing)
    size, work = channels + 2 * units, 5 * h * w * units
    scratch = arena.empty((threads_for(4 * n, work), 7 * units * crossing + 5 * units * s.ld), dtype)
    grad_both = np.zeros((n, 4, size, 5 * units), dtype)
    grad_bias = np.zeros((n, 4, 5 * units), dtype)
    grad_peepholes = None if peepholes is None else np.zeros((n, 4, 5, units), dtype)
    grad_pixels = arena.empty((4 * n, h * w * channels), dtype) if need_x else None
    if grad_y.size:
        grad_y = contiguous(grad_y).reshape(n, -1)
        grads = (a if a is None else a.reshape(4 * n, -1) for a in (grad_both, grad_bias, grad_peepholes))
        with single_blas():
            spread(
                *(
                    _backward,
                    4 * n,
                    work,
                    gemm(dtype),
                    s,
                    leaky or None,
                    limit,
                    grad_y,
                    _flat(weight),
                    _flat(recurrent),
                ),
                *(_flat(peepholes), kept.reshape(4 * n, -1), scratch, *grads, grad_pixels),
            )
    grad_x = None
    if grad_pixels is not None:
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


def _flat(weights: FloatArray | None) -> FloatArray | None:
    return None if weights is None else contiguous(weights).reshape(4, -1)


def _round_up(n: int) -> int:
    return -(-n // LANES) * LANES


def _stride(n: int) -> int:
    # an odd number of cache lines: rows that are read together do not fall into the same cache sets
    return _round_up(n) | LANES


@part
def _diagonal(s, direction, t):
    """Return first and last image row in scan order, length, first column, first pixel, step to the next."""
    up, left = direction >= 2, direction % 2 == 1
    first = (s.width * (s.height - 1) if up else 0) + (s.width - 1 if left else 0)
    along, aside = (-s.width if up else s.width), (-1 if left else 1)  # steps to the next row and column
    low, high = max(0, t - s.width + 1), min(t, s.height - 1)
    pixel = first + low * along + (t - low) * aside
    if s.slot:
        return low, high, high - low + 1, t % 2 * s.slot, pixel, along - aside
    # pixels of all diagonals before t: a full triangle, less what lies beyond the last row and column
    right, below = max(0, t - s.width), max(0, t - s.height)
    column = LANES + (t * (t + 1) - right * (right + 1) - below * (below + 1)) // 2
    return low, high, high - low + 1, column, pixel, along - aside


@part
def _lanes(length):
    return (length + LANES - 1) // LANES * LANES


@part
def _clear_column(state, first, rows, ld):
    for k in range(rows):
        state[first + k * ld] = 0


@part
def _pixels_to_columns(pixels, first, step, n, values, columns, column, ld):
    for p in range(n):
        pixel = pixels[first + p * step :]
        for k in range(values):
            columns[column + k * ld + p] = pixel[k]


@part
def _columns_to_pixels(columns, column, ld, n, values, pixels, first, step):
    for p in range(n):
        pixel = pixels[first + p * step :]
        for k in range(values):
            pixel[k] = columns[column + k * ld + p]


@part
def _clipped(value, limit):
    value = limit if value > limit else value
    return -limit if value < -limit else value


# ---- forward


@kernel
def _forward(gemm, s, leaky, x, both, bias, peepholes, states, y, begin, end):
    for task in range(begin, end):
        image, direction = task // 4, task % 4
        peep = None if peepholes is None else peepholes[direction]
        _scan_forward(
            gemm,
            s,
            leaky,
            direction,
            x[image],
            both[direction],
            bias[direction],
            peep,
            states[task],
            y[image],
        )


@part
def _scan_forward(gemm, s, leaky, direction, x, both, bias, peepholes, state, y):
    units, ld, steps = s.units, s.ld, s.height + s.width - 1
    inner = s.channels + 2 * units
    hidden, cells, gates = s.channels * ld, inner * ld, (inner + 2 * units) * ld
    below = units * ld  # to the rows of the vertical predecessor
    new = np.empty((2, _lanes(min(s.height, s.width))), state.dtype)
    low, high, length, column, pixel, step = _diagonal(s, direction, 0)
    _clear_column(state, hidden + column, 2 * units, ld)
    _clear_column(state, cells + column, 2 * units, ld)
    for t in range(steps):
        after = _diagonal(s, direction, t + 1)
        next_low, next_high, next_length, next_column = after[:4]
        _pixels_to_columns(x, pixel * s.channels, step * s.channels, length, s.channels, state, column, ld)
        here = gates + (0 if s.slot else column)
        matmul(
            gemm,
            (True, False),
            (5 * units, length, inner),
            (both, 0, 5 * units),
            (state, column, ld),
            0,
            (state, here, ld),
        )
        # where the lower neighbours of this diagonal lie in the next one
        shift = below + next_column + 1 - (next_low - low)
        _gates_forward(
            s, leaky, length, bias, peepholes, state, here, cells + column, hidden + shift, cells + shift, new
        )
        first = pixel * 4 * units + direction * units
        _columns_to_pixels(state, hidden + shift, ld, length, units, y, first, step * 4 * units)
        if t + 1 < steps:
            for rows in (hidden, cells):
                _shift_rows(units, next_length, ld, state, rows + next_column)
                if next_high > high:  # its last pixel lies in the first column: nothing to the left
                    _clear_column(state, rows + next_column + next_length - 1, units, ld)
                if next_low == 0:  # its first pixel lies in the first row: nothing above
                    _clear_column(state, rows + below + next_column, units, ld)
        low, high, length, column, pixel, step = after


@part
def _shift_rows(units, n, ld, state, first):
    """Copy rows: the horizontal predecessors are the vertical ones, a column earlier."""
    for u in range(units):
        to, source = row(state, first + u * ld, n), row(state, first + (u + units) * ld + 1, n)
        for p in range(n):
            to[p] = source[p]


@part
def _gates_forward(s, leaky, length, bias, peepholes, state, gates, cells, hidden, cell, new):
    """Compute gates from products, and h and c into `new` first: in the state, their lanes would overlap."""
    units, ld, n, scale = s.units, s.ld, _lanes(length), s.scale
    one, largest, h_new, c_new = state.dtype.type(1), state.dtype.type(LARGEST), new[0], new[1]
    for u in range(units):
        z_i, z_fx, z_fy, z_g, z_o = rows5(state, gates + u * ld, units * ld, n)
        c_x, c_y = rows2(state, cells + u * ld, units * ld, n)
        t_out = row(state, gates + (5 * units + u) * ld, n)
        b_i, b_fx, b_fy, b_g, b_o = _five(bias, u, units)
        if peepholes is not None:
            w_ix, w_iy, w_fx, w_fy, w_o = _five(peepholes, u, units)
        for p in range(n):
            i, fx, fy, o = z_i[p] + b_i, z_fx[p] + b_fx, z_fy[p] + b_fy, z_o[p] + b_o
            cx, cy = c_x[p], c_y[p]
            if peepholes is not None:
                i += w_ix * cx + w_iy * cy
                fx += w_fx * cx
                fy += w_fy * cy
            i, fx, fy = sigmoid(i), sigmoid(fx), sigmoid(fy)
            g = tanh(z_g[p] + b_g)
            if leaky is None:
                c = _clipped(scale * (fx * cx + fy * cy) + i * g, largest)
            else:
                c = scale * (fx * (fy * cy + (one - fy) * cx)) + i * g
            if peepholes is not None:
                o += w_o * c
            o = sigmoid(o)
            t = tanh(c)
            z_i[p], z_fx[p], z_fy[p], z_g[p], z_o[p] = i, fx, fy, g, o
            c_new[p], t_out[p], h_new[p] = c, t, o * t
        h_out, c_out = row(state, hidden + u * ld, length), row(state, cell + u * ld, length)
        for p in range(length):
            h_out[p], c_out[p] = h_new[p], c_new[p]


@part
def _five(values, u, units):
    return values[u], values[u + units], values[u + 2 * units], values[u + 3 * units], values[u + 4 * units]


# ---- backward


@kernel
def _backward(
    gemm,
    s,
    leaky,
    limit,
    grad_y,
    weight,
    recurrent,
    peepholes,
    states,
    scratch,
    grad_both,
    grad_bias,
    grad_peepholes,
    grad_pixels,
    begin,
    end,
):
    thread = thread_of(begin, states.shape[0], scratch.shape[0])
    for task in range(begin, end):
        image, direction = task // 4, task % 4
        peep = None if peepholes is None else peepholes[direction]
        _scan_backward(
            gemm,
            s,
            leaky,
            limit,
            direction,
            grad_y[image],
            recurrent[direction],
            peep,
            states[task],
            scratch[thread],
        )
        grad_z = scratch[thread, 7 * s.units * s.crossing + LANES :]
        to_peep = None if grad_peepholes is None else grad_peepholes[task]
        _grads_of_weights(gemm, s, leaky, states[task], grad_z, grad_both[task], grad_bias[task], to_peep)
        if grad_pixels is not None:
            matmul(
                gemm,
                (True, True),
                (s.height * s.width, s.channels, 5 * s.units),
                (grad_z, 0, s.ld),
                (weight[direction], 0, 5 * s.units),
                0,
                (grad_pixels[task], 0, s.channels),
            )


@part
def _scan_backward(gemm, s, leaky, limit, direction, grad_y, recurrent, peepholes, state, scratch):
    """Compute the gradients of the gates, before the activation: the last rows of `scratch`.

    The rows before them hold, by image row, gradients that cross diagonals: of h from the output, the right
    and the lower neighbour, of c from the right and the lower neighbour, and of c to the left and the upper
    one.
    """
    units, ld, gd = s.units, s.ld, s.crossing
    cells = (s.channels + 2 * units) * ld
    in_cells, out_cells, grad_z = 3 * units * gd, 5 * units * gd, 7 * units * gd
    scratch[:grad_z] = 0
    for t in range(s.height + s.width - 2, -1, -1):
        low, _, length, column, pixel, step = _diagonal(s, direction, t)
        # lanes beyond the diagonal lie before it, on the diagonal that comes next
        back = _lanes(length) - length
        at = LANES + low
        first = pixel * 4 * units + direction * units
        _pixels_to_columns(grad_y, first, step * 4 * units, length, units, scratch, at, gd)
        _gates_backward(
            s,
            leaky,
            limit,
            _lanes(length),
            peepholes,
            state,
            cells + column - back,
            scratch,
            at - back,
            in_cells + at - back,
            out_cells + at - back,
            grad_z + column - back,
        )
        _clear_column(scratch, out_cells + at - 1, units, gd)  # no pixel of this diagonal has it to its left
        in_cells, out_cells = out_cells, in_cells
        if t:
            matmul(
                gemm,
                (False, False),
                (2 * units, length, 5 * units),
                (recurrent, 0, 5 * units),
                (scratch, grad_z + column, ld),
                0,
                (scratch, units * gd + at, gd),
            )


@part
def _gates_backward(
    s, leaky, limit, n, peepholes, state, cells, scratch, in_hidden, in_cells, out_cells, grad_z
):
    one, largest, scale = state.dtype.type(1), state.dtype.type(LARGEST), s.scale
    unit, across = s.units * s.ld, s.units * s.crossing
    for u in range(s.units):
        first, cross = cells + u * s.ld, u * s.crossing
        c_x, c_y = rows2(state, first, unit, n)
        s_i, s_fx, s_fy, s_g, s_o = rows5(state, first + 2 * unit, unit, n)
        tanh_c = row(state, first + 7 * unit, n)
        z_i, z_fx, z_fy, z_g, z_o = rows5(scratch, grad_z + u * s.ld, unit, n)
        g_y, g_right = rows2(scratch, in_hidden + cross, across, n)
        g_below = row(
            scratch, in_hidden + 2 * across + cross + 1, n
        )  # the lower neighbour lies a row further
        g_c_right, g_c_below = rows2(scratch, in_cells + cross, across + 1, n)
        g_left, g_above = rows2(scratch, out_cells + cross, across, n)
        if peepholes is not None:
            w_ix, w_iy, w_fx, w_fy, w_o = _five(peepholes, u, s.units)
        for p in range(n):
            i, fx, fy, g, o = s_i[p], s_fx[p], s_fy[p], s_g[p], s_o[p]
            cx, cy, t = c_x[p], c_y[p], tanh_c[p]
            dh = g_y[p] + g_right[p] + g_below[p]
            dzo = dh * t * o * (one - o)
            if limit is not None:
                dzo = _clipped(dzo, limit)
            dc = dh * o * (one - t * t) + g_c_right[p] + g_c_below[p]
            if peepholes is not None:
                dc += dzo * w_o
            if limit is not None:
                dc = _clipped(dc, largest)
            dco = dc * scale
            if leaky is None:
                dfx, dfy, dcx, dcy = cx, cy, dco * fx, dco * fy
            else:
                dfx, dfy = fy * cy + (one - fy) * cx, fx * (cy - cx)
                dcx, dcy = dco * (fx * (one - fy)), dco * (fx * fy)
            dzi, dzg = dc * g * i * (one - i), dc * i * (one - g * g)
            # a gate that is saturated by a huge cell: no product of both huge values comes before its 0
            dzfx, dzfy = dfx * fx * (one - fx) * dco, dfy * fy * (one - fy) * dco
            if limit is not None:
                dzi, dzg = _clipped(dzi, limit), _clipped(dzg, limit)
                dzfx, dzfy = _clipped(dzfx, limit), _clipped(dzfy, limit)
            if peepholes is not None:
                dcx += dzi * w_ix + dzfx * w_fx
                dcy += dzi * w_iy + dzfy * w_fy
            z_i[p], z_fx[p], z_fy[p], z_g[p], z_o[p] = dzi, dzfx, dzfy, dzg, dzo
            g_left[p], g_above[p] = dcx, dcy


@part
def _grads_of_weights(gemm, s, leaky, state, grad_z, grad_both, grad_bias, grad_peepholes):
    """Sum the gradients of weights, bias and peepholes over all pixels of a scan."""
    inner, pixels = s.channels + 2 * s.units, s.height * s.width
    matmul(
        gemm,
        (False, True),
        (inner, 5 * s.units, pixels),
        (state, LANES, s.ld),
        (grad_z, 0, s.ld),
        0,
        (grad_both, 0, 5 * s.units),
    )
    for k in range(5 * s.units):
        grad_bias[k] = _sum(row(grad_z, k * s.ld, pixels))
    if grad_peepholes is not None:
        one, unit, cell = state.dtype.type(1), s.units * s.ld, np.empty(pixels, state.dtype)
        for u in range(s.units):
            z_i, z_fx, z_fy, _, z_o = rows5(grad_z, u * s.ld, unit, pixels)
            c_x, c_y = rows2(state, (inner + u) * s.ld + LANES, unit, pixels)
            s_i, s_fx, s_fy, s_g, _ = rows5(state, (inner + 2 * s.units + u) * s.ld + LANES, unit, pixels)
            for p in range(pixels):
                if leaky is None:
                    old = s_fx[p] * c_x[p] + s_fy[p] * c_y[p]
                else:
                    old = s_fx[p] * (s_fy[p] * c_y[p] + (one - s_fy[p]) * c_x[p])
                cell[p] = s.scale * old + s_i[p] * s_g[p]
            grad_peepholes[u], grad_peepholes[u + s.units] = _sum_products(z_i, c_x), _sum_products(z_i, c_y)
            grad_peepholes[u + 2 * s.units] = _sum_products(z_fx, c_x)
            grad_peepholes[u + 3 * s.units] = _sum_products(z_fy, c_y)
            grad_peepholes[u + 4 * s.units] = _sum_products(z_o, cell)


# LANES sums, which are added in order at the end: their loop vectorises


@part
def _sum(z):
    sums = np.zeros(LANES, z.dtype)
    for first in range(0, z.size, LANES):
        values = z[first : first + LANES]
        for k in range(values.size):
            sums[k] += values[k]
    return _added(sums)


@part
def _sum_products(z, factors):
    sums = np.zeros(LANES, z.dtype)
    for first in range(0, z.size, LANES):
        values, others = z[first : first + LANES], factors[first : first + LANES]
        for k in range(values.size):
            sums[k] += values[k] * others[k]
    return _added(sums)


@part
def _added(sums):
    total = sums[0]
    for k in range(1, sums.size):
        total += sums[k]
    return total


@kernel
def _add_directions(s, grad_pixels, grad_x, begin, end):
    """Sum the four directions' gradients, each in its own order of diagonals, always in one order."""
    for image in range(begin, end):
        to = grad_x[image]
        to[:] = 0
        for direction in range(4):
            source, k = grad_pixels[4 * image + direction], 0
            for t in range(s.height + s.width - 1):
                _, _, length, _, pixel, step = _diagonal(s, direction, t)
                for p in range(length):
                    pixel_grad = row(to, (pixel + p * step) * s.channels, s.channels)
                    for c in range(s.channels):
                        pixel_grad[c] += source[k + c]
                    k += s.channels
