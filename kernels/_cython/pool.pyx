"""Vectorised pooling, one row at a time; meaning: kernels/_reference/pool.py.

Lanes run over channels. The maximum has two ways of its own in which lanes run over whole lines and results larger
than the caches are written past them: of windows that touch, and of windows at every pixel if winners are not kept.
"""

from math import gcd

import numpy as np

from cython cimport floating
from cython.parallel cimport prange, threadid
from libc.string cimport memset

from lstm2d.kernels import arena
from lstm2d.kernels._cython.levels cimport use_level
from lstm2d.kernels.checks import contiguous_floats
from lstm2d.kernels._cython.grain import threads_for

use_level()

cdef extern from "stream.h":
    enum:
        STREAM_LEAST

cdef extern from "pool.h" nogil:
    enum:
        POOL_VALUES
    ctypedef struct Pool:
        Py_ssize_t height, width, channels, rows, columns
        Py_ssize_t[2] size, stride, padding, dilation, hop
    ctypedef struct Parts:
        Py_ssize_t bands, rows, strips, strip, scratch
    Parts pool_parts(const Pool*)
    void pool_max_f32(const Pool*, const float*, Py_ssize_t, float*, unsigned char*, int*)
    void pool_max_f64(const Pool*, const double*, Py_ssize_t, double*, unsigned char*, int*)
    void pool_mean_f32(const Pool*, const float*, Py_ssize_t, float*)
    void pool_mean_f64(const Pool*, const double*, Py_ssize_t, double*)
    void pool_grad_f32(const Pool*, Py_ssize_t, const float*, const unsigned char*, const int*, float*)
    void pool_grad_f64(const Pool*, Py_ssize_t, const double*, const unsigned char*, const int*, double*)
    void pool_block_max_f32(const Pool*, const float*, Py_ssize_t, float*, unsigned char*, int*, bint)
    void pool_block_max_f64(const Pool*, const double*, Py_ssize_t, double*, unsigned char*, int*, bint)
    void pool_slide_max_f32(const Pool*, const Parts*, const float*, Py_ssize_t, float*, float*, bint)
    void pool_slide_max_f64(const Pool*, const Parts*, const double*, Py_ssize_t, double*, double*, bint)
    void pool_block_grad_f32(const Pool*, const float*, const unsigned char*, const int*, float*, bint)
    void pool_block_grad_f64(const Pool*, const double*, const unsigned char*, const int*, double*, bint)


def max_pool2d_forward(x, size, stride, padding, dilation, keep):
    """See kernels/_reference/pool.py."""
    x, = contiguous_floats(x)
    cdef Pool p = _pool(x.shape, size, stride, padding, dilation)
    cdef Parts parts
    y = arena.empty((x.shape[0], p.rows, p.columns, p.channels), x.dtype)
    small = large = None
    if keep and size[0] * size[1] <= 256:
        small = arena.empty(y.shape, np.uint8)
    elif keep:
        large = arena.empty(y.shape, np.intc)
    if y.size:
        stream, threads = y.nbytes >= STREAM_LEAST, threads_for(x.size)
        if not keep and _everywhere(&p):
            parts = pool_parts(&p)
            scratch = arena.empty((threads, parts.scratch), x.dtype)
            if x.dtype == np.float32:
                _slide_max[float](p, parts, x, y, scratch, stream, threads)
            else:
                _slide_max[double](p, parts, x, y, scratch, stream, threads)
        elif x.dtype == np.float32:
            _max[float](p, x, y, small, large, stream, threads)
        else:
            _max[double](p, x, y, small, large, stream, threads)
    return y, large if small is None else small


def max_pool2d_backward(grad_y, winner, shape, size, stride, padding, dilation):
    """See kernels/_reference/pool.py."""
    grad_y, = contiguous_floats(grad_y)
    small, large = (winner, None) if winner.dtype == np.uint8 else (None, winner)
    cdef Pool p = _pool(shape, size, stride, padding, dilation)
    if _touch(&p) and grad_y.size:
        grad_x = arena.empty(shape, grad_y.dtype)
        stream = grad_x.nbytes >= STREAM_LEAST
        if grad_y.dtype == np.float32:
            _block_grad[float](p, grad_y, small, large, grad_x, stream, threads_for(grad_x.size))
        else:
            _block_grad[double](p, grad_y, small, large, grad_x, stream, threads_for(grad_x.size))
        return grad_x
    return _backward(grad_y, small, large, shape, &p)


def avg_pool2d_forward(x, size, stride, padding):
    """See kernels/_reference/pool.py."""
    x, = contiguous_floats(x)
    cdef Pool p = _pool(x.shape, size, stride, padding, (1, 1))
    y = arena.empty((x.shape[0], p.rows, p.columns, p.channels), x.dtype)
    if y.size:
        if x.dtype == np.float32:
            _mean[float](p, x, y, threads_for(x.size))
        else:
            _mean[double](p, x, y, threads_for(x.size))
    return y


def avg_pool2d_backward(grad_y, shape, size, stride, padding):
    """See kernels/_reference/pool.py."""
    grad_y, = contiguous_floats(grad_y)
    cdef Pool p = _pool(shape, size, stride, padding, (1, 1))
    return _backward(grad_y, None, None, shape, &p)


cdef _backward(grad_y, small, large, shape, const Pool* p):
    grad_x = arena.empty(shape, grad_y.dtype)
    if grad_x.size:
        if grad_y.dtype == np.float32:
            _grad[float](p[0], grad_y, small, large, grad_x, threads_for(grad_x.size))
        else:
            _grad[double](p[0], grad_y, small, large, grad_x, threads_for(grad_x.size))
    return grad_x


cdef Pool _pool(shape, size, stride, padding, dilation):
    cdef Pool p
    cdef int k
    p.height, p.width, p.channels = shape[1], shape[2], shape[3]
    for k in range(2):
        p.size[k], p.stride[k], p.padding[k], p.dilation[k] = size[k], stride[k], padding[k], dilation[k]
        p.hop[k] = dilation[k] // gcd(dilation[k], stride[k])
    p.rows = (p.height + 2 * p.padding[0] - p.dilation[0] * (p.size[0] - 1) - 1) // p.stride[0] + 1
    p.columns = (p.width + 2 * p.padding[1] - p.dilation[1] * (p.size[1] - 1) - 1) // p.stride[1] + 1
    return p


cdef bint _touch(const Pool* p) noexcept nogil:
    """Return whether windows touch, and a row of one fits into the buffers."""
    return (
        p.stride[0] == p.size[0] and p.stride[1] == p.size[1] and p.padding[0] == p.padding[1] == 0
        and p.dilation[0] == p.dilation[1] == 1 and p.size[1] * p.channels <= POOL_VALUES
    )


cdef bint _everywhere(const Pool* p) noexcept nogil:
    """Return whether there is a window at every pixel, and all of it is in the image."""
    return p.stride[0] == p.stride[1] == 1 and p.padding[0] == p.padding[1] == 0


cdef inline const floating* _first(const Pool* p, const floating[:, :, :, ::1] x) noexcept:
    """Return the first pixel, or NULL: an image without pixels, of windows in the padding, has none to point at."""
    return &x[0, 0, 0, 0] if p.height and p.width else NULL


cdef void _max(Pool p, const floating[:, :, :, ::1] x, floating[:, :, :, ::1] y, unsigned char[:, :, :, ::1] small,
               int[:, :, :, ::1] large, bint stream, int threads) noexcept:
    cdef unsigned char* bytes_ = &small[0, 0, 0, 0] if small is not None else NULL
    cdef int* wide = &large[0, 0, 0, 0] if large is not None else NULL
    cdef const floating* pixels = _first[floating](&p, x)
    cdef Py_ssize_t row = p.columns * p.channels, image = p.height * p.width * p.channels, k
    for k in prange(y.shape[0] * p.rows, nogil=True, schedule="static", num_threads=threads):
        _max_row(&p, pixels + k // p.rows * image, k % p.rows, &y[0, 0, 0, 0] + k * row,
                 bytes_ + k * row if bytes_ else NULL, wide + k * row if wide else NULL, stream)


cdef void _slide_max(Pool p, Parts parts, const floating[:, :, :, ::1] x, floating[:, :, :, ::1] y,
                     floating[:, ::1] scratch, bint stream, int threads) noexcept:
    cdef Py_ssize_t image = parts.bands * parts.strips, k
    for k in prange(y.shape[0] * image, nogil=True, schedule="static", num_threads=threads):
        if floating is float:
            pool_slide_max_f32(&p, &parts, &x[k // image, 0, 0, 0], k % image, &y[k // image, 0, 0, 0],
                               &scratch[threadid(), 0], stream)
        else:
            pool_slide_max_f64(&p, &parts, &x[k // image, 0, 0, 0], k % image, &y[k // image, 0, 0, 0],
                               &scratch[threadid(), 0], stream)


cdef void _max_row(const Pool* p, const floating* x, Py_ssize_t row, floating* y, unsigned char* small, int* large,
                   bint stream) noexcept nogil:
    if floating is float:
        if _touch(p):
            pool_block_max_f32(p, x, row, y, small, large, stream)
        else:
            pool_max_f32(p, x, row, y, small, large)
    else:
        if _touch(p):
            pool_block_max_f64(p, x, row, y, small, large, stream)
        else:
            pool_max_f64(p, x, row, y, small, large)


cdef void _block_grad(Pool p, const floating[:, :, :, ::1] grad_y, const unsigned char[:, :, :, ::1] small,
                      const int[:, :, :, ::1] large, floating[:, :, :, ::1] grad_x, bint stream,
                      int threads) noexcept:
    cdef const unsigned char* bytes_ = &small[0, 0, 0, 0] if small is not None else NULL
    cdef const int* wide = &large[0, 0, 0, 0] if large is not None else NULL
    cdef Py_ssize_t row = p.columns * p.channels, k
    for k in prange(grad_x.shape[0] * p.rows, nogil=True, schedule="static", num_threads=threads):
        _block_grad_row(&p, &grad_y[0, 0, 0, 0] + k * row, bytes_ + k * row if bytes_ else NULL,
                        wide + k * row if wide else NULL, &grad_x[k // p.rows, k % p.rows * p.size[0], 0, 0], stream,
                        k % p.rows == p.rows - 1)


cdef void _block_grad_row(const Pool* p, const floating* grad_y, const unsigned char* small, const int* large,
                          floating* grad_x, bint stream, bint last) noexcept nogil:
    cdef Py_ssize_t line = p.width * p.channels
    if floating is float:
        pool_block_grad_f32(p, grad_y, small, large, grad_x, stream)
    else:
        pool_block_grad_f64(p, grad_y, small, large, grad_x, stream)
    if last:  # lines below that no window covers
        memset(grad_x + p.size[0] * line, 0, (p.height - p.rows * p.size[0]) * line * sizeof(floating))


cdef void _mean(Pool p, const floating[:, :, :, ::1] x, floating[:, :, :, ::1] y, int threads) noexcept:
    cdef const floating* pixels = _first[floating](&p, x)
    cdef Py_ssize_t image = p.height * p.width * p.channels, k
    for k in prange(y.shape[0] * p.rows, nogil=True, schedule="static", num_threads=threads):
        if floating is float:
            pool_mean_f32(&p, pixels + k // p.rows * image, k % p.rows, &y[k // p.rows, k % p.rows, 0, 0])
        else:
            pool_mean_f64(&p, pixels + k // p.rows * image, k % p.rows, &y[k // p.rows, k % p.rows, 0, 0])


cdef void _grad(Pool p, const floating[:, :, :, ::1] grad_y, const unsigned char[:, :, :, ::1] small,
                const int[:, :, :, ::1] large, floating[:, :, :, ::1] grad_x, int threads) noexcept:
    cdef const unsigned char* bytes_ = &small[0, 0, 0, 0] if small is not None else NULL
    cdef const int* wide = &large[0, 0, 0, 0] if large is not None else NULL
    cdef Py_ssize_t image = p.rows * p.columns * p.channels, k
    for k in prange(grad_x.shape[0] * p.height, nogil=True, schedule="static", num_threads=threads):
        if floating is float:
            pool_grad_f32(&p, k % p.height, &grad_y[k // p.height, 0, 0, 0],
                          bytes_ + k // p.height * image if bytes_ else NULL,
                          wide + k // p.height * image if wide else NULL, &grad_x[k // p.height, k % p.height, 0, 0])
        else:
            pool_grad_f64(&p, k % p.height, &grad_y[k // p.height, 0, 0, 0],
                          bytes_ + k // p.height * image if bytes_ else NULL,
                          wide + k // p.height * image if wide else NULL, &grad_x[k // p.height, k % p.height, 0, 0])
