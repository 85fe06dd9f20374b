"""The 2D-LSTM layer, an anti-diagonal at a time; meaning: kernels/_reference/lstm2d.py.

The state of a scan (one direction of one image), and with it what is kept for the backward pass, is that of
kernels/_cython/lstm2d.pyx: pixels by anti-diagonals as columns, and these rows:

    x (C), old h of the horizontal predecessor (U), of the vertical one (U)    the operand of the products
    old c of the horizontal predecessor (U), of the vertical one (U)
    gates (5 U), tanh of the new cell (U)

Options that change the loops are None or a value: Numba compiles only the branches that a call needs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lstm2d.kernels import arena
from lstm2d.kernels._numba.activations import sigmoid, tanh
from lstm2d.kernels._numba.blas import gemm, matmul
from lstm2d.kernels._numba.jit import kernel, part, row, spread, thread_of, threads_for
from lstm2d.kernels.arrays import FloatArray
from lstm2d.kernels.blas import single_blas

LANES = 16  # a diagonal is rounded up to whole vectors; what lanes beyond its end compute is never read
LARGEST = 2.0**100  # bound of cells and their gradients, see kernels/_reference/lstm2d.py


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
    x = np.ascontiguousarray(x)
    n, h, w, channels = x.shape
    units = recurrent.shape[1] // 2
    both = np.ascontiguousarray(np.concatenate([weight, recurrent], axis=1, dtype=x.dtype))
    slot = 0 if keep else _round_up(min(h, w)) + 2 * LANES
    ld = _stride(2 * slot if slot else h * w + 3 * LANES)
    state = arena.empty((n, 4, channels + 10 * units, ld), x.dtype)
    y = arena.empty((n, h, w, 4 * units), x.dtype)
    if y.size:
        peep = None if peepholes is None else np.ascontiguousarray(peepholes).reshape(4, 5 * units)
        with single_blas():
            spread(
                _forward, 4 * n, 5 * y.size // (4 * n), gemm(x.dtype), x.reshape(n, -1), both.reshape(4, -1),
                np.ascontiguousarray(bias), peep, x.dtype.type(cell_scale), leaky or None, (h, w, channels, units),
                slot, state.reshape(4 * n, -1), ld, y.reshape(n, -1),
            )  # fmt: skip
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
    grad_y = np.ascontiguousarray(grad_y)
    n, h, w, channels = x.shape
    units, dtype, ld = recurrent.shape[1] // 2, x.dtype, kept.shape[3]
    weight, recurrent = np.ascontiguousarray(weight), np.ascontiguousarray(recurrent)
    crossing = _stride(h + 2 * LANES)  # gradients from one diagonal to the next, by image row
    work = 5 * grad_y.size // max(1, 4 * n)
    scratch = arena.empty((threads_for(4 * n, work), 7 * units * crossing + 5 * units * ld), dtype)
    grad_both = np.zeros((n, 4, channels + 2 * units, 5 * units), dtype)
    grad_bias = np.zeros((n, 4, 5 * units), dtype)
    grad_peepholes = None if peepholes is None else np.zeros((n, 4, 5, units), dtype)
    grad_pixels = arena.empty((4 * n, h * w * channels), dtype) if need_x else None
    grad_x = arena.empty((n, h, w, channels), dtype) if need_x else None
    if grad_y.size:
        peep = None if peepholes is None else np.ascontiguousarray(peepholes).reshape(4, 5 * units)
        to_peep = None if grad_peepholes is None else grad_peepholes.reshape(4 * n, -1)
        with single_blas():
            spread(
                _backward, 4 * n, work, gemm(dtype), grad_y.reshape(n, -1), weight.reshape(4, -1),
                recurrent.reshape(4, -1), peep, dtype.type(cell_scale), leaky or None,
                dtype.type(gate_clip) if gate_clip else None, (h, w, channels, units), crossing,
                kept.reshape(4 * n, -1), ld, scratch, grad_both.reshape(4 * n, -1), grad_bias.reshape(4 * n, -1),
                to_peep, grad_pixels,
            )  # fmt: skip
    if grad_x is not None and grad_pixels is not None:
        spread(_add_directions, n, 4 * h * w * channels, (h, w, channels), grad_pixels, grad_x.reshape(n, -1))
    summed = grad_both.sum(0)  # over images, in order
    return (
        grad_x,
        summed[:, :channels],
        summed[:, channels:],
        grad_bias.sum(0),
        None if grad_peepholes is None else grad_peepholes.sum(0),
    )


def _round_up(n: int) -> int:
    return -(-n // LANES) * LANES


def _stride(n: int) -> int:
    # an odd number of cache lines: rows that are read together do not fall into the same cache sets
    return _round_up(n) | LANES


@part
def _steps(direction, width, height):
    """Return the pixel in the corner of a scan, and the steps to the next row and column."""
    up, left = direction >= 2, direction % 2 == 1
    first = (width * (height - 1) if up else 0) + (width - 1 if left else 0)
    return first, (-width if up else width), (-1 if left else 1)


@part
def _diagonal(t, direction, height, width, slot):
    """Return first and last image row in scan order, length, first column, first pixel, distance of two pixels."""
    first, along, aside = _steps(direction, width, height)
    low, high = max(0, t - width + 1), min(t, height - 1)
    pixel = first + low * along + (t - low) * aside
    if slot:  # two diagonals take turns
        return low, high, high - low + 1, t % 2 * slot, pixel, along - aside
    # pixels of all diagonals before t: a full triangle, less what lies beyond the last row and column
    right, below = max(0, t - width), max(0, t - height)
    column = LANES + (t * (t + 1) - right * (right + 1) - below * (below + 1)) // 2
    return low, high, high - low + 1, column, pixel, along - aside


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


# ---- forward


@kernel
def _forward(
    gemm, x, both, bias, peepholes, cell_scale, leaky, shape, slot, states, ld, ys, begin, end
):  # fmt: skip
    for task in range(begin, end):
        image, direction = task // 4, task % 4
        _scan_forward(
            gemm, x[image], both[direction], bias[direction],
            None if peepholes is None else peepholes[direction], cell_scale, leaky, direction, shape, slot,
            states[task], ld, ys[image],
        )  # fmt: skip


@part
def _scan_forward(
    gemm, x, both, bias, peepholes, cell_scale, leaky, direction, shape, slot, state, ld, y
):  # fmt: skip
    height, width, channels, units = shape
    inner, steps = channels + 2 * units, height + width - 1
    hidden, cells, gates = channels * ld, inner * ld, (inner + 2 * units) * ld
    tanh_cell, below = gates + 5 * units * ld, units * ld  # `below`: from a horizontal predecessor's rows
    low, high, length, column, pixel, step = _diagonal(0, direction, height, width, slot)
    new = np.empty(
        (2, _lanes(min(height, width))), state.dtype
    )  # h and c: the lanes of a row in the state overlap
    _clear_column(state, hidden + column, 2 * units, ld)
    _clear_column(state, cells + column, 2 * units, ld)
    for t in range(steps):
        next_low, next_high, next_length, next_column, next_pixel, next_step = _diagonal(
            t + 1, direction, height, width, slot
        )
        _pixels_to_columns(x, pixel * channels, step * channels, length, channels, state, column, ld)
        here = 0 if slot else column
        matmul(gemm, True, False, 5 * units, length, inner, both, 0, 5 * units, state, column, ld, 0, state,
               gates + here, ld)  # fmt: skip
        # where the lower neighbours of this diagonal lie in the next one
        shift = next_column + 1 - (next_low - low)
        _gates_forward(
            units, length, ld, cell_scale, leaky, bias, peepholes, state, gates + here, cells + column,
            hidden + below + shift, cells + below + shift, tanh_cell + here, new,
        )  # fmt: skip
        _columns_to_pixels(state, hidden + below + shift, ld, length, units, y, pixel * 4 * units + direction * units,
                           step * 4 * units)  # fmt: skip
        if t + 1 < steps:
            _shift_rows(units, _lanes(next_length), ld, state, hidden + next_column)
            _shift_rows(units, _lanes(next_length), ld, state, cells + next_column)
            if next_high > high:  # its last pixel lies in the first column: nothing to the left
                _clear_column(state, hidden + next_column + next_length - 1, units, ld)
                _clear_column(state, cells + next_column + next_length - 1, units, ld)
            if next_low == 0:  # its first pixel lies in the first row: nothing above
                _clear_column(state, hidden + below + next_column, units, ld)
                _clear_column(state, cells + below + next_column, units, ld)
        low, high, length, column, pixel, step = (
            next_low, next_high, next_length, next_column, next_pixel, next_step
        )  # fmt: skip


@part
def _lanes(length):
    return (length + LANES - 1) // LANES * LANES


@part
def _shift_rows(units, n, ld, state, first):
    """Copy rows: the horizontal predecessors are the vertical ones, a column earlier."""
    for u in range(units):
        to, source = row(state, first + u * ld, n), row(state, first + (u + units) * ld + 1, n)
        for p in range(n):
            to[p] = source[p]


@part
def _clipped(value, limit):
    value = limit if value > limit else value
    return -limit if value < -limit else value


@part
def _gates_forward(
    units, length, ld, scale, leaky, bias, peepholes, state, gates, cells, hidden, cell, tanh_cell, new
):  # fmt: skip
    n, h_new, c_new = _lanes(length), new[0], new[1]
    one, largest = state.dtype.type(1), state.dtype.type(LARGEST)
    for u in range(units):
        first, unit = gates + u * ld, units * ld
        z_i, z_fx, z_fy = row(state, first, n), row(state, first + unit, n), row(state, first + 2 * unit, n)
        z_g, z_o = row(state, first + 3 * unit, n), row(state, first + 4 * unit, n)
        c_x, c_y = row(state, cells + u * ld, n), row(state, cells + unit + u * ld, n)
        h_out, c_out = row(state, hidden + u * ld, length), row(state, cell + u * ld, length)
        t_out = row(state, tanh_cell + u * ld, n)
        b_i, b_fx, b_fy, b_g, b_o = (
            bias[u],
            bias[u + units],
            bias[u + 2 * units],
            bias[u + 3 * units],
            bias[u + 4 * units],
        )
        if peepholes is not None:
            w_ix, w_iy, w_fx = peepholes[u], peepholes[u + units], peepholes[u + 2 * units]
            w_fy, w_o = peepholes[u + 3 * units], peepholes[u + 4 * units]
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
        for p in range(length):
            c_out[p], h_out[p] = c_new[p], h_new[p]


# ---- backward


@kernel
def _backward(
    gemm, grad_y, weight, recurrent, peepholes, cell_scale, leaky, limit, shape, crossing, states, ld, scratch,
    grad_both, grad_bias, grad_peepholes, grad_pixels, begin, end,
):  # fmt: skip
    thread = thread_of(begin, states.shape[0], scratch.shape[0])
    for task in range(begin, end):
        image, direction = task // 4, task % 4
        _scan_backward(
            gemm, grad_y[image], weight[direction], recurrent[direction],
            None if peepholes is None else peepholes[direction], cell_scale, leaky, limit, direction, shape, crossing,
            states[task], ld, scratch[thread], grad_both[task], grad_bias[task],
            None if grad_peepholes is None else grad_peepholes[task],
            None if grad_pixels is None else grad_pixels[task],
        )  # fmt: skip


@part
def _scan_backward(
    gemm, grad_y, weight, recurrent, peepholes, cell_scale, leaky, limit, direction, shape, crossing, state, ld,
    scratch, grad_both, grad_bias, grad_peepholes, grad_pixels,
):  # fmt: skip
    height, width, channels, units = shape
    inner, pixels = channels + 2 * units, height * width
    cells, gates = inner * ld, (inner + 2 * units) * ld
    tanh_cell = gates + 5 * units * ld
    in_hidden, in_cells, out_cells, grad_z = (
        0, 3 * units * crossing, 5 * units * crossing, 7 * units * crossing
    )  # fmt: skip
    scratch[:grad_z] = 0
    for t in range(height + width - 2, -1, -1):
        low, _, length, column, pixel, step = _diagonal(t, direction, height, width, 0)
        # lanes beyond the diagonal lie before it, on the diagonal that comes next
        back = _lanes(length) - length
        at = LANES + low
        _pixels_to_columns(grad_y, pixel * 4 * units + direction * units, step * 4 * units, length, units, scratch,
                           in_hidden + at, crossing)  # fmt: skip
        _gates_backward(
            units, _lanes(length), ld, crossing, cell_scale, leaky, limit, peepholes, state, gates + column - back,
            cells + column - back, tanh_cell + column - back, scratch, in_hidden + at - back,
            in_cells + at - back, out_cells + at - back, grad_z + column - back,
        )  # fmt: skip
        _clear_column(
            scratch, out_cells + at - 1, units, crossing
        )  # no pixel of this diagonal has it to its left
        in_cells, out_cells = out_cells, in_cells
        if t:
            matmul(gemm, False, False, 2 * units, length, 5 * units, recurrent, 0, 5 * units, scratch,
                   grad_z + column, ld, 0, scratch, in_hidden + units * crossing + at, crossing)  # fmt: skip
    matmul(gemm, False, True, inner, 5 * units, pixels, state, LANES, ld, scratch, grad_z + LANES, ld, 0, grad_both,
           0, 5 * units)  # fmt: skip
    _sum_bias(units, pixels, ld, scratch, grad_z + LANES, grad_bias)
    if grad_peepholes is not None:
        _sum_peepholes(units, pixels, ld, cell_scale, leaky, state, gates + LANES, cells + LANES, scratch,
                       grad_z + LANES, grad_peepholes)  # fmt: skip
    if grad_pixels is not None:
        matmul(gemm, True, True, pixels, channels, 5 * units, scratch, grad_z + LANES, ld, weight, 0, 5 * units, 0,
               grad_pixels, 0, channels)  # fmt: skip


@part
def _gates_backward(
    units, n, ld, gd, scale, leaky, limit, peepholes, state, gates, cells, tanh_cell, scratch, in_hidden, in_cells,
    out_cells, grad_z,
):  # fmt: skip
    one, largest = state.dtype.type(1), state.dtype.type(LARGEST)
    unit, across = units * ld, units * gd
    for u in range(units):
        first, to, cross = gates + u * ld, grad_z + u * ld, u * gd
        s_i, s_fx, s_fy = row(state, first, n), row(state, first + unit, n), row(state, first + 2 * unit, n)
        s_g, s_o = row(state, first + 3 * unit, n), row(state, first + 4 * unit, n)
        c_x, c_y = row(state, cells + u * ld, n), row(state, cells + unit + u * ld, n)
        tanh_c = row(state, tanh_cell + u * ld, n)
        z_i, z_fx, z_fy = row(scratch, to, n), row(scratch, to + unit, n), row(scratch, to + 2 * unit, n)
        z_g, z_o = row(scratch, to + 3 * unit, n), row(scratch, to + 4 * unit, n)
        g_y, g_hr = row(scratch, in_hidden + cross, n), row(scratch, in_hidden + across + cross, n)
        g_hb = row(scratch, in_hidden + 2 * across + cross + 1, n)
        g_cr, g_cb = row(scratch, in_cells + cross, n), row(scratch, in_cells + across + cross + 1, n)
        g_cl, g_ca = row(scratch, out_cells + cross, n), row(scratch, out_cells + across + cross, n)
        if peepholes is not None:
            w_ix, w_iy, w_fx = peepholes[u], peepholes[u + units], peepholes[u + 2 * units]
            w_fy, w_o = peepholes[u + 3 * units], peepholes[u + 4 * units]
        for p in range(n):
            i, fx, fy, g, o = s_i[p], s_fx[p], s_fy[p], s_g[p], s_o[p]
            cx, cy, t = c_x[p], c_y[p], tanh_c[p]
            dh = g_y[p] + g_hr[p] + g_hb[p]
            dzo = dh * t * o * (one - o)
            if limit is not None:
                dzo = _clipped(dzo, limit)
            dc = dh * o * (one - t * t) + g_cr[p] + g_cb[p]
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
                dzi, dzfx, dzfy, dzg = (
                    _clipped(dzi, limit),
                    _clipped(dzfx, limit),
                    _clipped(dzfy, limit),
                    _clipped(dzg, limit),
                )
            if peepholes is not None:
                dcx += dzi * w_ix + dzfx * w_fx
                dcy += dzi * w_iy + dzfy * w_fy
            z_i[p], z_fx[p], z_fy[p], z_g[p], z_o[p] = dzi, dzfx, dzfy, dzg, dzo
            g_cl[p], g_ca[p] = dcx, dcy


@part
def _sum_bias(units, n, ld, scratch, grad_z, grad_bias):
    for k in range(5 * units):
        grad_bias[k] = _sum_products(row(scratch, grad_z + k * ld, n), None)


@part
def _sum_products(z, factor):
    """Return the sum of z * factor, in LANES sums that are added in order: a loop that vectorises."""
    sums = np.zeros(LANES, z.dtype)
    whole = z.size // LANES * LANES
    for first in range(0, whole, LANES):
        values = z[first : first + LANES]
        if factor is None:
            for k in range(LANES):
                sums[k] += values[k]
        else:
            factors = factor[first : first + LANES]
            for k in range(LANES):
                sums[k] += values[k] * factors[k]
    for k in range(z.size - whole):
        sums[k] += z[whole + k] if factor is None else z[whole + k] * factor[whole + k]
    total = sums[0]
    for k in range(1, LANES):
        total += sums[k]
    return total


@part
def _sum_peepholes(units, n, ld, scale, leaky, state, gates, cells, scratch, grad_z, grad_peepholes):
    one, unit = state.dtype.type(1), units * ld
    cell = np.empty(n, state.dtype)
    for u in range(units):
        first, to = gates + u * ld, grad_z + u * ld
        z_i, z_fx, z_fy = row(scratch, to, n), row(scratch, to + unit, n), row(scratch, to + 2 * unit, n)
        z_o = row(scratch, to + 4 * unit, n)
        s_i, s_fx, s_fy = row(state, first, n), row(state, first + unit, n), row(state, first + 2 * unit, n)
        s_g = row(state, first + 3 * unit, n)
        c_x, c_y = row(state, cells + u * ld, n), row(state, cells + unit + u * ld, n)
        for p in range(n):
            if leaky is None:
                old = s_fx[p] * c_x[p] + s_fy[p] * c_y[p]
            else:
                old = s_fx[p] * (s_fy[p] * c_y[p] + (one - s_fy[p]) * c_x[p])
            cell[p] = scale * old + s_i[p] * s_g[p]
        grad_peepholes[u], grad_peepholes[u + units] = _sum_products(z_i, c_x), _sum_products(z_i, c_y)
        grad_peepholes[u + 2 * units] = _sum_products(z_fx, c_x)
        grad_peepholes[u + 3 * units] = _sum_products(z_fy, c_y)
        grad_peepholes[u + 4 * units] = _sum_products(z_o, cell)


@kernel
def _add_directions(shape, grad_pixels, grad_x, begin, end):
    """Sum the four directions' gradients, each in its own order of diagonals, always in one order."""
    height, width, channels = shape
    for image in range(begin, end):
        to = grad_x[image]
        to[:] = 0
        for direction in range(4):
            source, k = grad_pixels[4 * image + direction], 0
            for t in range(height + width - 1):
                _, _, length, _, pixel, step = _diagonal(t, direction, height, width, 0)
                for p in range(length):
                    pixel_grad = row(to, (pixel + p * step) * channels, channels)
                    for c in range(channels):
                        pixel_grad[c] += source[k + c]
                    k += channels
