"""A matrix applied to every position; meaning: kernels/_reference/linear.py.

Every product here has a shape that depends on one image alone: blocks of 512 positions, the last one shorter.
Threads share the blocks. The gradient of a small matrix is summed in groups of blocks, and over these in order; that
of a large one is computed a strip of rows at a time over all positions: neither depends on the number of threads.
"""

import numpy as np

from cython cimport floating
from cython.parallel cimport prange

from lstm2d.kernels import arena
from lstm2d.kernels._cython.activation cimport activate, activation_kind
from lstm2d.kernels._cython.blas cimport matmul
from lstm2d.kernels._cython.gemm cimport product
from lstm2d.kernels._cython.levels cimport use_level
from lstm2d.kernels.blas import single_blas
from lstm2d.kernels.checks import contiguous_floats
from lstm2d.kernels._cython.grain import threads_for

use_level()

cdef extern from "rows.h" nogil:
    void add_rows_f32(Py_ssize_t, Py_ssize_t, const float*, Py_ssize_t, double*)
    void add_rows_f64(Py_ssize_t, Py_ssize_t, const double*, Py_ssize_t, double*)

cdef enum:
    BLOCK = 512  # positions a product: results and operands of usual widths stay in the L2 cache
    GROUPS = 8
    STRIP = 48  # rows of a large matrix's gradient
    LARGE = 1 << 16  # values of a matrix: a sum for each group would take more than the products
    FEW = 16  # positions for which transposing the matrix costs more than it saves
    PRODUCTS = 16  # multiplications that take as long as one value of a plain pass


def linear_forward(x, weight, bias, activation=None):
    """See kernels/_reference/linear.py."""
    x, weight = contiguous_floats(x, weight)
    if bias is not None:
        _, bias = contiguous_floats(x, bias)
    y = arena.empty((x.shape[0], x.shape[1], weight.shape[1]), x.dtype)
    if y.size == 0:
        return y
    if x.shape[2] == 0:  # nothing to multiply
        y[...] = 0 if bias is None else bias
    threads = threads_for(y.size * x.shape[2] // PRODUCTS)
    with single_blas():
        if x.dtype == np.float32:
            _forward[float](x, weight, bias, y, activation_kind(activation), threads)
        else:
            _forward[double](x, weight, bias, y, activation_kind(activation), threads)
    return y


def linear_grad_x(grad_y, weight):
    """See kernels/_reference/linear.py."""
    grad_y, weight = contiguous_floats(grad_y, weight)
    if grad_y.shape[1] > FEW:
        return linear_forward(grad_y, weight.T, None)
    grad_x = arena.empty((grad_y.shape[0], grad_y.shape[1], weight.shape[0]), grad_y.dtype)
    if grad_y.shape[2] == 0:
        grad_x[...] = 0
    elif grad_x.size:
        with single_blas():
            if grad_y.dtype == np.float32:
                _grad_x[float](grad_y, weight, grad_x)
            else:
                _grad_x[double](grad_y, weight, grad_x)
    return grad_x


def linear_grad_weight(x, grad_y):
    """See kernels/_reference/linear.py."""
    x, grad_y = contiguous_floats(x, grad_y)
    c_in, c_out = x.shape[2], grad_y.shape[2]
    large = c_in * c_out > LARGE
    cdef Py_ssize_t blocks = x.shape[0] * ((x.shape[1] + BLOCK - 1) // BLOCK)
    groups = 1 if large else max(<Py_ssize_t> 1, min(<Py_ssize_t> GROUPS, blocks))
    sums = np.zeros((groups, c_in, c_out), x.dtype)
    if sums.size == 0 or x.shape[0] * x.shape[1] == 0:
        return sums[0]
    threads = threads_for(x.size * c_out // PRODUCTS)
    with single_blas():
        if x.dtype == np.float32:
            _grad_weight[float](x, grad_y, sums, STRIP if large else c_in, threads)
        else:
            _grad_weight[double](x, grad_y, sums, STRIP if large else c_in, threads)
    return _added(sums)


def linear_grad_bias(grad_y):
    """See kernels/_reference/linear.py."""
    grad_y, = contiguous_floats(grad_y)
    cdef Py_ssize_t blocks = (grad_y.shape[1] + BLOCK - 1) // BLOCK
    sums = np.zeros((max(1, min(GROUPS, grad_y.shape[0] * blocks)), grad_y.shape[2]))
    if grad_y.size:
        if grad_y.dtype == np.float32:
            _grad_bias[float](grad_y, sums, threads_for(grad_y.size))
        else:
            _grad_bias[double](grad_y, sums, threads_for(grad_y.size))
    return _added(sums).astype(grad_y.dtype)


def _added(sums):
    """Return the sum over the groups, in their order."""
    for group in sums[1:]:
        sums[0] += group
    return sums[0]


cdef void _forward(const floating[:, :, ::1] x, const floating[:, ::1] weight, const floating[::1] bias,
                   floating[:, :, ::1] y, int activation, int threads) noexcept:
    cdef Py_ssize_t blocks = (x.shape[1] + BLOCK - 1) // BLOCK, p
    cdef const floating* start = &bias[0] if bias is not None else NULL
    for p in prange(x.shape[0] * blocks, nogil=True, schedule="dynamic", num_threads=threads):
        _forward_block(x, weight, start, y, activation, p // blocks, (p % blocks) * BLOCK)


cdef void _forward_block(const floating[:, :, ::1] x, const floating[:, ::1] weight, const floating* bias,
                         floating[:, :, ::1] y, int activation, Py_ssize_t image, Py_ssize_t first) noexcept nogil:
    cdef Py_ssize_t rows = min(<Py_ssize_t> BLOCK, x.shape[1] - first)
    if x.shape[2]:
        product[floating](False, rows, y.shape[2], x.shape[2], &x[image, first, 0], x.shape[2], &weight[0, 0],
                          y.shape[2], False, bias, &y[image, first, 0], y.shape[2])
    activate(&y[image, first, 0], rows * y.shape[2], activation)


cdef void _grad_x(const floating[:, :, ::1] grad_y, const floating[:, ::1] weight,
                  floating[:, :, ::1] grad_x) noexcept:
    cdef Py_ssize_t image
    with nogil:
        for image in range(grad_y.shape[0]):
            matmul[floating](False, True, grad_y.shape[1], grad_x.shape[2], grad_y.shape[2], &grad_y[image, 0, 0],
                             grad_y.shape[2], &weight[0, 0], grad_y.shape[2], 0, &grad_x[image, 0, 0],
                             grad_x.shape[2])


cdef void _grad_weight(const floating[:, :, ::1] x, const floating[:, :, ::1] grad_y, floating[:, :, ::1] sums,
                       Py_ssize_t strip, int threads) noexcept:
    cdef Py_ssize_t groups = sums.shape[0], strips = (sums.shape[1] + strip - 1) // strip, p
    for p in prange(groups * strips, nogil=True, schedule="dynamic", num_threads=threads):
        _group_sum(x, grad_y, sums, p // strips, p % strips * strip, min(strip, sums.shape[1] - p % strips * strip))


cdef void _group_sum(const floating[:, :, ::1] x, const floating[:, :, ::1] grad_y, floating[:, :, ::1] sums,
                     Py_ssize_t group, Py_ssize_t row, Py_ssize_t rows) noexcept nogil:
    cdef Py_ssize_t blocks = (x.shape[1] + BLOCK - 1) // BLOCK, b = group, first
    while b < x.shape[0] * blocks:
        first = b % blocks * BLOCK
        product[floating](True, rows, sums.shape[2], min(<Py_ssize_t> BLOCK, x.shape[1] - first),
                          &x[b // blocks, first, row], x.shape[2], &grad_y[b // blocks, first, 0], sums.shape[2], True,
                          NULL, &sums[group, row, 0], sums.shape[2])
        b += sums.shape[0]


cdef void _grad_bias(const floating[:, :, ::1] grad_y, double[:, ::1] sums, int threads) noexcept:
    cdef Py_ssize_t g
    for g in prange(sums.shape[0], nogil=True, schedule="static", num_threads=threads):
        _group_rows(grad_y, g, sums)


cdef void _group_rows(const floating[:, :, ::1] grad_y, Py_ssize_t group, double[:, ::1] sums) noexcept nogil:
    cdef Py_ssize_t blocks = (grad_y.shape[1] + BLOCK - 1) // BLOCK, b = group, first, n
    while b < grad_y.shape[0] * blocks:
        first = b % blocks * BLOCK
        n = min(<Py_ssize_t> BLOCK, grad_y.shape[1] - first)
        if floating is float:
            add_rows_f32(n, grad_y.shape[2], &grad_y[b // blocks, first, 0], grad_y.shape[2], &sums[group, 0])
        else:
            add_rows_f64(n, grad_y.shape[2], &grad_y[b // blocks, first, 0], grad_y.shape[2], &sums[group, 0])
        b += sums.shape[0]
