"""The 2D-LSTM layer, an anti-diagonal at a time; meaning: kernels/_reference/lstm2d.py.

One direction of one image is a *scan*. Its pixels are kept by anti-diagonals, one after the other, as
columns; rows are values. The state of a scan has these rows:

    x (C), old h of the horizontal predecessor (U), of the vertical one (U)    the operand of the products
    old c of the horizontal predecessor (U), of the vertical one (U)
    gates (5 U), tanh of the new cell (U)

One step is one product over a diagonal, (5 U, C + 2 U) times (C + 2 U, pixels), and one pass over its gates.
That pass writes h and c straight into the rows of the next diagonal. Vector lanes run over pixels, so that
4 units fill them as well as 50. With nothing to keep for a backward pass, two diagonals take turns in a
state that stays in the cache.
"""

import numpy as np

from lstm2d.kernels import arena
from lstm2d.kernels.arrays import contiguous
from lstm2d.kernels.blas import single_blas
from lstm2d.kernels._cython.grain import threads_for

from cython cimport floating
from cython.parallel cimport prange, threadid
from libc.string cimport memset

from lstm2d.kernels._cython.blas cimport matmul
from lstm2d.kernels._cython.gemm cimport product_thin
from lstm2d.kernels._cython.lstm2d_columns cimport clear_column, columns_to_pixels, pixels_to_columns, shift_rows
from lstm2d.kernels._cython.levels cimport use_level

use_level()


cdef extern from "lstm2d_gates.h" nogil:
    const Py_ssize_t LSTM2D_LANES
    void gates_forward_f32(Py_ssize_t, Py_ssize_t, Py_ssize_t, float, int, const float*, const float*,
                           float*, const float*, float*, float*, float*)
    void gates_forward_f64(Py_ssize_t, Py_ssize_t, Py_ssize_t, double, int, const double*, const double*,
                           double*, const double*, double*, double*, double*)
    void gates_backward_f32(Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, float, int, float, const float*,
                            const float*, const float*, const float*, const float*, const float*, float*, float*)
    void gates_backward_f64(Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, double, int, double, const double*,
                            const double*, const double*, const double*, const double*, const double*,
                            double*, double*)
    void gates_reduce_f32(Py_ssize_t, Py_ssize_t, Py_ssize_t, float, int, const float*, const float*,
                          const float*, float*, float*)
    void gates_reduce_f64(Py_ssize_t, Py_ssize_t, Py_ssize_t, double, int, const double*, const double*,
                          const double*, double*, double*)


cdef struct Scan:
    Py_ssize_t height, width, channels, units
    Py_ssize_t first, along, aside  # pixel number of the scan's corner; steps of a row and of a column
    Py_ssize_t out  # distance of two pixels of the hidden states
    Py_ssize_t ld  # distance of two rows of the state
    Py_ssize_t slot  # 0: all diagonals are kept; else the distance of the two that take turns
    double cell_scale
    bint leaky


cdef struct Diagonal:
    Py_ssize_t low, high, length  # first and last image row in scan order, pixels
    Py_ssize_t lanes  # length rounded up to whole vectors
    Py_ssize_t column  # first column in the state
    Py_ssize_t pixel, step  # number of its first pixel, distance of two


def lstm2d_forward(x, weight, recurrent, bias, peepholes, cell_scale, leaky, keep):
    """See kernels/_reference/lstm2d.py. Kept: C + 10 U values for each pixel and direction."""
    y, state, _ = _scans(x, weight, recurrent, bias, peepholes, cell_scale, leaky, keep, None)
    return y, (state if keep else None)


def lstm2d_strip(x, weight, recurrent, bias, peepholes, cell_scale, leaky, above):
    """See kernels/_reference/lstm2d.py."""
    y, _, edge = _scans(x, weight, recurrent, bias, peepholes, cell_scale, leaky, False, above)
    return y, edge


def _scans(x, weight, recurrent, bias, peepholes, cell_scale, leaky, keep, above):
    """Return the hidden states of as many directions as there are weights, all states, those of the last row."""
    x = contiguous(x)
    (n, h, w, channels), directions, units = x.shape, len(weight), recurrent.shape[1] // 2
    both = contiguous(np.concatenate([weight, recurrent], axis=1, dtype=x.dtype))
    bias = contiguous(bias)
    peepholes = None if peepholes is None else contiguous(peepholes)
    slot = 0 if keep else _round_up(min(h, w)) + 2 * LSTM2D_LANES
    ld = _stride(2 * slot if slot else h * w + 3 * LSTM2D_LANES)
    state = arena.empty((n, directions, channels + 10 * units, ld), x.dtype)
    edge = None if above is None else np.array(above, x.dtype, order="C")  # of the row above, then of the last row
    y = arena.empty((n, h, w, directions * units), x.dtype)
    if y.size:
        _check(x.dtype)
        with single_blas():
            _forward(x, both, bias, peepholes, cell_scale, leaky, slot, state, edge, y, threads_for(5 * y.size))
    return y, state, edge


def lstm2d_backward(grad_y, x, kept, weight, recurrent, bias, peepholes, cell_scale, leaky, gate_clip, need_x):
    """See kernels/_reference/lstm2d.py."""
    grad_y = contiguous(grad_y)
    n, h, w, channels = x.shape
    units = recurrent.shape[1] // 2
    dtype, ld = x.dtype, kept.shape[3]
    weight, recurrent = contiguous(weight), contiguous(recurrent)
    peepholes = None if peepholes is None else contiguous(peepholes)
    crossing = _stride(h + 2 * LSTM2D_LANES)  # gradients from one diagonal to the next, by image row
    threads = min(threads_for(5 * grad_y.size), max(1, 4 * n))
    scratch = arena.empty((threads, 7 * units * crossing + 5 * units * ld), dtype)
    grad_both = np.zeros((n, 4, channels + 2 * units, 5 * units), dtype)
    grad_bias = np.zeros((n, 4, 5 * units), dtype)
    grad_peepholes = None if peepholes is None else np.zeros((n, 4, 5, units), dtype)
    grad_pixels = arena.empty((n, 4, h * w, channels), dtype) if need_x else None
    grad_x = arena.empty((n, h, w, channels), dtype) if need_x else None
    if grad_y.size:
        _check(dtype)
        with single_blas():
            _backward(grad_y, weight, recurrent, peepholes, cell_scale, leaky, gate_clip, crossing, kept, scratch,
                      grad_both, grad_bias, grad_peepholes, grad_pixels, grad_x, threads)
    elif need_x:
        grad_x[...] = 0
    grad_both = grad_both.sum(0)  # over images, in order
    return (
        grad_x,
        grad_both[:, :channels],
        grad_both[:, channels:],
        grad_bias.sum(0),
        None if peepholes is None else grad_peepholes.sum(0),
    )


def _check(dtype):
    if dtype != np.float32 and dtype != np.float64:
        raise TypeError(f"float32 or float64, got {dtype}")


cdef Py_ssize_t _round_up(Py_ssize_t n) noexcept nogil:
    return (n + LSTM2D_LANES - 1) // LSTM2D_LANES * LSTM2D_LANES


cdef Py_ssize_t _stride(Py_ssize_t n) noexcept nogil:
    # an odd number of cache lines: rows that are read together do not fall into the same cache sets
    return _round_up(n) | LSTM2D_LANES


cdef Scan _scan(Py_ssize_t direction, Py_ssize_t height, Py_ssize_t width, Py_ssize_t channels,
                Py_ssize_t units, Py_ssize_t ld, Py_ssize_t slot, double cell_scale, bint leaky,
                Py_ssize_t directions=4) noexcept nogil:
    cdef Scan s
    cdef bint up = direction >= 2, left = direction % 2 == 1
    s.height, s.width, s.channels, s.units = height, width, channels, units
    s.first = (width * (height - 1) if up else 0) + (width - 1 if left else 0)
    s.along = -width if up else width
    s.aside = -1 if left else 1
    s.out, s.ld, s.slot, s.cell_scale, s.leaky = directions * units, ld, slot, cell_scale, leaky
    return s


cdef Diagonal _diagonal(const Scan* s, Py_ssize_t t) noexcept nogil:
    cdef Diagonal d
    cdef Py_ssize_t corner  # pixels of the triangle that the last column cuts off
    d.low = max(0, t - s.width + 1)
    d.high = min(t, s.height - 1)
    d.length = d.high - d.low + 1
    d.lanes = _round_up(d.length)
    d.pixel = s.first + d.low * s.along + (t - d.low) * s.aside
    d.step = s.along - s.aside
    if s.slot:
        d.column = t % 2 * s.slot
        return d
    # pixels of all diagonals before t: a full triangle, less what lies beyond the last row and column
    d.column = LSTM2D_LANES + t * (t + 1) // 2
    corner = max(0, t - s.width)
    d.column -= corner * (corner + 1) // 2
    corner = max(0, t - s.height)
    d.column -= corner * (corner + 1) // 2
    return d


# ---- forward


def _forward(const floating[:, :, :, ::1] x, const floating[:, :, ::1] both, const floating[:, ::1] bias,
             const floating[:, :, ::1] peepholes, double cell_scale, bint leaky, Py_ssize_t slot,
             floating[:, :, :, ::1] state, floating[:, :, :, ::1] edge, floating[:, :, :, ::1] y, int n_threads):
    cdef Py_ssize_t task, height = x.shape[1], width = x.shape[2], channels = x.shape[3]
    cdef Py_ssize_t units = bias.shape[1] // 5, ld = state.shape[3], n = both.shape[0]  # directions
    cdef const floating* peep = NULL
    cdef floating* edges = NULL
    if peepholes is not None:
        peep = &peepholes[0, 0, 0]
    if edge is not None:
        edges = &edge[0, 0, 0, 0]
    for task in prange(x.shape[0] * n, nogil=True, schedule="static", num_threads=n_threads):
        _scan_forward(
            _scan(task % n, height, width, channels, units, ld, slot, cell_scale, leaky, n),
            &x[0, 0, 0, 0] + task // n * height * width * channels if channels else NULL,
            &both[task % n, 0, 0], &bias[task % n, 0], peep + task % n * 5 * units if peep else NULL,
            &state[task // n, task % n, 0, 0], edges + task * width * 2 * units if edges else NULL,
            &y[task // n, 0, 0, task % n * units])


cdef void _scan_forward(Scan s, const floating* x, const floating* both, const floating* bias,
                        const floating* peepholes, floating* operand, floating* edge, floating* y) noexcept nogil:
    # `edge` holds h and c of the row above, by image column; each column's give way to those of the last row
    cdef Py_ssize_t inner = s.channels + 2 * s.units, steps = s.height + s.width - 1, t, column, shift
    cdef floating* cells = operand + inner * s.ld
    cdef floating* gates = cells + 2 * s.units * s.ld
    cdef floating* tanh_cell = gates + 5 * s.units * s.ld
    cdef floating* hidden = operand + s.channels * s.ld
    cdef Diagonal d = _diagonal(&s, 0), after
    clear_column(hidden + d.column, s.units, s.ld)
    clear_column(cells + d.column, s.units, s.ld)
    _above(&s, edge, 0, hidden + s.units * s.ld + d.column, cells + s.units * s.ld + d.column)
    for t in range(steps):
        after = _diagonal(&s, t + 1)
        pixels_to_columns(x, d.pixel * s.channels, d.step * s.channels, d.length, s.channels,
                          operand + d.column, s.ld)
        column = 0 if s.slot else d.column
        product_thin(True, 5 * s.units, d.lanes, inner, both, 5 * s.units, operand + d.column, s.ld,
                     gates + column, s.ld)
        # where the lower neighbours of this diagonal lie in the next one
        shift = after.column + 1 - (after.low - d.low)
        _gates_forward(&s, d.lanes, bias, peepholes, gates + column, cells + d.column,
                       hidden + s.units * s.ld + shift, cells + s.units * s.ld + shift, tanh_cell + column)
        columns_to_pixels(hidden + s.units * s.ld + shift, s.ld, d.length, s.units, y,
                          d.pixel * s.out, d.step * s.out)
        if edge and d.high == s.height - 1:
            _keep_state(&s, hidden + s.units * s.ld + shift + d.length - 1,
                        cells + s.units * s.ld + shift + d.length - 1, edge + _edge_place(&s, t - d.high))
        if t + 1 < steps:
            shift_rows(s.units, after.lanes, s.ld, hidden + after.column)
            shift_rows(s.units, after.lanes, s.ld, cells + after.column)
            if after.high > d.high:  # its last pixel lies in the first column: nothing to the left
                clear_column(hidden + after.column + after.length - 1, s.units, s.ld)
                clear_column(cells + after.column + after.length - 1, s.units, s.ld)
            if after.low == 0:  # its first pixel lies in the first row
                _above(&s, edge, t + 1, hidden + s.units * s.ld + after.column,
                       cells + s.units * s.ld + after.column)
        d = after


cdef inline Py_ssize_t _edge_place(const Scan* s, Py_ssize_t column) noexcept nogil:
    """Return where `edge` holds the state of a column in scan order."""
    return (column if s.aside > 0 else s.width - 1 - column) * 2 * s.units


cdef void _above(const Scan* s, const floating* edge, Py_ssize_t column, floating* hidden,
                 floating* cell) noexcept nogil:
    """Write the state of the row above: that of `edge`, else 0."""
    cdef Py_ssize_t k, place = _edge_place(s, column)
    if not edge:
        clear_column(hidden, s.units, s.ld)
        clear_column(cell, s.units, s.ld)
        return
    for k in range(s.units):
        hidden[k * s.ld] = edge[place + k]
        cell[k * s.ld] = edge[place + s.units + k]


cdef void _keep_state(const Scan* s, const floating* hidden, const floating* cell, floating* edge) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(s.units):
        edge[k] = hidden[k * s.ld]
        edge[s.units + k] = cell[k * s.ld]


cdef inline void _gates_forward(
    const Scan* s, Py_ssize_t n, const floating* bias, const floating* peepholes, floating* gates,
    const floating* cells, floating* hidden, floating* cell, floating* tanh_cell,
) noexcept nogil:
    if floating is float:
        gates_forward_f32(s.units, n, s.ld, <float>s.cell_scale, s.leaky, bias, peepholes, gates, cells,
                          hidden, cell, tanh_cell)
    else:
        gates_forward_f64(s.units, n, s.ld, s.cell_scale, s.leaky, bias, peepholes, gates, cells,
                          hidden, cell, tanh_cell)


# ---- backward


def _backward(
    const floating[:, :, :, ::1] grad_y, const floating[:, :, ::1] weight, const floating[:, :, ::1] recurrent,
    const floating[:, :, ::1] peepholes, double cell_scale, bint leaky, double gate_clip, Py_ssize_t crossing,
    const floating[:, :, :, ::1] state, floating[:, ::1] scratch, floating[:, :, :, ::1] grad_both,
    floating[:, :, ::1] grad_bias, floating[:, :, :, ::1] grad_peepholes, floating[:, :, :, ::1] grad_pixels,
    floating[:, :, :, ::1] grad_x, int n_threads,
):
    cdef Py_ssize_t task, image, height = grad_y.shape[1], width = grad_y.shape[2], channels = weight.shape[1]
    cdef Py_ssize_t units = recurrent.shape[1] // 2, ld = state.shape[3], pixels = height * width
    cdef const floating* peep = NULL
    cdef floating* grad_peep = NULL
    cdef floating* to_pixels = NULL
    if peepholes is not None:
        peep, grad_peep = &peepholes[0, 0, 0], &grad_peepholes[0, 0, 0, 0]
    if grad_pixels is not None and channels:
        to_pixels = &grad_pixels[0, 0, 0, 0]
    for task in prange(grad_y.shape[0] * 4, nogil=True, schedule="static", num_threads=n_threads):
        _scan_backward(
            _scan(task % 4, height, width, channels, units, ld, 0, cell_scale, leaky),
            &grad_y[task // 4, 0, 0, task % 4 * units], &weight[task % 4, 0, 0] if channels else NULL,
            &recurrent[task % 4, 0, 0], peep + task % 4 * 5 * units if peep else NULL, gate_clip, crossing,
            &state[task // 4, task % 4, 0, 0], &scratch[threadid(), 0],
            &grad_both[task // 4, task % 4, 0, 0], &grad_bias[task // 4, task % 4, 0],
            grad_peep + task * 5 * units if peep else NULL,
            to_pixels + task * pixels * channels if to_pixels else NULL)
    if to_pixels:
        for image in prange(grad_y.shape[0], nogil=True, schedule="static", num_threads=n_threads):
            _add_directions(height, width, channels, to_pixels + image * 4 * pixels * channels,
                            &grad_x[image, 0, 0, 0])


cdef void _scan_backward(
    Scan s, const floating* grad_y, const floating* weight, const floating* recurrent,
    const floating* peepholes, double gate_clip, Py_ssize_t crossing, const floating* operand, floating* scratch,
    floating* grad_both, floating* grad_bias, floating* grad_peepholes, floating* grad_pixels,
) noexcept nogil:
    cdef Py_ssize_t inner = s.channels + 2 * s.units, pixels = s.height * s.width, units = s.units, t, back, row
    cdef const floating* cells = operand + inner * s.ld
    cdef const floating* gates = cells + 2 * units * s.ld
    cdef const floating* tanh_cell = gates + 5 * units * s.ld
    cdef floating* in_hidden = scratch
    cdef floating* in_cells = in_hidden + 3 * units * crossing
    cdef floating* out_cells = in_cells + 2 * units * crossing
    cdef floating* grad_z = out_cells + 2 * units * crossing
    cdef Diagonal d
    memset(scratch, 0, 7 * units * crossing * sizeof(floating))
    for t in range(s.height + s.width - 2, -1, -1):
        d = _diagonal(&s, t)
        # lanes beyond the diagonal lie before it, on the diagonal that comes next
        back = d.lanes - d.length
        row = LSTM2D_LANES + d.low
        pixels_to_columns(grad_y, d.pixel * 4 * units, d.step * 4 * units, d.length, units,
                          in_hidden + row, crossing)
        _gates_backward(&s, d.lanes, crossing, gate_clip, peepholes, gates + d.column - back,
                        cells + d.column - back, tanh_cell + d.column - back, in_hidden + row - back,
                        in_cells + row - back, out_cells + row - back, grad_z + d.column - back)
        clear_column(out_cells + row - 1, units, crossing)  # no pixel of this diagonal has it to its left
        in_cells, out_cells = out_cells, in_cells
        if t:
            product_thin(False, 2 * units, d.length, 5 * units, recurrent, 5 * units, grad_z + d.column, s.ld,
                         in_hidden + units * crossing + row, crossing)
    matmul(False, True, inner, 5 * units, pixels, operand + LSTM2D_LANES, s.ld, grad_z + LSTM2D_LANES, s.ld,
           <floating>0, grad_both, 5 * units)
    _gates_reduce(&s, gates + LSTM2D_LANES, cells + LSTM2D_LANES, grad_z + LSTM2D_LANES, grad_bias,
                  grad_peepholes)
    if grad_pixels:
        matmul(True, True, pixels, s.channels, 5 * units, grad_z + LSTM2D_LANES, s.ld, weight, 5 * units,
               <floating>0, grad_pixels, s.channels)


cdef inline void _gates_backward(
    const Scan* s, Py_ssize_t n, Py_ssize_t crossing, double gate_clip, const floating* peepholes,
    const floating* gates, const floating* cells, const floating* tanh_cell, const floating* in_hidden,
    const floating* in_cells, floating* out_cells, floating* grad_z,
) noexcept nogil:
    if floating is float:
        gates_backward_f32(s.units, n, s.ld, crossing, <float>s.cell_scale, s.leaky, <float>gate_clip, peepholes,
                           gates, cells, tanh_cell, in_hidden, in_cells, out_cells, grad_z)
    else:
        gates_backward_f64(s.units, n, s.ld, crossing, s.cell_scale, s.leaky, gate_clip, peepholes, gates, cells,
                           tanh_cell, in_hidden, in_cells, out_cells, grad_z)


cdef inline void _gates_reduce(const Scan* s, const floating* gates, const floating* cells,
                               const floating* grad_z, floating* grad_bias, floating* grad_peepholes) noexcept nogil:
    cdef Py_ssize_t pixels = s.height * s.width
    if floating is float:
        gates_reduce_f32(s.units, pixels, s.ld, <float>s.cell_scale, s.leaky, gates, cells, grad_z, grad_bias,
                         grad_peepholes)
    else:
        gates_reduce_f64(s.units, pixels, s.ld, s.cell_scale, s.leaky, gates, cells, grad_z, grad_bias,
                         grad_peepholes)


cdef void _add_directions(Py_ssize_t height, Py_ssize_t width, Py_ssize_t channels,
                          const floating* grad_pixels, floating* grad_x) noexcept nogil:
    """Sum the four directions' gradients, (pixels, C) in their own order of diagonals, always in one order."""
    cdef Py_ssize_t direction, t, p, k
    cdef const floating* source = grad_pixels
    cdef floating* to
    cdef Scan s
    cdef Diagonal d
    memset(grad_x, 0, height * width * channels * sizeof(floating))
    for direction in range(4):
        s = _scan(direction, height, width, channels, 0, 0, 0, 1, False)
        for t in range(height + width - 1):
            d = _diagonal(&s, t)
            for p in range(d.length):
                to = grad_x + (d.pixel + p * d.step) * channels
                for k in range(channels):
                    to[k] += source[k]
                source += channels
