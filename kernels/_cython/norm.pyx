"""Sums over positions and over neighbouring channels, vectorised; meaning: kernels/_reference/norm.py.

Every image is cut into blocks of positions. Each block has its own sums in float64, which are added block by block
and image by image afterwards: threads change no bit.
"""

import numpy as np

from cython cimport floating
from cython.parallel cimport prange, threadid

from lstm2d.kernels import arena
from lstm2d.kernels._cython.levels cimport use_level
from lstm2d.kernels.checks import contiguous_floats
from lstm2d.kernels._cython.grain import threads_for

use_level()

cdef extern from "norm.h":
    void sum_rows_f32(const float*, double*, Py_ssize_t, Py_ssize_t) noexcept nogil
    void sum_rows_f64(const double*, double*, Py_ssize_t, Py_ssize_t) noexcept nogil
    void square_rows_f32(const float*, const double*, double*, Py_ssize_t, Py_ssize_t) noexcept nogil
    void square_rows_f64(const double*, const double*, double*, Py_ssize_t, Py_ssize_t) noexcept nogil
    void product_rows_f32(const float*, const float*, const float*, double*, double*, Py_ssize_t,
                          Py_ssize_t) noexcept nogil
    void product_rows_f64(const double*, const double*, const double*, double*, double*, Py_ssize_t,
                          Py_ssize_t) noexcept nogil
    void affine_rows_f32(const float*, const float*, const float*, const float*, float*, Py_ssize_t,
                         Py_ssize_t) noexcept nogil
    void affine_rows_f64(const double*, const double*, const double*, const double*, double*, Py_ssize_t,
                         Py_ssize_t) noexcept nogil
    void combine_rows_f32(const float*, const float*, const float*, const float*, const float*, const float*, float*,
                          Py_ssize_t, Py_ssize_t) noexcept nogil
    void combine_rows_f64(const double*, const double*, const double*, const double*, const double*, const double*,
                          double*, Py_ssize_t, Py_ssize_t) noexcept nogil
    double product_run_f32(const float*, const float*, Py_ssize_t) noexcept nogil
    double product_run_f64(const double*, const double*, Py_ssize_t) noexcept nogil
    void response_rows_f32(const float*, float*, float*, float*, Py_ssize_t, float, float, float, Py_ssize_t,
                           Py_ssize_t) noexcept nogil
    void response_rows_f64(const double*, double*, double*, double*, Py_ssize_t, double, double, double, Py_ssize_t,
                           Py_ssize_t) noexcept nogil
    void response_grad_rows_f32(const float*, const float*, float*, float*, float*, float*, float*, Py_ssize_t, float,
                                float, float, Py_ssize_t, Py_ssize_t) noexcept nogil
    void response_grad_rows_f64(const double*, const double*, double*, double*, double*, double*, double*, Py_ssize_t,
                                double, double, double, Py_ssize_t, Py_ssize_t) noexcept nogil

cdef enum:
    BLOCK = 256  # positions per task of a thread, which have their own sums
    RUN = 16384  # values of an image that have their own sum


def channel_moments(x):
    """See kernels/_reference/norm.py."""
    x, = contiguous_floats(x)
    n, positions, channels = x.shape
    count = n * positions
    mean = np.zeros(channels)
    square = np.zeros(channels)
    if x.size:
        sums = _block_sums(x)
        threads = threads_for(x.size)
        if x.dtype == np.float32:
            _sum_blocks[float](x, mean, sums, False, threads)
        else:
            _sum_blocks[double](x, mean, sums, False, threads)
        _add_blocks(sums, mean)
        mean /= count
        sums[...] = 0
        if x.dtype == np.float32:
            _sum_blocks[float](x, mean, sums, True, threads)
        else:
            _sum_blocks[double](x, mean, sums, True, threads)
        _add_blocks(sums, square)
        square /= count
    return mean, square


def channel_products(x, y, mean):
    """See kernels/_reference/norm.py."""
    x, y, mean = contiguous_floats(x, y, mean)
    channels = mean.shape[0]
    total = np.zeros(channels)
    product = np.zeros(channels)
    if x.size:
        sums = _block_sums(x)
        products = _block_sums(x)
        if x.dtype == np.float32:
            _product_blocks[float](x, y, mean, sums, products, threads_for(x.size))
        else:
            _product_blocks[double](x, y, mean, sums, products, threads_for(x.size))
        _add_blocks(sums, total)
        _add_blocks(products, product)
    return total, product


def channel_affine(x, mean, factor, shift):
    """See kernels/_reference/norm.py."""
    x, mean, factor, shift = contiguous_floats(x, mean, factor, shift)
    out = arena.empty(x.shape, x.dtype)
    if x.size:
        if x.dtype == np.float32:
            _affine[float](_rows(x), mean, factor, shift, _rows(out), threads_for(x.size))
        else:
            _affine[double](_rows(x), mean, factor, shift, _rows(out), threads_for(x.size))
    return out


def channel_combine(x, y, mean, by_x, by_y, shift):
    """See kernels/_reference/norm.py."""
    x, y, mean, by_x, by_y, shift = contiguous_floats(x, y, mean, by_x, by_y, shift)
    out = arena.empty(x.shape, x.dtype)
    if x.size:
        if x.dtype == np.float32:
            _combine[float](_rows(x), _rows(y), mean, by_x, by_y, shift, _rows(out), threads_for(x.size))
        else:
            _combine[double](_rows(x), _rows(y), mean, by_x, by_y, shift, _rows(out), threads_for(x.size))
    return out


def image_products(x, y):
    """See kernels/_reference/norm.py."""
    n = x.shape[0]
    x, y = contiguous_floats(x, y)
    total = np.zeros(n)
    if x.size:
        length = x.size // n
        sums = np.zeros((n, (length + RUN - 1) // RUN, 1))
        if x.dtype == np.float32:
            _product_runs[float](x.reshape(n, length), y.reshape(n, length), sums, threads_for(x.size))
        else:
            _product_runs[double](x.reshape(n, length), y.reshape(n, length), sums, threads_for(x.size))
        for b in range(n):
            _add_blocks(sums[b], total[b:b + 1])
    return total


def response_norm_forward(x, Py_ssize_t size, double alpha, double beta, double k):
    """See kernels/_reference/norm.py."""
    x, = contiguous_floats(x)
    y = arena.empty(x.shape, x.dtype)
    if x.size:
        threads = threads_for(x.size)
        scratch = np.zeros((threads, 2, x.shape[2] + size), x.dtype)
        if x.dtype == np.float32:
            _response[float](_rows(x), _rows(y), scratch, size, alpha / size, beta, k, threads)
        else:
            _response[double](_rows(x), _rows(y), scratch, size, alpha / size, beta, k, threads)
    return y


def response_norm_backward(x, grad_y, Py_ssize_t size, double alpha, double beta, double k):
    """See kernels/_reference/norm.py."""
    x, grad_y = contiguous_floats(x, grad_y)
    grad_x = arena.empty(x.shape, x.dtype)
    if x.size:
        threads = threads_for(x.size)
        scratch = np.zeros((threads, 4, x.shape[2] + size), x.dtype)
        if x.dtype == np.float32:
            _response_grad[float](_rows(x), _rows(grad_y), _rows(grad_x), scratch, size, alpha / size, beta, k,
                                  threads)
        else:
            _response_grad[double](_rows(x), _rows(grad_y), _rows(grad_x), scratch, size, alpha / size, beta, k,
                                   threads)
    return grad_x


def _rows(array):
    return array.reshape(-1, array.shape[array.ndim - 1])  # no index -1 here: the build turns wraparound off


def _block_sums(x):
    n, positions, channels = x.shape
    return np.zeros((n * ((positions + BLOCK - 1) // BLOCK), channels))


cdef void _add_blocks(const double[:, ::1] sums, double[::1] total) noexcept:
    cdef Py_ssize_t q, c
    for q in range(sums.shape[0]):
        for c in range(total.shape[0]):
            total[c] += sums[q, c]


cdef void _sum_blocks(const floating[:, :, ::1] x, const double[::1] mean, double[:, ::1] sums, bint squares,
                      int threads) noexcept:
    cdef Py_ssize_t blocks = (x.shape[1] + BLOCK - 1) // BLOCK, q, first, n
    for q in prange(sums.shape[0], nogil=True, schedule="static", num_threads=threads):
        first = q % blocks * BLOCK
        n = min(<Py_ssize_t> BLOCK, x.shape[1] - first)
        if floating is float:
            if squares:
                square_rows_f32(&x[q // blocks, first, 0], &mean[0], &sums[q, 0], n, x.shape[2])
            else:
                sum_rows_f32(&x[q // blocks, first, 0], &sums[q, 0], n, x.shape[2])
        else:
            if squares:
                square_rows_f64(&x[q // blocks, first, 0], &mean[0], &sums[q, 0], n, x.shape[2])
            else:
                sum_rows_f64(&x[q // blocks, first, 0], &sums[q, 0], n, x.shape[2])


cdef void _product_blocks(const floating[:, :, ::1] x, const floating[:, :, ::1] y, const floating[::1] mean,
                          double[:, ::1] sums, double[:, ::1] products, int threads) noexcept:
    cdef Py_ssize_t blocks = (x.shape[1] + BLOCK - 1) // BLOCK, q, b, first, n
    for q in prange(sums.shape[0], nogil=True, schedule="static", num_threads=threads):
        b = q // blocks
        first = q % blocks * BLOCK
        n = min(<Py_ssize_t> BLOCK, x.shape[1] - first)
        if floating is float:
            product_rows_f32(&x[b, first, 0], &y[b, first, 0], &mean[0], &sums[q, 0], &products[q, 0], n, x.shape[2])
        else:
            product_rows_f64(&x[b, first, 0], &y[b, first, 0], &mean[0], &sums[q, 0], &products[q, 0], n, x.shape[2])


cdef void _affine(const floating[:, ::1] x, const floating[::1] mean, const floating[::1] factor,
                  const floating[::1] shift, floating[:, ::1] out, int threads) noexcept:
    cdef Py_ssize_t q, p, n
    for q in prange((x.shape[0] + BLOCK - 1) // BLOCK, nogil=True, schedule="static", num_threads=threads):
        p = q * BLOCK
        n = min(<Py_ssize_t> BLOCK, x.shape[0] - p)
        if floating is float:
            affine_rows_f32(&x[p, 0], &mean[0], &factor[0], &shift[0], &out[p, 0], n, x.shape[1])
        else:
            affine_rows_f64(&x[p, 0], &mean[0], &factor[0], &shift[0], &out[p, 0], n, x.shape[1])


cdef void _combine(const floating[:, ::1] x, const floating[:, ::1] y, const floating[::1] mean,
                   const floating[::1] by_x, const floating[::1] by_y, const floating[::1] shift,
                   floating[:, ::1] out, int threads) noexcept:
    cdef Py_ssize_t q, p, n
    for q in prange((x.shape[0] + BLOCK - 1) // BLOCK, nogil=True, schedule="static", num_threads=threads):
        p = q * BLOCK
        n = min(<Py_ssize_t> BLOCK, x.shape[0] - p)
        if floating is float:
            combine_rows_f32(&x[p, 0], &y[p, 0], &mean[0], &by_x[0], &by_y[0], &shift[0], &out[p, 0], n, x.shape[1])
        else:
            combine_rows_f64(&x[p, 0], &y[p, 0], &mean[0], &by_x[0], &by_y[0], &shift[0], &out[p, 0], n, x.shape[1])


cdef void _product_runs(const floating[:, ::1] x, const floating[:, ::1] y, double[:, :, ::1] sums,
                        int threads) noexcept:
    cdef Py_ssize_t runs = sums.shape[1], q, b, first, n
    for q in prange(x.shape[0] * runs, nogil=True, schedule="static", num_threads=threads):
        b = q // runs
        first = q % runs * RUN
        n = min(<Py_ssize_t> RUN, x.shape[1] - first)
        if floating is float:
            sums[b, q % runs, 0] = product_run_f32(&x[b, first], &y[b, first], n)
        else:
            sums[b, q % runs, 0] = product_run_f64(&x[b, first], &y[b, first], n)


cdef void _response(const floating[:, ::1] x, floating[:, ::1] y, floating[:, :, ::1] scratch, Py_ssize_t size,
                    double factor, double beta, double offset, int threads) noexcept:
    cdef Py_ssize_t q, p, n, t
    for q in prange((x.shape[0] + BLOCK - 1) // BLOCK, nogil=True, schedule="static", num_threads=threads):
        p = q * BLOCK
        n = min(<Py_ssize_t> BLOCK, x.shape[0] - p)
        t = threadid()
        if floating is float:
            response_rows_f32(&x[p, 0], &y[p, 0], &scratch[t, 0, 0], &scratch[t, 1, 0], size, <float> factor,
                              <float> beta, <float> offset, n, x.shape[1])
        else:
            response_rows_f64(&x[p, 0], &y[p, 0], &scratch[t, 0, 0], &scratch[t, 1, 0], size, factor, beta, offset,
                              n, x.shape[1])


cdef void _response_grad(const floating[:, ::1] x, const floating[:, ::1] g, floating[:, ::1] out,
                         floating[:, :, ::1] scratch, Py_ssize_t size, double factor, double beta, double offset,
                         int threads) noexcept:
    cdef Py_ssize_t q, p, n, t
    for q in prange((x.shape[0] + BLOCK - 1) // BLOCK, nogil=True, schedule="static", num_threads=threads):
        p = q * BLOCK
        n = min(<Py_ssize_t> BLOCK, x.shape[0] - p)
        t = threadid()
        if floating is float:
            response_grad_rows_f32(&x[p, 0], &g[p, 0], &out[p, 0], &scratch[t, 0, 0], &scratch[t, 1, 0],
                                   &scratch[t, 2, 0], &scratch[t, 3, 0], size, <float> factor, <float> beta,
                                   <float> offset, n, x.shape[1])
        else:
            response_grad_rows_f64(&x[p, 0], &g[p, 0], &out[p, 0], &scratch[t, 0, 0], &scratch[t, 1, 0],
                                   &scratch[t, 2, 0], &scratch[t, 3, 0], size, factor, beta, offset, n, x.shape[1])
