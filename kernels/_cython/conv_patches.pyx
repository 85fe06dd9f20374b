"""Convolutions whose filters touch: kernel = stride, no padding. They cut the image into patches.

One row of a patch after the other: those of a row of patches lie side by side in the image, and are the rows of one
matrix there. Nothing is copied: products read the pixels where they lie, and write them where they belong.

A row of patches is a task. The weight gradient is summed in groups of rows, and over these in order, so that it does
not depend on the number of threads.
"""

import numpy as np

from cython cimport floating
from cython.parallel cimport prange

from lstm2d.kernels._cython.activation cimport activate
from lstm2d.kernels._cython.gemm cimport panel_bytes, product, product_panels
from lstm2d.kernels._cython.levels cimport use_level
from lstm2d.kernels.blas import single_blas
from lstm2d.kernels._cython.grain import threads_for
from lstm2d.kernels._cython.panels import panels

use_level()

cdef enum:
    GROUPS = 4
    PRODUCTS = 16  # multiplications that take as long as one value of a plain pass


def products(x, weight, bias, y, int activation):
    """Fill y with the activation of the convolution of x and weight (kh, kw, in, out), plus bias."""
    kh, kw, channels, outputs = weight.shape
    factors = panels(weight.reshape(kh, kw * channels, outputs), panel_bytes())
    threads = threads_for(y.size * kh * kw * channels // PRODUCTS)
    with single_blas():
        if x.dtype == np.float32:
            _products[float](x, factors, bias, y, activation, threads)
        else:
            _products[double](x, factors, bias, y, activation, threads)


def adjoint(grad_y, weight, bias, grad_x, int activation):
    """Fill grad_x, all of it patches, with the activation of the gradient that grad_y gives it, plus bias."""
    kh, kw, channels, outputs = weight.shape
    factors = panels(weight.transpose(0, 3, 1, 2).reshape(kh, outputs, kw * channels), panel_bytes())
    biases = None if bias is None else np.tile(bias, kw)
    threads = threads_for(grad_y.size * kh * kw * channels // PRODUCTS)
    with single_blas():
        if grad_y.dtype == np.float32:
            _adjoint[float](grad_y, factors, biases, grad_x, activation, threads)
        else:
            _adjoint[double](grad_y, factors, biases, grad_x, activation, threads)


def grad_weight(x, grad_y, kernel):
    """Return the gradient of weight (kh, kw, in, out)."""
    n, rows, _, outputs = grad_y.shape
    kh, kw = kernel
    line = kw * x.shape[3]
    groups = max(1, min(GROUPS, n * rows))
    sums = np.zeros((groups, kh, line, outputs), x.dtype)
    threads = threads_for(grad_y.size * kh * line // PRODUCTS)
    with single_blas():
        if x.dtype == np.float32:
            _grad_weight[float](x, grad_y, sums, threads)
        else:
            _grad_weight[double](x, grad_y, sums, threads)
    for group in sums[1:]:
        sums[0] += group
    return sums[0].reshape(kh, kw, x.shape[3], outputs)


cdef void _products(const floating[:, :, :, ::1] x, const floating[:, ::1] factors, const floating[::1] bias,
                    floating[:, :, :, ::1] y, int activation, int threads) noexcept:
    cdef Py_ssize_t rows = y.shape[1], p
    cdef const floating* start = &bias[0] if bias is not None else NULL
    for p in prange(y.shape[0] * rows, nogil=True, schedule="dynamic", num_threads=threads):
        _row(x, factors, start, y, activation, p // rows, p % rows)


cdef void _row(const floating[:, :, :, ::1] x, const floating[:, ::1] factors, const floating* bias,
               floating[:, :, :, ::1] y, int activation, Py_ssize_t image, Py_ssize_t row) noexcept nogil:
    cdef Py_ssize_t kh = factors.shape[0], outputs = y.shape[3], line = factors.shape[1] // outputs, r
    for r in range(kh):
        product_panels[floating](y.shape[2], outputs, line, &x[image, row * kh + r, 0, 0], line, &factors[r, 0],
                                 r > 0, bias, &y[image, row, 0, 0], outputs)
    activate(&y[image, row, 0, 0], y.shape[2] * outputs, activation)


cdef void _adjoint(const floating[:, :, :, ::1] grad_y, const floating[:, ::1] factors, const floating[::1] bias,
                   floating[:, :, :, ::1] grad_x, int activation, int threads) noexcept:
    cdef Py_ssize_t rows = grad_y.shape[1], p
    cdef const floating* start = &bias[0] if bias is not None else NULL
    for p in prange(grad_y.shape[0] * rows, nogil=True, schedule="dynamic", num_threads=threads):
        _row_adjoint(grad_y, factors, start, grad_x, activation, p // rows, p % rows)


cdef void _row_adjoint(const floating[:, :, :, ::1] grad_y, const floating[:, ::1] factors, const floating* bias,
                       floating[:, :, :, ::1] grad_x, int activation, Py_ssize_t image,
                       Py_ssize_t row) noexcept nogil:
    cdef Py_ssize_t kh = factors.shape[0], outputs = grad_y.shape[3], line = factors.shape[1] // outputs, r
    for r in range(kh):
        product_panels[floating](grad_y.shape[2], line, outputs, &grad_y[image, row, 0, 0], outputs, &factors[r, 0],
                                 False, bias, &grad_x[image, row * kh + r, 0, 0], line)
        activate(&grad_x[image, row * kh + r, 0, 0], grad_y.shape[2] * line, activation)


cdef void _grad_weight(const floating[:, :, :, ::1] x, const floating[:, :, :, ::1] grad_y,
                       floating[:, :, :, ::1] sums, int threads) noexcept:
    cdef Py_ssize_t group
    for group in prange(sums.shape[0], nogil=True, schedule="dynamic", num_threads=threads):
        _group_sum(x, grad_y, sums, group)


cdef void _group_sum(const floating[:, :, :, ::1] x, const floating[:, :, :, ::1] grad_y,
                     floating[:, :, :, ::1] sums, Py_ssize_t group) noexcept nogil:
    cdef Py_ssize_t kh = sums.shape[1], line = sums.shape[2], outputs = sums.shape[3], rows = grad_y.shape[1], r
    cdef Py_ssize_t p = group
    while p < grad_y.shape[0] * rows:
        for r in range(kh):
            product[floating](True, line, outputs, grad_y.shape[2], &x[p // rows, p % rows * kh + r, 0, 0], line,
                              &grad_y[p // rows, p % rows, 0, 0], outputs, True, NULL, &sums[group, r, 0, 0], outputs)
        p += sums.shape[0]
