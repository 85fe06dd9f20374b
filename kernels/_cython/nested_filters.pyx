"""The filters of nested Winograd convolutions: 4 x 4 blocks of taps to 7 x 7 points, and the gradients back.

See conv_nested.pyx. Filters are transformed in chunks of their channels, that stay in the cache between the two axes.
"""

import numpy as np

from cython cimport floating
from cython.parallel cimport prange, threadid

from lstm2d.kernels import arena
from lstm2d.kernels._cython.levels cimport use_level

use_level()

cdef extern from "nested.h" nogil:
    # one axis, for many lanes: in, distance of two values in it, out, distance, lanes
    void nested_taps_f32(const float*, Py_ssize_t, float*, Py_ssize_t, Py_ssize_t)
    void nested_taps_f64(const double*, Py_ssize_t, double*, Py_ssize_t, Py_ssize_t)
    void nested_grad_taps_f32(const float*, Py_ssize_t, float*, Py_ssize_t, Py_ssize_t)
    void nested_grad_taps_f64(const double*, Py_ssize_t, double*, Py_ssize_t, Py_ssize_t)

cdef enum:
    SIDE = 4  # of a block of taps
    POINTS = 7
    CHUNK = 512  # filters, one for each pair of channels, that are transformed at once
    STEP = 528  # in memory: the taps of a chunk must not fall into the same cache sets


def points(weight, threads):
    """Return the points (49, kh / 4, kw / 4, in * out) of weight (kh, kw, in, out), kh and kw rounded up."""
    kh, kw, channels, outputs = weight.shape
    n = channels * outputs
    down, across = -(-kh // SIDE), -(-kw // SIDE)
    taps = np.zeros((down * SIDE, across * SIDE, n), weight.dtype)
    taps.reshape(*taps.shape[:2], channels, outputs)[:kh, :kw] = weight
    found = arena.empty((POINTS * POINTS, down, across, n), weight.dtype)
    _taps(taps, found, arena.empty((threads, POINTS, across * SIDE, STEP), weight.dtype), threads)
    return found


def grad_taps(sums, shape, threads):
    """Return the gradient of a weight of this shape; that of its points is the total of sums, which is overwritten."""
    kh, kw, channels, outputs = shape
    down, across, n = sums.shape[2:]
    grad = np.empty((down * SIDE, across * SIDE, n), sums.dtype)
    between = arena.empty((threads, POINTS, across * SIDE, STEP), sums.dtype)
    _grad_taps(sums, grad, between, threads)
    return grad.reshape(*grad.shape[:2], channels, outputs)[:kh, :kw].copy()


def _taps(const floating[:, :, ::1] taps, floating[:, :, :, ::1] points, floating[:, :, :, ::1] between, int threads):
    cdef Py_ssize_t down = points.shape[1], k
    for k in prange((taps.shape[2] + CHUNK - 1) // CHUNK * down, nogil=True, schedule="dynamic", num_threads=threads):
        _chunk_taps(taps, points, &between[threadid(), 0, 0, 0], k % down, k // down * CHUNK)


cdef void _chunk_taps(const floating[:, :, ::1] taps, floating[:, :, :, ::1] points, floating* between, Py_ssize_t a,
                      Py_ssize_t first) noexcept nogil:
    """Transform row a of blocks of taps, for the channels from `first`."""
    cdef Py_ssize_t n = taps.shape[2], line = taps.shape[1], plane = points.shape[1] * points.shape[2] * n, p, k
    cdef Py_ssize_t lanes = min(<Py_ssize_t> CHUNK, n - first)
    for k in range(line):
        if floating is float:
            nested_taps_f32(&taps[a * SIDE, k, first], line * n, between + k * STEP, line * STEP, lanes)
        else:
            nested_taps_f64(&taps[a * SIDE, k, first], line * n, between + k * STEP, line * STEP, lanes)
    for p in range(POINTS):
        for k in range(points.shape[2]):
            if floating is float:
                nested_taps_f32(between + (p * line + k * SIDE) * STEP, STEP, &points[p * POINTS, a, k, first], plane,
                                lanes)
            else:
                nested_taps_f64(between + (p * line + k * SIDE) * STEP, STEP, &points[p * POINTS, a, k, first], plane,
                                lanes)


def _grad_taps(floating[:, :, :, :, ::1] sums, floating[:, :, ::1] taps, floating[:, :, :, ::1] between, int threads):
    cdef Py_ssize_t down = sums.shape[2], k
    for k in prange((taps.shape[2] + CHUNK - 1) // CHUNK * down, nogil=True, schedule="dynamic", num_threads=threads):
        _chunk_grad_taps(sums, taps, &between[threadid(), 0, 0, 0], k % down, k // down * CHUNK)


cdef void _chunk_grad_taps(floating[:, :, :, :, ::1] sums, floating[:, :, ::1] taps, floating* between, Py_ssize_t a,
                           Py_ssize_t first) noexcept nogil:
    """The transpose of _chunk_taps, of the total over all groups in their order."""
    cdef Py_ssize_t n = taps.shape[2], line = taps.shape[1], plane = sums.shape[2] * sums.shape[3] * n, p, k, g, q, c
    cdef Py_ssize_t lanes = min(<Py_ssize_t> CHUNK, n - first)
    cdef floating* total
    cdef const floating* part
    for p in range(POINTS):
        for k in range(sums.shape[3]):
            for q in range(p * POINTS, (p + 1) * POINTS):
                total = &sums[0, q, a, k, first]
                for g in range(1, sums.shape[0]):
                    part = &sums[g, q, a, k, first]
                    for c in range(lanes):
                        total[c] += part[c]
            if floating is float:
                nested_grad_taps_f32(&sums[0, p * POINTS, a, k, first], plane,
                                     between + (p * line + k * SIDE) * STEP, STEP, lanes)
            else:
                nested_grad_taps_f64(&sums[0, p * POINTS, a, k, first], plane,
                                     between + (p * line + k * SIDE) * STEP, STEP, lanes)
    for k in range(line):
        if floating is float:
            nested_grad_taps_f32(between + k * STEP, line * STEP, &taps[a * SIDE, k, first], line * n, lanes)
        else:
            nested_grad_taps_f64(between + k * STEP, line * STEP, &taps[a * SIDE, k, first], line * n, lanes)
