"""Recurrent sweeps, a few steps at a time; meaning: kernels/_reference/rnn.py.

One direction of one image is a task. Its input products are computed for a block of steps; then each step is
one product over its pixels and one pass over its gates. The backward pass takes the same blocks. Arrays are
flat, with one row of values per pixel of a step. Gates of the GRU stand in the order candidate, reset, update
inside: with the candidate's recurrent product after them, the gradients of either product then lie side by
side. What is kept per pixel: GRU candidate, reset, update, the candidate's recurrent product; LSTM its gates,
the new cell; else nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba.extending import overload

from lstm2d.kernels import arena
from lstm2d.kernels._numba.activations import sigmoid, tanh
from lstm2d.kernels._numba.blas import gemm, matmul
from lstm2d.kernels._numba.jit import kernel, part, row, rows2, rows3, rows4, rows5, spread
from lstm2d.kernels.arrays import FloatArray
from lstm2d.kernels.blas import single_blas
from lstm2d.kernels.checks import contiguous_floats

BLOCK = 384  # pixels of a block, at most, but at least one step: its products stay in the L2 cache
GATES = {"gru": 3, "lstm": 4, "tanh": 1, "relu": 1}
STATE = {"gru": 1, "lstm": 2, "tanh": 1, "relu": 1}  # h, and the cell
KEPT = {"gru": 4, "lstm": 5, "tanh": 0, "relu": 0}
GRADS = {"gru": 4, "lstm": 4, "tanh": 1, "relu": 1}  # gradients of both products


class Sweep(NamedTuple):
    """Sizes of a sweep; distances are in pixels, and `gates`, `state`, `kept`, `grads` in values of a pixel.

    Each unit has a class of its own: by its type, Numba compiles the cells of that unit alone.
    """

    steps: int
    rows: int  # pixels of a step
    step: int  # distance of two steps
    row: int  # distance of two pixels of a step
    block: int  # steps of a block
    channels: int
    units: int
    gates: int
    state: int
    kept: int
    grads: int


class Gru(Sweep):
    """A sweep of GRU units."""


class Lstm(Sweep):
    """A sweep of LSTM units."""


class Tanh(Sweep):
    """A sweep of units with tanh."""


class Relu(Sweep):
    """A sweep of units with max(x, 0)."""


UNITS: dict[str, type[Sweep]] = {"gru": Gru, "lstm": Lstm, "tanh": Tanh, "relu": Relu}


def rnn_forward(
    x: FloatArray,
    weight: FloatArray,
    recurrent: FloatArray,
    bias: FloatArray,
    unit: str,
    axis: int,
    keep: bool,
) -> tuple[FloatArray, Any]:
    x, weight, recurrent, bias = contiguous_floats(x, _inside(weight, unit), recurrent, _inside(bias, unit))
    s = _sweep(unit, x.shape, recurrent.shape[1], axis)
    n, pixels = x.shape[0], s.steps * s.rows
    y = arena.empty((*x.shape[:3], 2 * s.units), x.dtype)
    kept = arena.empty((n, 2, pixels, s.kept), x.dtype) if keep else None
    scratch = arena.empty(
        (2 * n, s.rows * (s.block * (s.gates + s.channels) + s.gates + 2 * s.state)), x.dtype
    )
    if y.size:
        with single_blas():
            spread(
                _forward,
                2 * n,
                _work(s),
                gemm(x.dtype),
                s,
                x.reshape(n, -1),
                weight.reshape(2, -1),
                recurrent.reshape(2, -1),
                bias,
                y.reshape(n, -1),
                kept.reshape(2 * n, -1) if kept is not None and s.kept else None,
                scratch,
            )
    return y, kept


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
    s = _sweep(unit, x.shape, recurrent.shape[1], axis)
    n, dtype = x.shape[0], x.dtype
    grad_weight = np.zeros((n, 2, s.channels, s.gates), dtype)
    grad_recurrent = np.zeros((n, 2, s.units, s.gates), dtype)
    grad_bias = np.zeros((n, 2, s.gates))
    grad_x = arena.empty((2, *x.shape), dtype) if need_x else None  # of either direction
    size = s.rows * (s.block * (s.grads + max(s.channels, s.units)) + 3 * s.units) + s.units
    scratch = arena.empty((2 * n, size), dtype)
    if y.size:
        with single_blas():
            spread(
                _backward,
                2 * n,
                3 * _work(s),
                gemm(dtype),
                s,
                grad_y.reshape(n, -1),
                x.reshape(n, -1),
                y.reshape(n, -1),
                kept.reshape(2 * n, -1),
                weight.reshape(2, -1),
                recurrent.reshape(2, -1),
                grad_weight.reshape(2 * n, -1),
                grad_recurrent.reshape(2 * n, -1),
                grad_bias.reshape(2 * n, -1),
                None if grad_x is None else grad_x.reshape(2, n, -1),
                scratch,
            )
    elif grad_x is not None:
        grad_x[...] = 0
    return (
        None if grad_x is None else np.add(grad_x[0], grad_x[1], out=grad_x[0]),
        _outside(grad_weight.sum(0), unit),  # over images, in order
        grad_recurrent.sum(0),
        _outside(grad_bias.sum(0), unit).astype(dtype),
    )


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


def _sweep(unit: str, shape: tuple[int, ...], units: int, axis: int) -> Sweep:
    _, height, width, channels = shape
    steps, rows, step, row = (height, width, width, 1) if axis == 1 else (width, height, 1, width)
    block = max(1, min(steps, BLOCK // max(1, rows)))
    sizes = (table[unit] * units for table in (GATES, STATE, KEPT, GRADS))
    return UNITS[unit](steps, rows, step, row, block, channels, units, *sizes)


def _work(s: Sweep) -> int:
    return s.steps * s.rows * s.gates * (4 + (s.channels + s.units) // 16)


@part
def _place(s, backward, k):
    """Return the row or column of the image that is step k."""
    return s.steps - 1 - k if backward else k


@part
def _gathered(s, pixels, first, values, size, low, n, block):
    """Return the first `values` of `size` of the pixels of n steps from `low` on, a step after the other.

    Returned are an array, the place of the first value, and the distance of two pixels. The pixels are copied
    to `block`, unless they lie so.
    """
    if s.step == s.rows:
        return pixels, low * s.step * size + first, size
    for k in range(n):
        for r in range(s.rows):
            source = row(pixels, ((low + k) * s.step + r * s.row) * size + first, values)
            target = row(block, (k * s.rows + r) * values, values)
            for c in range(values):
                target[c] = source[c]
    return block, 0, values


# ---- forward


@kernel
def _forward(gemm, s, x, weight, recurrent, bias, y, kept, scratch, begin, end):
    for task in range(begin, end):
        image, side = task // 2, task % 2
        _task_forward(
            gemm,
            s,
            side,
            x[image],
            weight[side],
            recurrent[side],
            bias[side],
            y[image],
            None if kept is None else kept[task],
            scratch[task],
        )


@part
def _task_forward(gemm, s, side, x, weight, recurrent, bias, y, kept, scratch):
    size = s.rows * s.state
    before, after, r = scratch[:size], scratch[size : 2 * size], row(scratch, 2 * size, s.rows * s.gates)
    z = row(scratch, 2 * size + s.rows * s.gates, s.block * s.rows * s.gates)
    block = scratch[2 * size + (s.block + 1) * s.rows * s.gates :]
    before[:] = 0
    r[:] = 0
    for first in range(0, s.steps, s.block):
        n = min(s.block, s.steps - first)
        low = min(_place(s, side, first), _place(s, side, first + n - 1))
        for p in range(n * s.rows):
            target = row(z, p * s.gates, s.gates)
            for c in range(s.gates):
                target[c] = bias[c]
        if s.channels:
            operand, start, ld = _gathered(s, x, 0, s.channels, s.channels, low, n, block)
            matmul(
                gemm,
                (False, False),
                (n * s.rows, s.gates, s.channels),
                (operand, start, ld),
                (weight, 0, s.gates),
                1,
                (z, 0, s.gates),
            )
        for k in range(first, first + n):
            at = _place(s, side, k)
            z0 = (at - low) * s.rows * s.gates
            _cells(
                gemm,
                s,
                k,
                recurrent,
                z[z0:],
                r,
                before,
                after,
                y[at * s.step * 2 * s.units + side * s.units :],
                None if kept is None else kept[at * s.rows * s.kept :],
            )
            before, after = after, before


@part
def _step_product(gemm, s, before, recurrent, add, c):
    """Compute the product of a step's hidden states with the recurrent matrix."""
    matmul(
        gemm,
        (False, False),
        (s.rows, s.gates, s.units),
        (before, 0, s.state),
        (recurrent, 0, s.gates),
        add,
        c,
    )


@part
def _gru(gemm, s, k, recurrent, z, r, before, after, y, kept):
    n, one = s.units, z.dtype.type(1)
    if k:
        _step_product(gemm, s, before, recurrent, 0, (r, 0, s.gates))
    for p in range(s.rows):
        z_n, z_r, z_u = rows3(z, 3 * p * n, n, n)
        r_r, r_u, r_n = rows3(r, 3 * p * n, n, n)
        h, new, out = row(before, p * n, n), row(after, p * n, n), row(y, p * s.row * 2 * n, n)
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
def _lstm(gemm, s, k, recurrent, z, r, before, after, y, kept):
    n = s.units
    if k:
        _step_product(gemm, s, before, recurrent, 1, (z, 0, s.gates))
    for p in range(s.rows):
        z_i, z_f, z_g, z_o = rows4(z, 4 * p * n, n, n)
        h_new, c_new = rows2(after, 2 * p * n, n, n)
        cell, out = row(before, (2 * p + 1) * n, n), row(y, p * s.row * 2 * n, n)
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
def _tanh(gemm, s, k, recurrent, z, r, before, after, y, kept):
    n = s.units
    if k:
        _step_product(gemm, s, before, recurrent, 1, (z, 0, s.gates))
    for p in range(s.rows):
        z_p, new, out = row(z, p * n, n), row(after, p * n, n), row(y, p * s.row * 2 * n, n)
        for u in range(n):
            h = tanh(z_p[u])
            new[u], out[u] = h, h


@part
def _relu(gemm, s, k, recurrent, z, r, before, after, y, kept):
    n, zero = s.units, z.dtype.type(0)
    if k:
        _step_product(gemm, s, before, recurrent, 1, (z, 0, s.gates))
    for p in range(s.rows):
        z_p, new, out = row(z, p * n, n), row(after, p * n, n), row(y, p * s.row * 2 * n, n)
        for u in range(n):
            h = zero if z_p[u] < 0 else z_p[u]  # NaN is not below 0, and stays
            new[u], out[u] = h, h


@part
def _copy(source, target):
    for k in range(target.size):
        target[k] = source[k]


def _cells(gemm, s, k, recurrent, z, r, before, after, y, kept):
    """Compute step k from its products z with the input: h, in `after` with the cell, and in y."""


@overload(_cells)
def _cells_of(gemm, s, k, recurrent, z, r, before, after, y, kept):
    found = {Gru: _gru, Lstm: _lstm, Tanh: _tanh, Relu: _relu}[s.instance_class]
    return lambda gemm, s, k, recurrent, z, r, before, after, y, kept: found(
        gemm, s, k, recurrent, z, r, before, after, y, kept
    )


# ---- backward


@kernel
def _backward(
    gemm,
    s,
    grad_y,
    x,
    y,
    kept,
    weight,
    recurrent,
    grad_weight,
    grad_recurrent,
    grad_bias,
    grad_x,
    scratch,
    begin,
    end,
):
    for task in range(begin, end):
        image, side = task // 2, task % 2
        _task_backward(
            gemm,
            s,
            side,
            grad_y[image],
            x[image],
            y[image],
            kept[task],
            weight[side],
            recurrent[side],
            grad_weight[task],
            grad_recurrent[task],
            grad_bias[task],
            None if grad_x is None else grad_x[side, image],
            scratch[task],
        )


@part
def _task_backward(
    gemm,
    s,
    side,
    grad_y,
    x,
    y,
    kept,
    weight,
    recurrent,
    grad_weight,
    grad_recurrent,
    grad_bias,
    grad_x,
    scratch,
):
    size = s.rows * s.units
    zeros, carry, carry_out = (
        scratch[: s.units],
        row(scratch, s.units, size),
        row(scratch, s.units + size, size),
    )
    from_r = row(scratch, s.units + 2 * size, size)
    grads = row(scratch, s.units + 3 * size, s.block * s.rows * s.grads)
    block = scratch[s.units + 3 * size + s.block * s.rows * s.grads :]
    scratch[: s.units + 3 * size] = 0
    to_recurrent = s.grads - s.gates  # where the gradients of the recurrent product begin
    blocks = (s.steps + s.block - 1) // s.block
    for index in range(blocks - 1, -1, -1):
        first = index * s.block
        n = min(s.block, s.steps - first)
        low = min(_place(s, side, first), _place(s, side, first + n - 1))
        for k in range(first + n - 1, first - 1, -1):
            at = _place(s, side, k)
            place = (at - low) * s.rows * s.grads
            _cells_grad(s, side, k, grad_y, y, kept, zeros, from_r, carry, carry_out, grads[place:])
            carry, carry_out = carry_out, carry
            if k:
                matmul(
                    gemm,
                    (False, True),
                    (s.rows, s.units, s.gates),
                    (grads, place + to_recurrent, s.grads),
                    (recurrent, 0, s.gates),
                    0,
                    (from_r, 0, s.units),
                )
        _grads_of_block(
            gemm,
            s,
            side,
            first,
            low,
            n,
            grads,
            x,
            y,
            weight,
            block,
            grad_weight,
            grad_recurrent,
            grad_bias,
            grad_x,
        )


@part
def _before(s, side, k, values, per_pixel, first, step, row_distance, zeros):
    """Return an array, the place of the values before step k (zeros for the first), and their distance."""
    if k == 0:
        return zeros, 0, 0
    return values, _place(s, side, k - 1) * step * per_pixel + first, row_distance * per_pixel


@part
def _gru_grad(s, side, k, grad_y, y, kept, zeros, from_r, carry, carry_out, grads):
    n, one, at = s.units, grads.dtype.type(1), _place(s, side, k)
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
def _lstm_grad(s, side, k, grad_y, y, kept, zeros, from_r, carry, carry_out, grads):
    n, one, at = s.units, grads.dtype.type(1), _place(s, side, k)
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
def _tanh_grad(s, side, k, grad_y, y, kept, zeros, from_r, carry, carry_out, grads):
    units, one, at = s.units, grads.dtype.type(1), _place(s, side, k)
    for p in range(s.rows):
        place = (at * s.step + p * s.row) * 2 * units + side * units
        h, g_y, back = row(y, place, units), row(grad_y, place, units), row(from_r, p * units, units)
        g = row(grads, p * units, units)
        for u in range(units):
            g[u] = (g_y[u] + back[u]) * (one - h[u] * h[u])


@part
def _relu_grad(s, side, k, grad_y, y, kept, zeros, from_r, carry, carry_out, grads):
    units, zero, at = s.units, grads.dtype.type(0), _place(s, side, k)
    for p in range(s.rows):
        place = (at * s.step + p * s.row) * 2 * units + side * units
        h, g_y, back = row(y, place, units), row(grad_y, place, units), row(from_r, p * units, units)
        g = row(grads, p * units, units)
        for u in range(units):
            g[u] = zero if h[u] <= 0 else g_y[u] + back[u]


@part
def _grads_of_block(
    gemm, s, side, first, low, n, grads, x, y, weight, block, grad_weight, grad_recurrent, grad_bias, grad_x
):
    """Add the gradients of the weights from the n steps at `low`, and write the gradient of x."""
    pixels = n * s.rows
    if s.channels:
        operand, start, ld = _gathered(s, x, 0, s.channels, s.channels, low, n, block)
        matmul(
            gemm,
            (True, False),
            (s.channels, s.gates, pixels),
            (operand, start, ld),
            (grads, 0, s.grads),
            1,
            (grad_weight, 0, s.gates),
        )
    # hidden states of the steps before; the very first step has none, and is the last row of a backward block
    skip = 1 if first == 0 else 0
    if n > skip:
        before = low + 1 if side else low + skip - 1
        operand, start, ld = _gathered(s, y, side * s.units, s.units, 2 * s.units, before, n - skip, block)
        behind = 0 if side else skip * s.rows * s.grads
        matmul(
            gemm,
            (True, False),
            (s.units, s.gates, (n - skip) * s.rows),
            (operand, start, ld),
            (grads, behind + s.grads - s.gates, s.grads),
            1,
            (grad_recurrent, 0, s.gates),
        )
    for p in range(pixels):
        source = row(grads, p * s.grads, s.gates)
        for c in range(s.gates):
            grad_bias[c] += source[c]
    if grad_x is not None and s.channels:
        direct = s.step == s.rows
        matmul(
            gemm,
            (False, True),
            (pixels, s.channels, s.gates),
            (grads, 0, s.grads),
            (weight, 0, s.gates),
            0,
            (grad_x if direct else block, low * s.step * s.channels if direct else 0, s.channels),
        )
        if not direct:
            _scatter(s, block, low, n, grad_x)


@part
def _scatter(s, block, low, n, pixels):
    for r in range(s.rows):
        for k in range(n):
            source = row(block, (k * s.rows + r) * s.channels, s.channels)
            target = row(pixels, (r * s.row + (low + k) * s.step) * s.channels, s.channels)
            for c in range(s.channels):
                target[c] = source[c]


def _cells_grad(s, side, k, grad_y, y, kept, zeros, from_r, carry, carry_out, grads):
    """Compute the gradients of the gates of step k, and what passes by its products in `carry_out`."""


@overload(_cells_grad)
def _cells_grad_of(s, side, k, grad_y, y, kept, zeros, from_r, carry, carry_out, grads):
    found = {Gru: _gru_grad, Lstm: _lstm_grad, Tanh: _tanh_grad, Relu: _relu_grad}[s.instance_class]
    return lambda s, side, k, grad_y, y, kept, zeros, from_r, carry, carry_out, grads: found(
        s, side, k, grad_y, y, kept, zeros, from_r, carry, carry_out, grads
    )
