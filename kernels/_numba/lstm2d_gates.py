"""Gates and cells of a 2D-LSTM's anti-diagonal, and their gradients.

Options that change the loops are None or a value: Numba compiles the branches that a call needs, and no
others.
"""

from __future__ import annotations

import numpy as np

from lstm2d.kernels._numba.activations import sigmoid, tanh
from lstm2d.kernels._numba.blas import NT, matmul
from lstm2d.kernels._numba.jit import part, row, rows2, rows5
from lstm2d.kernels._numba.lstm2d_diagonals import LANES, lanes

LARGEST = 2.0**100  # bound of cells and their gradients, see kernels/_reference/lstm2d.py


@part
def gates_forward(s, leaky, length, bias, peepholes, state, places, new):
    """Compute gates from products, and h and c into `new` first: in the state, their lanes would overlap."""
    (gates, cells, hidden, cell), n = places, lanes(length)
    units, ld, scale = s.units, s.ld, s.scale
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
def gates_backward(s, leaky, limit, n, peepholes, state, scratch, places):
    one, largest, scale = state.dtype.type(1), state.dtype.type(LARGEST), s.scale
    cells, in_hidden, in_cells, out_cells, grad_z = places
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
def grads_of_weights(gemm, s, leaky, state, grad_z, grad_both, grad_bias, grad_peepholes):
    """Sum the gradients of weights, bias and peepholes over all pixels of a scan."""
    inner, pixels = s.channels + 2 * s.units, s.height * s.width
    matmul(
        gemm,
        NT,
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


@part
def _five(values, u, units):
    return values[u], values[u + units], values[u + 2 * units], values[u + 3 * units], values[u + 4 * units]


@part
def _clipped(value, limit):
    value = limit if value > limit else value
    return -limit if value < -limit else value


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
