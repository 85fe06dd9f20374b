"""The cells of recurrent units, one step at a time: gates, states and their gradients.

Rows of gates: the GRU's stand in the order candidate, reset, update, with the candidate's recurrent product
after them, so that the gradients of either product lie side by side. What is kept per pixel: GRU candidate,
reset, update, the candidate's recurrent product; LSTM its gates, the new cell; else nothing.
"""

from __future__ import annotations

from numba.extending import overload

from lstm2d.kernels._numba.activations import sigmoid, tanh
from lstm2d.kernels._numba.blas import NN, matmul
from lstm2d.kernels._numba.jit import part, row, rows2, rows3, rows4, rows5
from lstm2d.kernels._numba.rnn_sizes import Gru, Lstm, Relu, Tanh, place_of


@part
def _step_product(gemm, s, before, recurrent, add, c):
    """Compute the product of a step's hidden states with the recurrent matrix."""
    matmul(gemm, NN, (s.rows, s.gates, s.units), (before, 0, s.state), (recurrent, 0, s.gates), add, c)


@part
def _before(s, side, k, values, per_pixel, first, step, row_distance, zeros):
    """Return an array, the place of the values before step k (zeros for the first), and their distance."""
    if k == 0:
        return zeros, 0, 0
    return values, place_of(s, side, k - 1) * step * per_pixel + first, row_distance * per_pixel


@part
def _copy(source, target):
    for k in range(target.size):
        target[k] = source[k]


@part
def _gru(gemm, s, begun, recurrent, z, r, before, after, y, kept):
    n, one = s.units, z.dtype.type(1)
    if begun:
        _step_product(gemm, s, before, recurrent, 0, (r, 0, s.gates))
    for p in range(s.rows):
        z_n, z_r, z_u = rows3(z, 3 * p * n, n, n)
        r_r, r_u, r_n = rows3(r, 3 * p * n, n, n)
        h, new, out = row(before, p * n, n), row(after, p * n, n), row(y, p * s.row * s.out, n)
        for u in range(n):
            reset, update = sigmoid(z_r[u] + r_r[u]), sigmoid(z_u[u] + r_u[u])
            candidate = tanh(z_n[u] + reset * r_n[u])
            value = (one - update) * h[u] + update * candidate
            new[u], out[u] = value, value
            if kept is not None:
                z_n[u], z_r[u], z_u[u] = candidate, reset, update
        if kept is not None:
            _copy(row(z, 3 * p * n, 3 * n), row(kept, 4 * p * n, 3 * n))
            _copy(r_n, row(kept, (4 * p + 3) * n, n))


@part
def _gru_grad(s, side, k, grad_y, y, kept, zeros, from_r, carry, carry_out, grads):
    n, one, at = s.units, grads.dtype.type(1), place_of(s, side, k)
    h, h0, h_ld = _before(s, side, k, y, 2 * n, side * n, s.step, s.row, zeros)
    for p in range(s.rows):
        k_n, k_r, k_u, k_p = rows4(kept, (at * s.rows + p) * s.kept, n, n)
        g_n, g_r, g_u, g_p = rows4(grads, 4 * p * n, n, n)
        g_y = row(grad_y, (at * s.step + p * s.row) * 2 * n + side * n, n)
        h_p, back = row(h, h0 + p * h_ld, n), row(from_r, p * n, n)
        c_in, c_out = row(carry, p * n, n), row(carry_out, p * n, n)
        for u in range(n):
            candidate, reset, update = k_n[u], k_r[u], k_u[u]
            dh = g_y[u] + back[u] + c_in[u]
            dn = dh * update * (one - candidate * candidate)
            g_n[u] = dn
            g_r[u] = dn * k_p[u] * reset * (one - reset)
            g_u[u] = dh * (candidate - h_p[u]) * update * (one - update)
            g_p[u] = dn * reset
            c_out[u] = dh * (one - update)


@part
def _lstm(gemm, s, begun, recurrent, z, r, before, after, y, kept):
    n = s.units
    if begun:
        _step_product(gemm, s, before, recurrent, 1, (z, 0, s.gates))
    for p in range(s.rows):
        z_i, z_f, z_g, z_o = rows4(z, 4 * p * n, n, n)
        h_new, c_new = rows2(after, 2 * p * n, n, n)
        cell, out = row(before, (2 * p + 1) * n, n), row(y, p * s.row * s.out, n)
        for u in range(n):
            i, f, g, o = sigmoid(z_i[u]), sigmoid(z_f[u]), tanh(z_g[u]), sigmoid(z_o[u])
            c = f * cell[u] + i * g
            h = o * tanh(c)
            h_new[u], c_new[u], out[u] = h, c, h
            if kept is not None:
                z_i[u], z_f[u], z_g[u], z_o[u] = i, f, g, o
        if kept is not None:
            _copy(row(z, 4 * p * n, 4 * n), row(kept, 5 * p * n, 4 * n))
            _copy(c_new, row(kept, (5 * p + 4) * n, n))


@part
def _lstm_grad(s, side, k, grad_y, y, kept, zeros, from_r, carry, carry_out, grads):
    n, one, at = s.units, grads.dtype.type(1), place_of(s, side, k)
    c, c0, c_ld = _before(s, side, k, kept, s.kept, 4 * n, s.rows, 1, zeros)
    for p in range(s.rows):
        k_i, k_f, k_g, k_o, k_c = rows5(kept, (at * s.rows + p) * s.kept, n, n)
        g_i, g_f, g_g, g_o = rows4(grads, 4 * p * n, n, n)
        g_y = row(grad_y, (at * s.step + p * s.row) * 2 * n + side * n, n)
        c_p, back = row(c, c0 + p * c_ld, n), row(from_r, p * n, n)
        c_in, c_out = row(carry, p * n, n), row(carry_out, p * n, n)
        for u in range(n):
            i, f, g, o, t = k_i[u], k_f[u], k_g[u], k_o[u], tanh(k_c[u])
            dh = g_y[u] + back[u]
            dc = dh * o * (one - t * t) + c_in[u]
            g_i[u] = dc * g * i * (one - i)
            g_f[u] = dc * c_p[u] * f * (one - f)
            g_g[u] = dc * i * (one - g * g)
            g_o[u] = dh * t * o * (one - o)
            c_out[u] = dc * f


@part
def _tanh(gemm, s, begun, recurrent, z, r, before, after, y, kept):
    n = s.units
    if begun:
        _step_product(gemm, s, before, recurrent, 1, (z, 0, s.gates))
    for p in range(s.rows):
        z_p, new, out = row(z, p * n, n), row(after, p * n, n), row(y, p * s.row * s.out, n)
        for u in range(n):
            h = tanh(z_p[u])
            new[u], out[u] = h, h


@part
def _tanh_grad(s, side, k, grad_y, y, kept, zeros, from_r, carry, carry_out, grads):
    units, one, at = s.units, grads.dtype.type(1), place_of(s, side, k)
    for p in range(s.rows):
        place = (at * s.step + p * s.row) * 2 * units + side * units
        h, g_y, back = row(y, place, units), row(grad_y, place, units), row(from_r, p * units, units)
        g = row(grads, p * units, units)
        for u in range(units):
            g[u] = (g_y[u] + back[u]) * (one - h[u] * h[u])


@part
def _relu(gemm, s, begun, recurrent, z, r, before, after, y, kept):
    n, zero = s.units, z.dtype.type(0)
    if begun:
        _step_product(gemm, s, before, recurrent, 1, (z, 0, s.gates))
    for p in range(s.rows):
        z_p, new, out = row(z, p * n, n), row(after, p * n, n), row(y, p * s.row * s.out, n)
        for u in range(n):
            h = zero if z_p[u] < 0 else z_p[u]  # NaN is not below 0, and stays
            new[u], out[u] = h, h


@part
def _relu_grad(s, side, k, grad_y, y, kept, zeros, from_r, carry, carry_out, grads):
    units, zero, at = s.units, grads.dtype.type(0), place_of(s, side, k)
    for p in range(s.rows):
        place = (at * s.step + p * s.row) * 2 * units + side * units
        h, g_y, back = row(y, place, units), row(grad_y, place, units), row(from_r, p * units, units)
        g = row(grads, p * units, units)
        for u in range(units):
            g[u] = zero if h[u] <= 0 else g_y[u] + back[u]


def cells(gemm, s, begun, recurrent, z, r, before, after, y, kept):
    """Compute a step from its products z with the input: h, in `after` with the cell, and in y.

    `begun`: whether there is a state before it that is not 0.
    """


@overload(cells)
def _cells_of(gemm, s, begun, recurrent, z, r, before, after, y, kept):
    found = {Gru: _gru, Lstm: _lstm, Tanh: _tanh, Relu: _relu}[s.instance_class]
    return lambda gemm, s, begun, recurrent, z, r, before, after, y, kept: found(
        gemm, s, begun, recurrent, z, r, before, after, y, kept
    )


def cells_grad(s, side, k, grad_y, y, kept, zeros, from_r, carry, carry_out, grads):
    """Compute the gradients of the gates of step k, and what passes by its products in `carry_out`."""


@overload(cells_grad)
def _cells_grad_of(s, side, k, grad_y, y, kept, zeros, from_r, carry, carry_out, grads):
    found = {Gru: _gru_grad, Lstm: _lstm_grad, Tanh: _tanh_grad, Relu: _relu_grad}[s.instance_class]
    return lambda s, side, k, grad_y, y, kept, zeros, from_r, carry, carry_out, grads: found(
        s, side, k, grad_y, y, kept, zeros, from_r, carry, carry_out, grads
    )
