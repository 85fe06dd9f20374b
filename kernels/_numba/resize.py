"""Separable resampling, vectorised over channels and columns; meaning: kernels/_reference/resize.py.

Labels of another size than the scores are made row by row. Between two columns that have the same highest
channel that channel is the highest everywhere, so only at borders between labels are scores interpolated
along the row.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lstm2d.kernels import arena
from lstm2d.kernels._numba.jit import kernel, part, row, spread
from lstm2d.kernels.arrays import FloatArray
from lstm2d.kernels.checks import contiguous_floats
from lstm2d.kernels.taps import Taps, bilinear_places


def resample(x: FloatArray, rows: Taps, columns: Taps) -> FloatArray:
    (x,) = contiguous_floats(x)
    n, h, w, c = x.shape
    height, width = len(rows[0]) - 1, len(columns[0]) - 1
    y = arena.empty((n, height, width, c), x.dtype)
    if y.size == 0:
        return y
    if x.size == 0:
        y[...] = 0
    elif (
        height > h
    ):  # the pass over rows costs most: give it the axis that is resampled last where there are more
        _down(_along(x, columns, width), rows, y)
    else:
        between = arena.empty((n, height, w, c), x.dtype)
        _down(x, rows, between)
        y = _along(between, columns, width)
    return y


def bilinear_argmax(x: FloatArray, height: int, width: int) -> NDArray[np.uint8]:
    (x,) = contiguous_floats(x)
    if 0 in x.shape or x.shape[2] > 256:
        raise ValueError(f"bilinear_argmax: {x.shape}, expected (H, W, C) with 1 to 256 channels, not empty")
    y = np.empty((height, width), np.uint8)
    if y.size:
        rows, columns = bilinear_places(x.shape[0], height), bilinear_places(x.shape[1], width)
        down, along = rows[2].astype(x.dtype), columns[2].astype(x.dtype)
        work = x.shape[1] * x.shape[2] + width
        spread(_labels, height, work, x, rows[0], rows[1], down, columns[0], columns[1], along, y)
    return y


def _down(x: FloatArray, taps: Taps, y: FloatArray) -> None:
    flat_x, flat_y = (a.reshape(*a.shape[:2], -1) for a in (x, y))
    spread(_combine_rows, y.shape[0] * y.shape[1], flat_y.shape[2], flat_x, *taps, flat_y)


def _along(x: FloatArray, taps: Taps, width: int) -> FloatArray:
    n, h, _, c = x.shape
    y = arena.empty((n, h, width, c), x.dtype)
    spread(_combine_columns, n * h, width * c, x.reshape(n * h, -1), *taps, c, y.reshape(n * h, -1))
    return y


@part
def _combine(y, x, stride, index, weight, begin, end):
    """Compute the sum over the taps of weight * x from index * stride on; two of them per loop."""
    first = begin + (end - begin) % 2
    if first > begin:
        w, a = x.dtype.type(weight[begin]), row(x, index[begin] * stride, y.size)
        for k in range(y.size):
            y[k] = w * a[k]
    for t in range(first, end, 2):
        w, v = x.dtype.type(weight[t]), x.dtype.type(weight[t + 1])
        a, b = row(x, index[t] * stride, y.size), row(x, index[t + 1] * stride, y.size)
        if t == begin:
            for k in range(y.size):
                y[k] = w * a[k] + v * b[k]
        else:
            for k in range(y.size):
                y[k] = y[k] + w * a[k] + v * b[k]
    if begin == end:
        y[:] = 0


@kernel
def _combine_rows(x, start, index, weight, y, begin, end):
    rows, n = y.shape[1], y.shape[2]
    for p in range(begin, end):
        k = p % rows
        _combine(y[p // rows, k], x[p // rows].reshape(-1), n, index, weight, start[k], start[k + 1])


@kernel
def _combine_columns(x, start, index, weight, channels, y, begin, end):
    for p in range(begin, end):
        for j in range(start.size - 1):
            _combine(row(y[p], j * channels, channels), x[p], channels, index, weight, start[j], start[j + 1])


@part
def _highest_between(a, b, share):
    """Return the first of the highest values of (1 - share) * a + share * b."""
    one = a.dtype.type(1)
    best, most = 0, (one - share) * a[0] + share * b[0]
    for c in range(1, a.size):
        value = (one - share) * a[c] + share * b[c]
        if value > most:
            best, most = c, value
    return best


@kernel
def _labels(x, top, bottom, down, left, right, along, y, begin, end):
    _, columns, n = x.shape
    one, zero = x.dtype.type(1), x.dtype.type(0)
    scores, best = np.empty(columns * n, x.dtype), np.empty(columns, np.uint8)
    for i in range(begin, end):
        above, below, share, labels = x[top[i]].reshape(-1), x[bottom[i]].reshape(-1), down[i], y[i]
        for k in range(scores.size):
            scores[k] = (one - share) * above[k] + share * below[k]
        for j in range(columns):
            values = row(scores, j * n, n)
            best[j] = _highest_between(values, values, zero)
        for j in range(labels.size):
            a, b = left[j], right[j]
            if best[a] == best[b] or along[j] == 0:
                labels[j] = best[a]
            else:
                labels[j] = _highest_between(row(scores, a * n, n), row(scores, b * n, n), along[j])
