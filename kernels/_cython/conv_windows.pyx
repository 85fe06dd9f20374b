"""Wide filters with stride 1, without a copy of every window.

A row of filter taps sees kw pixels, kw * C values side by side. Windows that start at columns q, q + kw, q + 2 kw,
... do not overlap: they are the rows of a matrix that lies in memory as it is. So each row of taps and each q is
one product over a few image rows, whose width is made a multiple of kw. Blocks of rows depend on the shapes of one
image alone, and every block writes rows of its own. A weight gradient is summed in groups of blocks, and over these
in order, so that it does not depend on the number of threads.
"""

import numpy as np

from cython cimport floating
from cython.parallel cimport prange, threadid
from libc.string cimport memcpy, memset

from lstm2d.kernels import arena
from lstm2d.kernels._cython.blas cimport matmul
from lstm2d.kernels.grain import threads_for
from lstm2d.kernels.threads import single_blas

cdef enum:
    GROUPS = 4
    WINDOWS = 160  # of a product, about
    PRODUCTS = 16  # multiplications that take as long as one value of a plain pass

cdef struct Sizes:
    Py_ssize_t height, width, channels  # input
    Py_ssize_t rows, columns, outputs  # output
    Py_ssize_t kh, kw, top, left  # taps, padding
    Py_ssize_t wide  # columns of a strip: whole windows
    Py_ssize_t block  # rows of a block


def products(x, weight, bias, y, padding):
    """Fill y, contiguous, with the convolution of x and weight (kh, kw, in, out), plus bias."""
    cdef Sizes s = _sizes(x.shape, y.shape, weight.shape[0], weight.shape[1], padding)
    threads = _threads(s, x.shape[0])
    scratch = arena.empty((threads, _scratch(&s)), x.dtype)
    with single_blas():
        _products(x, np.ascontiguousarray(weight), bias, y, s, scratch, threads)


def adjoint(grad_y, weight, bias, grad_x, padding):
    """Fill grad_x, contiguous, with the gradient of the input; weight is (kh, kw, in, out)."""
    cdef Sizes s = _sizes(grad_x.shape, grad_y.shape, weight.shape[0], weight.shape[1], padding)
    threads = _threads(s, grad_x.shape[0])
    scratch = arena.empty((threads, _scratch(&s)), grad_x.dtype)
    turned = np.ascontiguousarray(weight.transpose(0, 3, 1, 2))  # (kh, out, kw, in)
    with single_blas():
        _adjoint(grad_y, turned, bias, grad_x, s, scratch, threads)


def grad_weight(x, grad_y, kernel, padding):
    """Return the gradient of weight (kh, kw, in, out)."""
    cdef Sizes s = _sizes(x.shape, grad_y.shape, kernel[0], kernel[1], padding)
    groups = min(<Py_ssize_t> GROUPS, x.shape[0] * (-(-s.rows // s.block)))
    threads = min(groups, _threads(s, x.shape[0]))
    scratch = arena.empty((threads, _scratch(&s)), x.dtype)
    sums = arena.empty((groups, s.kh, s.kw * s.channels, s.outputs), x.dtype)
    with single_blas():
        _grad_weight(x, grad_y, sums, s, scratch, threads)
    for k in range(1, groups):
        sums[0] += sums[k]
    return sums[0].reshape(s.kh, s.kw, s.channels, s.outputs).copy()


cdef Sizes _sizes(x_shape, y_shape, Py_ssize_t kh, Py_ssize_t kw, padding):
    cdef Sizes s
    s.height, s.width, s.channels = x_shape[1:]
    s.rows, s.columns, s.outputs = y_shape[1:]
    s.kh, s.kw, s.top, s.left = kh, kw, padding[0], padding[1]
    s.wide = (s.width + 2 * s.left + kw - 1) // kw * kw
    s.block = max(1, min(s.rows, WINDOWS * kw // s.wide))
    return s


cdef Py_ssize_t _scratch(const Sizes* s):
    """Return the values of a strip of the input and one of the output, with a window beyond the end of each."""
    return ((s.block + s.kh) * s.wide + s.kw) * (s.channels + s.outputs)


cdef int _threads(Sizes s, Py_ssize_t images):
    return threads_for(images * s.rows * s.columns * s.outputs * s.kh * s.kw * s.channels // PRODUCTS)


cdef void _strip(const floating* image, Py_ssize_t height, Py_ssize_t width, Py_ssize_t c, Py_ssize_t first,
                 Py_ssize_t n, Py_ssize_t left, Py_ssize_t wide, Py_ssize_t window, floating* to) noexcept nogil:
    """Copy n rows, the image `left` pixels in; zeros around it and for a window beyond the end."""
    cdef Py_ssize_t i
    for i in range(first, first + n):
        if 0 <= i < height:
            memset(to, 0, left * c * sizeof(floating))
            memcpy(to + left * c, image + i * width * c, width * c * sizeof(floating))
            memset(to + (left + width) * c, 0, (wide - left - width) * c * sizeof(floating))
        else:
            memset(to, 0, wide * c * sizeof(floating))
        to += wide * c
    memset(to, 0, window * c * sizeof(floating))


cdef void _rows_out(const floating* rows, const floating* bias, Py_ssize_t wide, Py_ssize_t n, Py_ssize_t width,
                    Py_ssize_t c, floating* to) noexcept nogil:
    """Copy n rows of a strip to an image, and add bias."""
    cdef Py_ssize_t _i, j, k
    for _i in range(n):
        if bias:
            for j in range(width):
                for k in range(c):
                    to[j * c + k] = rows[j * c + k] + bias[k]
        else:
            memcpy(to, rows, width * c * sizeof(floating))
        rows += wide * c
        to += width * c


def _products(const floating[:, :, :, ::1] x, const floating[:, :, :, ::1] weight, const floating[::1] bias,
              floating[:, :, :, ::1] y, Sizes s, floating[:, ::1] scratch, int threads):
    cdef Py_ssize_t blocks = (s.rows + s.block - 1) // s.block, p
    cdef const floating* biases = NULL
    if bias is not None:
        biases = &bias[0]
    for p in prange(x.shape[0] * blocks, nogil=True, schedule="dynamic", num_threads=threads):
        _block_products(&x[p // blocks, 0, 0, 0], &weight[0, 0, 0, 0], biases, &y[p // blocks, 0, 0, 0], &s,
                        p % blocks * s.block, min(s.block, s.rows - p % blocks * s.block), &scratch[threadid(), 0])


cdef void _block_products(const floating* x, const floating* weight, const floating* bias, floating* y,
                          const Sizes* s, Py_ssize_t first, Py_ssize_t n, floating* strip) noexcept nogil:
    cdef Py_ssize_t r, q, line = s.kw * s.channels
    cdef floating* out = strip + ((s.block + s.kh) * s.wide + s.kw) * s.channels
    _strip(x, s.height, s.width, s.channels, first - s.top, n + s.kh - 1, s.left, s.wide, s.kw, strip)
    for q in range(s.kw):
        for r in range(s.kh):
            matmul[floating](False, False, n * s.wide // s.kw, s.outputs, line, strip + (r * s.wide + q) * s.channels,
                             line, weight + r * line * s.outputs, s.outputs, 1 if r else 0, out + q * s.outputs,
                             s.kw * s.outputs)
    _rows_out(out, bias, s.wide, n, s.columns, s.outputs, y + first * s.columns * s.outputs)


def _adjoint(const floating[:, :, :, ::1] grad_y, const floating[:, :, :, ::1] weight, const floating[::1] bias,
             floating[:, :, :, ::1] grad_x, Sizes s, floating[:, ::1] scratch, int threads):
    cdef Py_ssize_t blocks = (s.height + s.block - 1) // s.block, p
    cdef const floating* biases = NULL
    if bias is not None:
        biases = &bias[0]
    for p in prange(grad_y.shape[0] * blocks, nogil=True, schedule="dynamic", num_threads=threads):
        _block_adjoint(&grad_y[p // blocks, 0, 0, 0], &weight[0, 0, 0, 0], biases, &grad_x[p // blocks, 0, 0, 0], &s,
                       p % blocks * s.block, min(s.block, s.height - p % blocks * s.block), &scratch[threadid(), 0])


cdef void _block_adjoint(const floating* grad_y, const floating* weight, const floating* bias, floating* grad_x,
                         const Sizes* s, Py_ssize_t first, Py_ssize_t n, floating* sums) noexcept nogil:
    cdef Py_ssize_t r, q, line = s.kw * s.channels
    cdef floating* strip = sums + ((s.block + s.kh) * s.wide + s.kw) * s.channels
    _strip(grad_y, s.rows, s.columns, s.outputs, first + s.top - s.kh + 1, n + s.kh - 1, <Py_ssize_t> 0, s.wide, s.kw,
           strip)
    memset(sums, 0, (n * s.wide + s.kw) * s.channels * sizeof(floating))
    for q in range(s.kw):
        for r in range(s.kh):
            matmul[floating](False, False, n * s.wide // s.kw, line, s.outputs,
                             strip + ((s.kh - 1 - r) * s.wide + q) * s.outputs, s.kw * s.outputs,
                             weight + r * line * s.outputs, line, <floating> 1, sums + q * s.channels, line)
    _rows_out(sums + s.left * s.channels, bias, s.wide, n, s.width, s.channels,
              grad_x + first * s.width * s.channels)


def _grad_weight(const floating[:, :, :, ::1] x, const floating[:, :, :, ::1] grad_y, floating[:, :, :, ::1] sums,
                 Sizes s, floating[:, ::1] scratch, int threads):
    cdef Py_ssize_t groups = sums.shape[0], g
    for g in prange(groups, nogil=True, schedule="dynamic", num_threads=threads):
        _group_sum(x, grad_y, &s, g, groups, &sums[g, 0, 0, 0], &scratch[threadid(), 0])


cdef void _group_sum(const floating[:, :, :, ::1] x, const floating[:, :, :, ::1] grad_y, const Sizes* s,
                     Py_ssize_t group, Py_ssize_t groups, floating* total, floating* strip) noexcept nogil:
    cdef Py_ssize_t blocks = (s.rows + s.block - 1) // s.block, line = s.kw * s.channels
    cdef Py_ssize_t b = group, first, n, r, q
    cdef floating* grads = strip + ((s.block + s.kh) * s.wide + s.kw) * s.channels
    while b < x.shape[0] * blocks:
        first = b % blocks * s.block
        n = min(s.block, s.rows - first)
        _strip(&x[b // blocks, 0, 0, 0], s.height, s.width, s.channels, first - s.top, n + s.kh - 1, s.left, s.wide,
               s.kw, strip)
        _strip(&grad_y[b // blocks, 0, 0, 0], s.rows, s.columns, s.outputs, first, n, <Py_ssize_t> 0, s.wide, s.kw,
               grads)
        for r in range(s.kh):
            for q in range(s.kw):
                matmul[floating](True, False, line, s.outputs, n * s.wide // s.kw,
                                 strip + (r * s.wide + q) * s.channels, line, grads + q * s.outputs,
                                 s.kw * s.outputs, 0 if b == group and q == 0 else 1, total + r * line * s.outputs,
                                 s.outputs)
        b += groups
