"""Any convolution: the inputs of a block of output positions are copied into rows, and multiplied.

The outputs are cut into rectangles whose positions see the same taps (kernels/conv_parts.py), these into blocks
of positions, one product each. The blocks depend on the shapes of one image alone, and every block writes
outputs of its own. A weight gradient is summed in `GROUPS` groups of blocks, and over these in order, so that
it does not depend on the number of threads.
"""

import numpy as np

from cython cimport floating
from cython.parallel cimport prange, threadid
from libc.string cimport memcpy, memset

from lstm2d.kernels import arena
from lstm2d.kernels.conv_parts import add_to_weights, weights_of
from lstm2d.kernels._cython.activation cimport activate
from lstm2d.kernels._cython.blas cimport matmul
from lstm2d.kernels._cython.levels cimport use_level
from lstm2d.kernels.blas import single_blas
from lstm2d.kernels._cython.grain import threads_for

use_level()

cdef enum:
    GROUPS = 4
    COPIED = 1 << 16  # values of a block's copy: it stays in the L2 cache,
    WEIGHTS = 1 << 17  # unless there are more weights than these, which every product reads
    COPIED_LARGE = 1 << 22
    PRODUCTS = 16  # multiplications that take as long as one value of a plain pass

cdef struct Source:
    Py_ssize_t height, width, channels
    Py_ssize_t rows, columns  # taps
    Py_ssize_t row_step, column_step  # from one target to the next
    Py_ssize_t targets  # of one row of the rectangle
    const Py_ssize_t* row_offsets
    const Py_ssize_t* column_offsets
    bint dense  # column taps lie side by side

cdef struct Target:
    Py_ssize_t first, row_step, column_step  # in positions
    bint whole  # the positions of the rectangle lie one after the other


def products(x, weight, bias, y, parts, int activation):
    """Fill y, contiguous: the inputs of each rectangle, times weight (kh, kw, in, out), plus bias.

    The activation is applied to the sum.
    """
    n, size = x.shape[0], y.shape[1:3]
    flat = y.reshape(n, size[0] * size[1], y.shape[3])
    with single_blas():
        for rows, columns in parts:
            positions = rows.length * columns.length
            if positions == 0:
                continue
            used = weights_of((rows, columns), weight)
            inner, outputs = used.size // used.shape[3], used.shape[3]
            block = _block(inner, outputs, positions)
            threads = threads_for(n * positions * inner * outputs // PRODUCTS)
            scratch = arena.empty((threads, block * (inner + outputs)), x.dtype)
            geometry = _geometry(rows, columns, size)
            _products(
                x, used.reshape(inner, outputs), bias, flat, scratch, block, positions, *geometry, activation, threads)


def grad_weight(x, grad_y, grad, parts):
    """Add to grad, zeros (kh, kw, in, out), what every rectangle sees of x, transposed, times grad_y."""
    n = x.shape[0]
    size = grad_y.shape[1:3]
    outputs = grad_y.shape[3]
    flat = grad_y.reshape(n, size[0] * size[1], outputs)
    with single_blas():
        for rows, columns in parts:
            positions, inner = rows.length * columns.length, len(rows.taps) * len(columns.taps) * x.shape[3]
            if positions == 0 or inner == 0:
                continue
            block = _block(inner, outputs, positions)
            groups = min(<Py_ssize_t> GROUPS, n * (-(-positions // block)))
            threads = min(groups, threads_for(n * positions * inner * outputs // PRODUCTS))
            scratch = arena.empty((threads, block * (inner + outputs)), x.dtype)
            sums = arena.empty((groups, inner, outputs), x.dtype)
            geometry = _geometry(rows, columns, size)
            _grad_weight(x, flat, sums, scratch, block, positions, *geometry, threads)
            for k in range(1, groups):
                sums[0] += sums[k]
            add_to_weights((rows, columns), sums[0], grad)


def _block(inner, outputs, positions):
    large = inner * outputs > WEIGHTS
    n = max(128, min(1024, COPIED_LARGE // inner)) if large else max(32, min(512, COPIED // max(inner, 1)))
    return -(-positions // -(-positions // n))  # blocks of about equal size


def _geometry(rows, columns, size):
    """Return offsets, steps, targets per row, first target, steps of targets, and whether the part is whole."""
    whole = rows.step == 1 and columns.step == 1 and columns.first == 0 and columns.length == size[1]
    return (
        np.array(rows.offsets, np.intp), np.array(columns.offsets, np.intp), rows.source_step, columns.source_step,
        columns.length, rows.first * size[1] + columns.first, rows.step * size[1], columns.step, whole,
    )


cdef Source _source(Py_ssize_t height, Py_ssize_t width, Py_ssize_t channels, const Py_ssize_t[::1] rows,
                    const Py_ssize_t[::1] columns, Py_ssize_t row_step, Py_ssize_t column_step,
                    Py_ssize_t targets) noexcept:
    cdef Source s
    cdef Py_ssize_t k
    s.height, s.width, s.channels, s.rows, s.columns = height, width, channels, rows.shape[0], columns.shape[0]
    s.row_step, s.column_step, s.targets = row_step, column_step, targets
    s.row_offsets = &rows[0] if s.rows else NULL
    s.column_offsets = &columns[0] if s.columns else NULL
    s.dense = True
    for k in range(1, s.columns):
        if columns[k] != columns[k - 1] + 1:
            s.dense = False
    return s


cdef void _copy_row(const floating* row, const Source* s, Py_ssize_t column, floating* to) noexcept nogil:
    """Copy the column taps of one target from one row of the image."""
    cdef Py_ssize_t k, j, c = s.channels, low, high, size = c * <Py_ssize_t> sizeof(floating)
    if s.dense:
        j = column + s.column_offsets[0]
        if j >= 0 and j + s.columns <= s.width:
            memcpy(to, row + j * c, s.columns * size)
            return
        low = min(max(0, -j), s.columns)
        high = max(low, min(s.columns, s.width - j))
        memset(to, 0, low * size)
        if high > low:
            memcpy(to + low * c, row + (j + low) * c, (high - low) * size)
        memset(to + high * c, 0, (s.columns - high) * size)
        return
    for k in range(s.columns):
        j = column + s.column_offsets[k]
        if 0 <= j < s.width:
            memcpy(to + k * c, row + j * c, size)
        else:
            memset(to + k * c, 0, size)


cdef void _copy(const floating* image, const Source* s, Py_ssize_t first, Py_ssize_t n, floating* to) noexcept nogil:
    """Copy what targets first .. first + n of a rectangle see, one row (taps of rows, of columns, channels) each."""
    cdef Py_ssize_t _p, r, i, piece = s.columns * s.channels, target_row, target_column
    if piece == 0:
        return
    target_row, target_column = first // s.targets, first % s.targets
    for _p in range(n):
        for r in range(s.rows):
            i = target_row * s.row_step + s.row_offsets[r]
            if 0 <= i < s.height:
                _copy_row(image + i * s.width * s.channels, s, target_column * s.column_step, to)
            else:
                memset(to, 0, piece * sizeof(floating))
            to += piece
        target_column += 1
        if target_column == s.targets:
            target_row, target_column = target_row + 1, 0


def _products(const floating[:, :, :, ::1] x, const floating[:, ::1] weight, const floating[::1] bias,
              floating[:, :, ::1] y, floating[:, ::1] scratch, Py_ssize_t block, Py_ssize_t positions,
              const Py_ssize_t[::1] row_offsets, const Py_ssize_t[::1] column_offsets, Py_ssize_t row_step,
              Py_ssize_t column_step, Py_ssize_t targets, Py_ssize_t first, Py_ssize_t target_row_step,
              Py_ssize_t target_column_step, bint whole, int activation, int threads):
    cdef Source s = _source(x.shape[1], x.shape[2], x.shape[3], row_offsets, column_offsets, row_step, column_step,
                            targets)
    cdef Target t = Target(first, target_row_step, target_column_step, whole)
    cdef Py_ssize_t blocks = (positions + block - 1) // block, inner = weight.shape[0], outputs = weight.shape[1], p
    cdef Py_ssize_t image_x = x.shape[1] * x.shape[2] * x.shape[3], image_y = y.shape[1] * y.shape[2]
    cdef const floating* x_values = &x[0, 0, 0, 0] if image_x else NULL
    cdef const floating* weights = &weight[0, 0] if inner else NULL
    cdef const floating* biases = NULL
    if bias is not None:
        biases = &bias[0]
    for p in prange(x.shape[0] * blocks, nogil=True, schedule="dynamic", num_threads=threads):
        _block_product(x_values + p // blocks * image_x if x_values else NULL, &s, weights, inner, outputs, biases,
                       &y[0, 0, 0] + p // blocks * image_y, &t, p % blocks * block,
                       min(block, positions - p % blocks * block), activation, &scratch[threadid(), 0])


cdef void _block_product(const floating* image, const Source* s, const floating* weight, Py_ssize_t inner,
                         Py_ssize_t outputs, const floating* bias, floating* y, const Target* t, Py_ssize_t first,
                         Py_ssize_t n, int activation, floating* scratch) noexcept nogil:
    cdef floating* result = y + (t.first + first) * outputs if t.whole else scratch + n * inner
    cdef Py_ssize_t p
    if bias:
        for p in range(n):
            memcpy(result + p * outputs, bias, outputs * sizeof(floating))
    elif inner == 0:
        memset(result, 0, n * outputs * sizeof(floating))
    if inner:
        _copy(image, s, first, n, scratch)
        matmul[floating](False, False, n, outputs, inner, scratch, inner, weight, outputs, 1 if bias else 0, result,
                         outputs)
    activate(result, n * outputs, activation)
    if not t.whole:
        for p in range(n):
            memcpy(y + _place(s, t, first + p) * outputs, result + p * outputs, outputs * sizeof(floating))


cdef inline Py_ssize_t _place(const Source* s, const Target* t, Py_ssize_t p) noexcept nogil:
    return t.first + p // s.targets * t.row_step + p % s.targets * t.column_step


def _grad_weight(const floating[:, :, :, ::1] x, const floating[:, :, ::1] grad_y, floating[:, :, ::1] sums,
                 floating[:, ::1] scratch, Py_ssize_t block, Py_ssize_t positions, const Py_ssize_t[::1] row_offsets,
                 const Py_ssize_t[::1] column_offsets, Py_ssize_t row_step, Py_ssize_t column_step,
                 Py_ssize_t targets, Py_ssize_t first, Py_ssize_t target_row_step, Py_ssize_t target_column_step,
                 bint whole, int threads):
    cdef Source s = _source(x.shape[1], x.shape[2], x.shape[3], row_offsets, column_offsets, row_step, column_step,
                            targets)
    cdef Target t = Target(first, target_row_step, target_column_step, whole)
    cdef Py_ssize_t blocks = (positions + block - 1) // block, groups = sums.shape[0], g
    for g in prange(groups, nogil=True, schedule="dynamic", num_threads=threads):
        _group_sum(x, grad_y, &s, &t, g, groups, blocks, block, positions, &sums[g, 0, 0], sums.shape[1],
                   &scratch[threadid(), 0])


cdef void _group_sum(const floating[:, :, :, ::1] x, const floating[:, :, ::1] grad_y, const Source* s,
                     const Target* t, Py_ssize_t group, Py_ssize_t groups, Py_ssize_t blocks, Py_ssize_t block,
                     Py_ssize_t positions, floating* total, Py_ssize_t inner, floating* scratch) noexcept nogil:
    cdef Py_ssize_t outputs = grad_y.shape[2], b = group, p, first, n
    cdef const floating* grad
    cdef floating* gathered
    while b < x.shape[0] * blocks:
        first = b % blocks * block
        n = min(block, positions - first)
        _copy(&x[b // blocks, 0, 0, 0], s, first, n, scratch)
        if t.whole:
            grad = &grad_y[b // blocks, t.first + first, 0]
        else:
            gathered = scratch + n * inner
            for p in range(n):
                memcpy(gathered + p * outputs, &grad_y[b // blocks, _place(s, t, first + p), 0],
                       outputs * sizeof(floating))
            grad = gathered
        matmul[floating](True, False, inner, outputs, n, scratch, inner, grad, outputs, 0 if b == group else 1,
                         total, outputs)
        b += groups
