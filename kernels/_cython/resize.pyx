"""Separable resampling, vectorised over channels and columns; meaning: kernels/_reference/resize.py.

Labels of another size than the scores are made row by row. Between two columns that have the same highest channel
that channel is the highest everywhere, so only at borders between labels are scores interpolated along the row.
"""

import numpy as np

from cython cimport floating
from cython.parallel cimport prange, threadid

from lstm2d.kernels import arena
from lstm2d.kernels._cython.levels cimport use_level
from lstm2d.kernels.checks import contiguous_floats
from lstm2d.kernels._cython.grain import threads_for
from lstm2d.kernels.taps import bilinear_places

use_level()

cdef extern from *:
    """
    #include "simd.h"
    #define REAL float
    #define NAME(f) f##_f32
    #include "resample.h"
    #include "label_rows.h"
    #undef REAL
    #undef NAME
    #define REAL double
    #define NAME(f) f##_f64
    #include "resample.h"
    #include "label_rows.h"
    #undef REAL
    #undef NAME
    """
    void across_rows_f32(float*, const float*, Py_ssize_t, const Py_ssize_t*, const double*, Py_ssize_t,
                         Py_ssize_t) noexcept nogil
    void across_rows_f64(double*, const double*, Py_ssize_t, const Py_ssize_t*, const double*, Py_ssize_t,
                         Py_ssize_t) noexcept nogil
    void along_row_f32(float*, const float*, const Py_ssize_t*, const Py_ssize_t*, const double*, Py_ssize_t,
                       Py_ssize_t) noexcept nogil
    void along_row_f64(double*, const double*, const Py_ssize_t*, const Py_ssize_t*, const double*, Py_ssize_t,
                       Py_ssize_t) noexcept nogil
    void label_row_f32(unsigned char*, const float*, const float*, float, const Py_ssize_t*, const Py_ssize_t*,
                       const float*, Py_ssize_t, Py_ssize_t, Py_ssize_t, float*, unsigned char*) noexcept nogil
    void label_row_f64(unsigned char*, const double*, const double*, double, const Py_ssize_t*, const Py_ssize_t*,
                       const double*, Py_ssize_t, Py_ssize_t, Py_ssize_t, double*, unsigned char*) noexcept nogil


def resample(x, rows, columns):
    """See kernels/_reference/resize.py."""
    x, = contiguous_floats(x)
    n, h, w, c = x.shape
    height, width = rows[0].shape[0] - 1, columns[0].shape[0] - 1
    y = arena.empty((n, height, width, c), x.dtype)
    if y.size == 0:
        return y
    if x.size == 0:
        y[...] = 0
    elif height > h:  # the pass over rows costs most: give it the axis that is resampled last where there are more
        _rows(_columns(x, columns, width), rows, y)
    else:
        between = arena.empty((n, height, w, c), x.dtype)
        _rows(x, rows, between)
        y = _columns(between, columns, width)
    return y


def bilinear_argmax(x, height, width):
    """See kernels/_reference/resize.py."""
    x, = contiguous_floats(x)
    if 0 in x.shape or x.shape[2] > 256:
        raise ValueError(f"bilinear_argmax: {x.shape}, expected (H, W, C) with 1 to 256 channels, not empty")
    y = np.empty((height, width), np.uint8)
    if y.size == 0:
        return y
    rows, columns = bilinear_places(x.shape[0], height), bilinear_places(x.shape[1], width)
    threads = threads_for(y.size)
    scores = arena.empty((threads, x.shape[1], x.shape[2]), x.dtype)
    best = arena.empty((threads, x.shape[1]), np.uint8)
    down, along = rows[2].astype(x.dtype), columns[2].astype(x.dtype)
    if x.dtype == np.float32:
        _label_rows[float](x, rows[0], rows[1], down, columns[0], columns[1], along, scores, best, y, threads)
    else:
        _label_rows[double](x, rows[0], rows[1], down, columns[0], columns[1], along, scores, best, y, threads)
    return y


def _rows(x, taps, y):
    row = x.shape[2] * x.shape[3]
    flat_x, flat_y = x.reshape(x.shape[0], x.shape[1], row), y.reshape(y.shape[0], y.shape[1], row)
    if x.dtype == np.float32:
        _across_rows[float](flat_x, taps[0], taps[1], taps[2], flat_y, threads_for(y.size))
    else:
        _across_rows[double](flat_x, taps[0], taps[1], taps[2], flat_y, threads_for(y.size))


def _columns(x, taps, width):
    n, h, w, c = x.shape
    y = arena.empty((n, h, width, c), x.dtype)
    if x.dtype == np.float32:
        _along_rows[float](x.reshape(n * h, w * c), taps[0], taps[1], taps[2], c, y.reshape(n * h, width * c),
                           threads_for(y.size))
    else:
        _along_rows[double](x.reshape(n * h, w * c), taps[0], taps[1], taps[2], c, y.reshape(n * h, width * c),
                            threads_for(y.size))
    return y


cdef void _across_rows(const floating[:, :, ::1] x, const Py_ssize_t[::1] start, const Py_ssize_t[::1] index,
                       const double[::1] weight, floating[:, :, ::1] y, int threads) noexcept:
    cdef Py_ssize_t rows = y.shape[1], n = y.shape[2], p, first, taps
    cdef const Py_ssize_t* places = &index[0] if index.shape[0] else NULL
    cdef const double* weights = &weight[0] if weight.shape[0] else NULL
    for p in prange(y.shape[0] * rows, nogil=True, schedule="static", num_threads=threads):
        first = start[p % rows]
        taps = start[p % rows + 1] - first
        if floating is float:
            across_rows_f32(&y[p // rows, p % rows, 0], &x[p // rows, 0, 0], n, places + first, weights + first,
                            taps, n)
        else:
            across_rows_f64(&y[p // rows, p % rows, 0], &x[p // rows, 0, 0], n, places + first, weights + first,
                            taps, n)


cdef void _along_rows(const floating[:, ::1] x, const Py_ssize_t[::1] start, const Py_ssize_t[::1] index,
                      const double[::1] weight, Py_ssize_t channels, floating[:, ::1] y, int threads) noexcept:
    cdef Py_ssize_t columns = y.shape[1] // channels, p
    cdef const Py_ssize_t* places = &index[0] if index.shape[0] else NULL
    cdef const double* weights = &weight[0] if weight.shape[0] else NULL
    for p in prange(y.shape[0], nogil=True, schedule="static", num_threads=threads):
        if floating is float:
            along_row_f32(&y[p, 0], &x[p, 0], &start[0], places, weights, columns, channels)
        else:
            along_row_f64(&y[p, 0], &x[p, 0], &start[0], places, weights, columns, channels)


cdef void _label_rows(const floating[:, :, ::1] x, const Py_ssize_t[::1] top, const Py_ssize_t[::1] bottom,
                      const floating[::1] down, const Py_ssize_t[::1] left, const Py_ssize_t[::1] right,
                      const floating[::1] along, floating[:, :, ::1] scores, unsigned char[:, ::1] best,
                      unsigned char[:, ::1] y, int threads) noexcept:
    cdef Py_ssize_t k, t
    for k in prange(y.shape[0], nogil=True, schedule="static", num_threads=threads):
        t = threadid()
        if floating is float:
            label_row_f32(&y[k, 0], &x[top[k], 0, 0], &x[bottom[k], 0, 0], down[k], &left[0], &right[0], &along[0],
                          y.shape[1], x.shape[1], x.shape[2], &scores[t, 0, 0], &best[t, 0])
        else:
            label_row_f64(&y[k, 0], &x[top[k], 0, 0], &x[bottom[k], 0, 0], down[k], &left[0], &right[0], &along[0],
                          y.shape[1], x.shape[1], x.shape[2], &scores[t, 0, 0], &best[t, 0])
