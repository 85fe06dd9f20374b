"""A matrix applied to every position, in BLAS; meaning: kernels/_reference/linear.py.

OpenBLAS rounds differently for another shape or another number of threads. Every product here has a shape that
depends on one image alone: blocks of 512 positions, the last one shorter. Threads share the blocks.
"""

import numpy as np

from cython cimport floating
from cython.parallel cimport prange

from lstm2d.kernels import arena
from lstm2d.kernels._cython.blas cimport matmul
from lstm2d.kernels.checks import contiguous_floats
from lstm2d.kernels.grain import threads_for
from lstm2d.kernels.threads import single_blas

cdef enum:
    BLOCK = 512  # positions a product: results and operands of usual widths stay in the L2 cache
    PRODUCTS = 16  # multiplications that take as long as one value of a plain pass


def linear_forward(x, weight, bias):
    """See kernels/_reference/linear.py."""
    x, weight = contiguous_floats(x, weight)
    y = arena.empty((x.shape[0], x.shape[1], weight.shape[1]), x.dtype)
    if bias is None:
        y_is_bias = False
        bias = np.empty(0, x.dtype)
    else:
        y_is_bias = True
        _, bias = contiguous_floats(x, bias)
    if y.size == 0:
        return y
    if x.shape[2] == 0:  # nothing to multiply
        y[...] = bias if y_is_bias else 0
        return y
    threads = threads_for(y.size * x.shape[2] // PRODUCTS)
    with single_blas():
        if x.dtype == np.float32:
            _forward[float](x, weight, bias, y, y_is_bias, threads)
        else:
            _forward[double](x, weight, bias, y, y_is_bias, threads)
    return y


def linear_grad_x(grad_y, weight):
    """See kernels/_reference/linear.py."""
    grad_y, weight = contiguous_floats(grad_y, weight)
    grad_x = arena.empty((grad_y.shape[0], grad_y.shape[1], weight.shape[0]), grad_y.dtype)
    if grad_x.size == 0:
        return grad_x
    if grad_y.shape[2] == 0:
        grad_x[...] = 0
        return grad_x
    threads = threads_for(grad_x.size * grad_y.shape[2] // PRODUCTS)
    with single_blas():
        if grad_y.dtype == np.float32:
            _grad_x[float](grad_y, weight, grad_x, threads)
        else:
            _grad_x[double](grad_y, weight, grad_x, threads)
    return grad_x


def linear_grad_weight(x, grad_y):
    """See kernels/_reference/linear.py."""
    x, grad_y = contiguous_floats(x, grad_y)
    grad = np.zeros((x.shape[2], grad_y.shape[2]), x.dtype)
    if grad.size == 0 or x.shape[0] * x.shape[1] == 0:
        return grad
    with single_blas():
        if x.dtype == np.float32:
            _grad_weight[float](x, grad_y, grad)
        else:
            _grad_weight[double](x, grad_y, grad)
    return grad


def linear_grad_bias(grad_y):
    """See kernels/_reference/linear.py."""
    grad_y, = contiguous_floats(grad_y)
    total = np.zeros(grad_y.shape[2], np.float64)
    if grad_y.size:
        if grad_y.dtype == np.float32:
            _grad_bias[float](grad_y, total)
        else:
            _grad_bias[double](grad_y, total)
    return total.astype(grad_y.dtype)


cdef void _forward(const floating[:, :, ::1] x, const floating[:, ::1] weight, const floating[::1] bias,
                   floating[:, :, ::1] y, bint y_is_bias, int threads) noexcept:
    cdef Py_ssize_t blocks = (x.shape[1] + BLOCK - 1) // BLOCK, p
    for p in prange(x.shape[0] * blocks, nogil=True, schedule="dynamic", num_threads=threads):
        _forward_block(x, weight, bias, y, y_is_bias, p // blocks, (p % blocks) * BLOCK)


cdef void _forward_block(const floating[:, :, ::1] x, const floating[:, ::1] weight, const floating[::1] bias,
                         floating[:, :, ::1] y, bint y_is_bias, Py_ssize_t image, Py_ssize_t first) noexcept nogil:
    cdef Py_ssize_t rows = min(<Py_ssize_t> BLOCK, x.shape[1] - first), i, j
    if y_is_bias:  # then the product is added to it: y is written while it is in the cache, and read only there
        for i in range(first, first + rows):
            for j in range(y.shape[2]):
                y[image, i, j] = bias[j]
    matmul[floating](False, False, rows, y.shape[2], x.shape[2], &x[image, first, 0], x.shape[2], &weight[0, 0],
                     y.shape[2], 1 if y_is_bias else 0, &y[image, first, 0], y.shape[2])


cdef void _grad_x(const floating[:, :, ::1] grad_y, const floating[:, ::1] weight, floating[:, :, ::1] grad_x,
                  int threads) noexcept:
    cdef Py_ssize_t blocks = (grad_y.shape[1] + BLOCK - 1) // BLOCK, p
    for p in prange(grad_y.shape[0] * blocks, nogil=True, schedule="dynamic", num_threads=threads):
        _grad_x_block(grad_y, weight, grad_x, p // blocks, (p % blocks) * BLOCK)


cdef void _grad_x_block(const floating[:, :, ::1] grad_y, const floating[:, ::1] weight,
                        floating[:, :, ::1] grad_x, Py_ssize_t image, Py_ssize_t first) noexcept nogil:
    cdef Py_ssize_t rows = min(<Py_ssize_t> BLOCK, grad_y.shape[1] - first)
    matmul[floating](False, True, rows, grad_x.shape[2], grad_y.shape[2], &grad_y[image, first, 0],
                     grad_y.shape[2], &weight[0, 0], grad_y.shape[2], 0, &grad_x[image, first, 0], grad_x.shape[2])


cdef void _grad_weight(const floating[:, :, ::1] x, const floating[:, :, ::1] grad_y,
                       floating[:, ::1] grad) noexcept nogil:
    cdef Py_ssize_t image
    for image in range(x.shape[0]):
        matmul[floating](True, False, grad.shape[0], grad.shape[1], x.shape[1], &x[image, 0, 0], x.shape[2],
                         &grad_y[image, 0, 0], grad.shape[1], 1, &grad[0, 0], grad.shape[1])


cdef void _grad_bias(const floating[:, :, ::1] grad_y, double[::1] total) noexcept nogil:
    cdef Py_ssize_t image, i, j
    for image in range(grad_y.shape[0]):
        for i in range(grad_y.shape[1]):
            for j in range(grad_y.shape[2]):
                total[j] += grad_y[image, i, j]
