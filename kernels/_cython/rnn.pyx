"""Recurrent sweeps, a few steps at a time; meaning: kernels/_reference/rnn.py.

One direction of one image is a task. Its input products are computed for a block of steps, whose results stay in
the L2 cache; then each step is one product over its pixels and one pass over its gates. The backward pass takes
the same blocks: gradients of the gates are used for the weights and for x while they are in the cache, and never
stored. Blocks hold the steps in the order of the image, also those of the backward direction.

Gates of the GRU stand in the order candidate, reset, update inside: with the candidate's recurrent product
after them, the gradients of either product then lie side by side.
"""

import numpy as np

from cython cimport floating
from cython.parallel cimport prange
from libc.string cimport memcpy, memset

from lstm2d.kernels import arena
from lstm2d.kernels._cython.gemm cimport panel_bytes, product, product_panels
from lstm2d.kernels._cython.levels cimport use_level
from lstm2d.kernels.blas import single_blas
from lstm2d.kernels.checks import contiguous_floats
from lstm2d.kernels._cython.grain import threads_for
from lstm2d.kernels._cython.panels import panels

use_level()

cdef extern from "rnn_gates.h" nogil:
    int RNN_GRU, RNN_LSTM, RNN_TANH, RNN_RELU
    void rnn_step_forward_f32(int, Py_ssize_t, Py_ssize_t, const float*, const float*, const float*, float*, float*,
                              Py_ssize_t, float*)
    void rnn_step_forward_f64(int, Py_ssize_t, Py_ssize_t, const double*, const double*, const double*, double*,
                              double*, Py_ssize_t, double*)
    void rnn_step_backward_f32(int, Py_ssize_t, Py_ssize_t, const float*, const float*, Py_ssize_t, const float*,
                               const float*, Py_ssize_t, const float*, const float*, float*, float*)
    void rnn_step_backward_f64(int, Py_ssize_t, Py_ssize_t, const double*, const double*, Py_ssize_t,
                               const double*, const double*, Py_ssize_t, const double*, const double*, double*,
                               double*)

cdef extern from "rows.h" nogil:
    void add_rows_f32(Py_ssize_t, Py_ssize_t, const float*, Py_ssize_t, double*)
    void add_rows_f64(Py_ssize_t, Py_ssize_t, const double*, Py_ssize_t, double*)

cdef enum:
    BLOCK = 384  # pixels of a block, at most, but at least one step: its products stay in the L2 cache
    PRODUCTS = 16  # multiplications that take as long as one value of a plain pass

KINDS = {"gru": RNN_GRU, "lstm": RNN_LSTM, "tanh": RNN_TANH, "relu": RNN_RELU}


cdef struct Sweep:
    int unit
    bint backward  # up or left
    Py_ssize_t steps, rows  # rows: pixels of a step
    Py_ssize_t step, row  # distance of two steps, and of two pixels of a step, in pixels
    Py_ssize_t block  # steps of a block
    Py_ssize_t channels, units
    Py_ssize_t out  # distance of two pixels of the hidden states
    Py_ssize_t gates, state, kept, grads  # values of a pixel: products, h and c, kept ones, gradients
    Py_ssize_t recurrent_grads  # where those of the recurrent product begin


def rnn_forward(x, weight, recurrent, bias, unit, axis, keep):
    """See kernels/_reference/rnn.py."""
    return _sweeps(x, weight, recurrent, bias, unit, axis, keep, None)[:2]


def rnn_strip(x, weight, recurrent, bias, unit, above):
    """See kernels/_reference/rnn.py."""
    return _sweeps(x, weight, recurrent, bias, unit, 1, False, above)[::2]


def _sweeps(x, weight, recurrent, bias, unit, axis, keep, above):
    """Return the hidden states of as many directions as there are weights, what is kept, the last states."""
    x, weight, recurrent, bias = contiguous_floats(x, _inside(weight, unit), recurrent, _inside(bias, unit))
    n, directions = x.shape[0], len(weight)
    cdef Sweep s = _sweep(KINDS[unit], x.shape, recurrent.shape[1], axis, directions)
    recurrent = panels(recurrent, panel_bytes())
    y = arena.empty((*x.shape[:3], s.out), x.dtype)
    kept = arena.empty((n, directions, s.steps * s.rows, s.kept), x.dtype) if keep else None
    edge = None if above is None else np.array(above, x.dtype, order="C")  # of the row above, then of the last row
    scratch = arena.empty((n, directions, _forward_scratch(&s)), x.dtype)
    if y.size:
        threads = _threads(y.size, s)
        with single_blas():
            if x.dtype == np.float32:
                _forward[float](s, x, weight, recurrent, bias, y, kept, edge, scratch, threads)
            else:
                _forward[double](s, x, weight, recurrent, bias, y, kept, edge, scratch, threads)
    return y, kept, edge


def rnn_backward(grad_y, x, y, kept, weight, recurrent, unit, axis, need_x):
    """See kernels/_reference/rnn.py."""
    grad_y, x, y, weight, recurrent = contiguous_floats(
        grad_y, x, y, _inside(weight, unit).transpose(0, 2, 1), recurrent.transpose(0, 2, 1)
    )
    cdef Sweep s = _sweep(KINDS[unit], x.shape, recurrent.shape[2], axis)
    recurrent = panels(recurrent, panel_bytes())
    n, dtype = x.shape[0], x.dtype
    grad_weight = np.zeros((n, 2, s.channels, s.gates), dtype)
    grad_recurrent = np.zeros((n, 2, s.units, s.gates), dtype)
    grad_bias = np.zeros((n, 2, s.gates))
    grad_x = arena.empty(x.shape, dtype) if need_x else None
    threads = _threads(3 * y.size, s)
    # of the second direction; one thread adds it to that of the first block by block
    other = arena.empty(x.shape, dtype) if need_x and threads > 1 else None
    scratch = arena.empty((n, 2, _backward_scratch(&s)), dtype)
    if y.size:
        with single_blas():
            if dtype == np.float32:
                _backward[float](s, grad_y, x, y, kept, weight, recurrent, scratch, grad_weight, grad_recurrent,
                                 grad_bias, grad_x, other, threads)
            else:
                _backward[double](s, grad_y, x, y, kept, weight, recurrent, scratch, grad_weight, grad_recurrent,
                                  grad_bias, grad_x, other, threads)
    elif need_x:
        grad_x[...] = 0
    return (
        grad_x,
        _outside(grad_weight.sum(0), unit),  # over images, in order
        grad_recurrent.sum(0),
        _outside(grad_bias.sum(0), unit).astype(dtype),
    )


def _inside(weights, unit):
    """Return weights or biases with their gates in the order of this module."""
    return _turn(weights, 1) if unit == "gru" else weights


def _outside(weights, unit):
    return _turn(weights, -1) if unit == "gru" else weights


def _turn(weights, shift):
    if weights.size == 0:
        return weights
    *front, columns = weights.shape
    return np.roll(weights.reshape(*front, 3, columns // 3), shift, len(front)).reshape(weights.shape)


cdef Sweep _sweep(int unit, shape, Py_ssize_t units, int axis, Py_ssize_t directions=2):
    cdef Sweep s
    cdef Py_ssize_t height = shape[1], width = shape[2]
    s.unit, s.backward, s.channels, s.units, s.out = unit, False, shape[3], units, directions * units
    if axis == 1:
        s.steps, s.rows, s.step, s.row = height, width, width, 1
    else:
        s.steps, s.rows, s.step, s.row = width, height, 1, width
    s.block = max(1, min(s.steps, BLOCK // max(1, s.rows)))
    if unit == RNN_GRU:
        s.gates, s.state, s.kept, s.grads, s.recurrent_grads = 3 * units, units, 4 * units, 4 * units, units
    elif unit == RNN_LSTM:
        s.gates, s.state, s.kept, s.grads, s.recurrent_grads = 4 * units, 2 * units, 5 * units, 4 * units, 0
    else:
        s.gates, s.state, s.kept, s.grads, s.recurrent_grads = units, units, 0, units, 0
    return s


cdef int _threads(Py_ssize_t values, Sweep s):
    return threads_for(values * (1 + s.gates // max(1, s.units) * (s.channels + s.units) // PRODUCTS))


cdef Py_ssize_t _blocks(const Sweep* s) noexcept nogil:
    return (s.steps + s.block - 1) // s.block


cdef Py_ssize_t _place(const Sweep* s, Py_ssize_t k) noexcept nogil:
    """Return the row or column of the image that is step k."""
    return s.steps - 1 - k if s.backward else k


# ---- forward


cdef Py_ssize_t _forward_scratch(const Sweep* s):
    return s.rows * (s.block * (s.gates + s.channels) + s.gates + 2 * s.state)


cdef _forward(Sweep s, const floating[:, :, :, ::1] x, const floating[:, :, ::1] weight,
              const floating[:, ::1] recurrent, const floating[:, ::1] bias, floating[:, :, :, ::1] y,
              floating[:, :, :, ::1] kept, floating[:, :, :, ::1] edge, floating[:, :, ::1] scratch, int threads):
    cdef Py_ssize_t task, pixels = s.steps * s.rows, n = weight.shape[0]  # directions
    cdef floating* edges = &edge[0, 0, 0, 0] if edge is not None else NULL
    cdef const floating* values = &x[0, 0, 0, 0] if s.channels else NULL
    cdef const floating* factors = &weight[0, 0, 0] if s.channels else NULL
    cdef floating* keep = &kept[0, 0, 0, 0] if kept is not None and s.kept else NULL
    for task in prange(x.shape[0] * n, nogil=True, schedule="static", num_threads=threads):
        _task_forward(
            s, task % n, values + task // n * pixels * s.channels, factors + task % n * s.channels * s.gates,
            &recurrent[task % n, 0], &bias[task % n, 0], &y[task // n, 0, 0, task % n * s.units],
            keep + task * pixels * s.kept if keep else NULL, edges + task * s.rows * s.state if edges else NULL,
            &scratch[task // n, task % n, 0])


cdef void _task_forward(Sweep s, bint backward, const floating* x, const floating* weight,
                        const floating* recurrent, const floating* bias, floating* y, floating* kept,
                        floating* edge, floating* scratch) noexcept nogil:
    # `edge` holds the state before the first step, and gets that after the last one
    cdef Py_ssize_t index, first, n, low, k, at
    cdef floating* before = scratch
    cdef floating* after = before + s.rows * s.state
    cdef floating* r = after + s.rows * s.state
    cdef floating* z = r + s.rows * s.gates
    cdef floating* block = z + s.block * s.rows * s.gates
    cdef const floating* operand
    cdef floating* to_keep
    s.backward = backward
    if edge:
        memcpy(before, edge, s.rows * s.state * sizeof(floating))
    else:
        memset(before, 0, s.rows * s.state * sizeof(floating))
    memset(r, 0, s.rows * s.gates * sizeof(floating))
    for index in range(_blocks(&s)):
        first = index * s.block
        n = min(s.block, s.steps - first)
        low = min(_place(&s, first), _place(&s, first + n - 1))
        operand = _rows(&s, x, s.channels, s.channels, low, n, block) if s.channels else NULL
        product(False, n * s.rows, s.gates, s.channels, operand, s.channels, weight, s.gates, False, bias, z, s.gates)
        for k in range(first, first + n):
            at = _place(&s, k)
            to_keep = kept + at * s.rows * s.kept if kept else NULL
            if (k or edge) and s.unit == RNN_GRU:
                product_panels[floating](s.rows, s.gates, s.units, before, s.state, recurrent, False, NULL, r, s.gates,
                                         to_keep, s.rows * s.kept)
            elif k or edge:
                product_panels[floating](s.rows, s.gates, s.units, before, s.state, recurrent, True, NULL,
                                         z + (at - low) * s.rows * s.gates, s.gates, to_keep, s.rows * s.kept)
            _step_forward(&s, z + (at - low) * s.rows * s.gates, r, before, after,
                          y + at * s.step * s.out, to_keep)
            before, after = after, before
    if edge:
        memcpy(edge, before, s.rows * s.state * sizeof(floating))


cdef inline void _step_forward(const Sweep* s, const floating* z, const floating* r, const floating* before,
                               floating* after, floating* y, floating* kept) noexcept nogil:
    if floating is float:
        rnn_step_forward_f32(s.unit, s.units, s.rows, z, r, before, after, y, s.row * s.out, kept)
    else:
        rnn_step_forward_f64(s.unit, s.units, s.rows, z, r, before, after, y, s.row * s.out, kept)


# ---- backward


cdef Py_ssize_t _backward_scratch(const Sweep* s):
    return s.rows * (s.block * (s.grads + max(s.channels, s.units)) + 3 * s.units) + s.units


cdef _backward(Sweep s, const floating[:, :, :, ::1] grad_y, const floating[:, :, :, ::1] x,
               const floating[:, :, :, ::1] y, const floating[:, :, :, ::1] kept, const floating[:, :, ::1] weight,
               const floating[:, ::1] back, floating[:, :, ::1] scratch, floating[:, :, :, ::1] grad_weight,
               floating[:, :, :, ::1] grad_recurrent, double[:, :, ::1] grad_bias, floating[:, :, :, ::1] grad_x,
               floating[:, :, :, ::1] other, int threads):
    cdef Py_ssize_t task, image, side, pixels = s.steps * s.rows, size = s.channels * s.gates
    cdef const floating* values = &x[0, 0, 0, 0] if s.channels else NULL
    cdef const floating* factors = &weight[0, 0, 0] if s.channels else NULL
    cdef floating* grad_factors = &grad_weight[0, 0, 0, 0] if s.channels else NULL
    cdef const floating* keep = &kept[0, 0, 0, 0] if s.kept else NULL
    cdef floating* to_x[2]
    to_x[0] = to_x[1] = NULL
    if grad_x is not None and s.channels:
        to_x[0] = to_x[1] = &grad_x[0, 0, 0, 0]
        if other is not None:
            to_x[1] = &other[0, 0, 0, 0]
    for task in prange(x.shape[0] * 2, nogil=True, schedule="static", num_threads=threads):
        image = task // 2
        side = task % 2
        _task_backward(
            s, side, &grad_y[image, 0, 0, side * s.units], values + image * pixels * s.channels,
            &y[image, 0, 0, side * s.units], keep + task * pixels * s.kept, factors + side * size,
            &back[side, 0], &scratch[image, side, 0], grad_factors + task * size,
            &grad_recurrent[image, side, 0, 0], &grad_bias[image, side, 0],
            to_x[side] + image * pixels * s.channels if to_x[side] else NULL,
            side == 1 and to_x[1] == to_x[0])
    if to_x[1] != to_x[0]:
        for image in prange(x.shape[0] * s.steps, nogil=True, schedule="static", num_threads=threads):
            _add(s.rows * s.channels, to_x[1] + image * s.rows * s.channels,
                 to_x[0] + image * s.rows * s.channels)


cdef void _task_backward(Sweep s, bint backward, const floating* grad_y, const floating* x, const floating* y,
                         const floating* kept, const floating* weight, const floating* back, floating* scratch,
                         floating* grad_weight, floating* grad_recurrent, double* grad_bias,
                         floating* grad_x, bint add) noexcept nogil:
    cdef Py_ssize_t index, first, n, low, k
    cdef floating* zeros = scratch
    cdef floating* carry = zeros + s.units  # as it enters a step; then as it leaves it
    cdef floating* from_r = carry + 2 * s.rows * s.units
    cdef floating* grads = from_r + s.rows * s.units
    cdef floating* block = grads + s.block * s.rows * s.grads
    s.backward = backward
    memset(zeros, 0, (s.units + 3 * s.rows * s.units) * sizeof(floating))
    for index in range(_blocks(&s) - 1, -1, -1):
        first = index * s.block
        n = min(s.block, s.steps - first)
        low = min(_place(&s, first), _place(&s, first + n - 1))
        for k in range(first + n - 1, first - 1, -1):
            _step_backward(&s, k, kept, y, zeros, grad_y, from_r, carry, k % 2,
                           grads + (_place(&s, k) - low) * s.rows * s.grads)
            if k:
                product_panels[floating](s.rows, s.units, s.gates,
                                         grads + (_place(&s, k) - low) * s.rows * s.grads + s.recurrent_grads,
                                         s.grads, back, False, NULL, from_r, s.units,
                                         kept + _place(&s, max(0, k - 2)) * s.rows * s.kept, s.rows * s.kept)
        _grads_of_block(&s, first, low, n, grads, x, y, weight, block, grad_weight, grad_recurrent, grad_bias,
                        grad_x, add)


cdef inline void _step_backward(
    const Sweep* s, Py_ssize_t k, const floating* kept, const floating* y, const floating* zeros,
    const floating* grad_y, const floating* from_r, floating* carry, Py_ssize_t turn, floating* grads,
) noexcept nogil:
    cdef Py_ssize_t at = _place(s, k), size = s.rows * s.units, before_ld = 0, y_ld = s.row * 2 * s.units
    cdef Py_ssize_t pixel = at * s.step * 2 * s.units
    cdef const floating* before = zeros
    if k and s.unit == RNN_LSTM:
        before, before_ld = kept + _place(s, k - 1) * s.rows * s.kept + 4 * s.units, s.kept
    elif k:
        before, before_ld = y + _place(s, k - 1) * s.step * 2 * s.units, y_ld
    if floating is float:
        rnn_step_backward_f32(s.unit, s.units, s.rows, kept + at * s.rows * s.kept, before, before_ld, y + pixel,
                              grad_y + pixel, y_ld, from_r, carry + turn * size, carry + (1 - turn) * size, grads)
    else:
        rnn_step_backward_f64(s.unit, s.units, s.rows, kept + at * s.rows * s.kept, before, before_ld, y + pixel,
                              grad_y + pixel, y_ld, from_r, carry + turn * size, carry + (1 - turn) * size, grads)


cdef void _grads_of_block(
    const Sweep* s, Py_ssize_t first, Py_ssize_t low, Py_ssize_t n, const floating* grads, const floating* x,
    const floating* y, const floating* weight, floating* block, floating* grad_weight, floating* grad_recurrent,
    double* grad_bias, floating* grad_x, bint add,
) noexcept nogil:
    """Add the gradients of the weights from the n steps at `low`, and write or `add` the gradient of x."""
    cdef Py_ssize_t pixels = n * s.rows, skip, ld = s.units
    cdef const floating* operand
    cdef floating* to = block
    if s.channels:
        operand = _rows(s, x, s.channels, s.channels, low, n, block)
        product[floating](True, s.channels, s.gates, pixels, operand, s.channels, grads, s.grads, True, NULL,
                          grad_weight, s.gates)
    # hidden states of the steps before; the very first step has none, and is the last row of a backward block
    skip = 1 if first == 0 else 0
    if n > skip:
        operand = _rows(s, y, s.units, 2 * s.units, low + 1 if s.backward else low + skip - 1, n - skip, block)
        if s.step == s.rows:
            ld = 2 * s.units
        product[floating](True, s.units, s.gates, (n - skip) * s.rows, operand, ld,
                          grads + (0 if s.backward else skip * s.rows * s.grads) + s.recurrent_grads, s.grads, True,
                          NULL, grad_recurrent, s.gates)
    if floating is float:
        add_rows_f32(pixels, s.gates, grads, s.grads, grad_bias)
    else:
        add_rows_f64(pixels, s.gates, grads, s.grads, grad_bias)
    if grad_x:
        if s.step == s.rows and not add:
            to = grad_x + low * s.rows * s.channels
        product[floating](False, pixels, s.channels, s.gates, grads, s.grads, weight, s.channels, False, NULL, to,
                          s.channels)
        if to == block:
            _scatter(s, block, s.channels, low, n, grad_x, add)


# ---- steps of the image as rows of a matrix


cdef const floating* _rows(const Sweep* s, const floating* pixels, Py_ssize_t values, Py_ssize_t ld, Py_ssize_t low,
                           Py_ssize_t n, floating* block) noexcept nogil:
    """Return the pixels of n steps, step by step: where they are if they lie so (`ld` apart), else in `block`."""
    cdef Py_ssize_t row, k
    if s.step == s.rows:
        return pixels + low * s.rows * ld
    for row in range(s.rows):
        for k in range(n):
            memcpy(block + (k * s.rows + row) * values, pixels + (row * s.row + low + k) * ld,
                   values * sizeof(floating))
    return block


cdef void _scatter(const Sweep* s, const floating* block, Py_ssize_t values, Py_ssize_t low, Py_ssize_t n,
                   floating* pixels, bint add) noexcept nogil:
    cdef Py_ssize_t row, k
    cdef floating* pixel
    for row in range(s.rows):
        for k in range(n):
            pixel = pixels + (row * s.row + (low + k) * s.step) * values
            if add:
                _add(values, block + (k * s.rows + row) * values, pixel)
            else:
                memcpy(pixel, block + (k * s.rows + row) * values, values * sizeof(floating))


cdef void _add(Py_ssize_t n, const floating* source, floating* target) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(n):
        target[k] += source[k]
