"""Windows of pixels, moved a row of a window at a time; meaning: kernels/_reference/windows.py."""

import numpy as np

from cython.parallel cimport prange
from libc.string cimport memcpy

from lstm2d.kernels import arena
from lstm2d.kernels.arrays import contiguous
from lstm2d.kernels.checks import contiguous_floats
from lstm2d.kernels._cython.grain import threads_for

ctypedef long long wide
ctypedef unsigned char uchar

ctypedef fused label_t:
    uchar
    wide


def window_gather_forward(x, Py_ssize_t window):
    """See kernels/_reference/windows.py."""
    x, = contiguous_floats(x)
    n, h, w, c = x.shape
    y = arena.empty((n, h // window, w // window, window * window * c), x.dtype)
    if y.size:
        _move(_bytes(x), _bytes(y), n * (h // window), w // window, window, window * c * x.itemsize, True,
              threads_for(x.size))
    return y


def window_gather_backward(grad_y, Py_ssize_t window):
    """See kernels/_reference/windows.py."""
    grad_y, = contiguous_floats(grad_y)
    n, rows, columns, values = grad_y.shape
    c = values // (window * window)
    grad_x = arena.empty((n, rows * window, columns * window, c), grad_y.dtype)
    if grad_x.size:
        _move(_bytes(grad_y), _bytes(grad_x), n * rows, columns, window, window * c * grad_y.itemsize, False,
              threads_for(grad_x.size))
    return grad_x


def window_targets(labels, Py_ssize_t window, Py_ssize_t n_classes, long long ignore_index, class_weights):
    """See kernels/_reference/windows.py."""
    labels = contiguous(labels, np.uint8 if labels.dtype == np.uint8 else np.int64)
    n, h, w = labels.shape
    targets = np.zeros((n, h // window, w // window, n_classes), np.float32)
    weight = np.zeros(targets.shape[:3], np.float32)
    scale = np.ones(n_classes) if class_weights is None else class_weights
    outside = np.zeros(targets.shape[:2], np.uint8)  # one flag per row of windows: threads share none
    if labels.dtype == np.uint8:
        _targets[uchar](labels, window, ignore_index, contiguous(scale, np.float32), targets, weight,
                        outside, threads_for(labels.size))
    else:
        _targets[wide](labels, window, ignore_index, contiguous(scale, np.float32), targets, weight,
                       outside, threads_for(labels.size))
    if outside.any():
        raise ValueError(f"labels hold a value outside [0, {n_classes})")
    return targets, weight


def _bytes(array):
    return array.reshape(-1).view(np.uint8)


cdef void _move(const unsigned char[::1] source, unsigned char[::1] target, Py_ssize_t rows, Py_ssize_t columns,
                Py_ssize_t window, Py_ssize_t piece, bint gather, int threads) noexcept:
    # piece: bytes of one row of a window. In the pixels, the pieces of one image row lie side by side; in the
    # windows, the pieces of one window do. Both hold the same pieces, `window * columns` of them per row of windows
    cdef Py_ssize_t p
    for p in prange(rows * window, nogil=True, schedule="static", num_threads=threads):
        _move_row(&source[0], &target[0], p, columns, window, piece, gather)


cdef void _move_row(const unsigned char* source, unsigned char* target, Py_ssize_t row, Py_ssize_t columns,
                    Py_ssize_t window, Py_ssize_t piece, bint gather) noexcept nogil:
    cdef Py_ssize_t j, pixels, windows
    for j in range(columns):
        pixels = (row * columns + j) * piece
        windows = ((row // window * columns + j) * window + row % window) * piece
        if gather:
            memcpy(target + windows, source + pixels, piece)
        else:
            memcpy(target + pixels, source + windows, piece)


cdef void _targets(const label_t[:, :, ::1] labels, Py_ssize_t window, wide ignore_index, const float[::1] scale,
                   float[:, :, :, ::1] targets, float[:, :, ::1] weight, unsigned char[:, ::1] outside,
                   int threads) noexcept:
    cdef Py_ssize_t rows = weight.shape[1], p
    for p in prange(weight.shape[0] * rows, nogil=True, schedule="static", num_threads=threads):
        _targets_row(labels, window, ignore_index, scale, targets, weight, outside, p // rows, p % rows)


cdef void _targets_row(const label_t[:, :, ::1] labels, Py_ssize_t window, wide ignore_index, const float[::1] scale,
                       float[:, :, :, ::1] targets, float[:, :, ::1] weight, unsigned char[:, ::1] outside,
                       Py_ssize_t b, Py_ssize_t i) noexcept nogil:
    cdef Py_ssize_t j, r, s, k, known
    cdef wide label
    for j in range(weight.shape[2]):
        known = 0
        for r in range(i * window, (i + 1) * window):
            for s in range(j * window, (j + 1) * window):
                label = labels[b, r, s]
                if label == ignore_index:
                    continue
                if label < 0 or label >= scale.shape[0]:
                    outside[b, i] = 1
                    continue
                targets[b, i, j, label] += 1
                known += 1
        weight[b, i, j] = <float> known / <float> (window * window)
        if known:
            for k in range(scale.shape[0]):
                targets[b, i, j, k] = targets[b, i, j, k] / <float> known * scale[k]
