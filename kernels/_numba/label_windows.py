"""The nearest of several label histograms, for the window around each pixel; see kernels/label_windows.py."""

from __future__ import annotations

import math

import numpy as np

from lstm2d.kernels._numba.jit import kernel, part


@part
def _count(bins, row, change, counts):
    for column in range(bins.shape[1]):
        if bins[row, column] >= 0:
            counts[column, bins[row, column]] += change


@part
def _nearest(histogram, centres, squares, begin, end):
    length = 0.0
    for b in range(histogram.size):
        length += histogram[b] * histogram[b]
    length = math.sqrt(length)
    best, least = begin, np.inf
    for k in range(begin, end):
        product = 0.0
        for b in range(histogram.size):
            product += histogram[b] * centres[k, b]
        distance = squares[k] - 2.0 * (product / length)  # without the 1 that all have
        if distance < least:
            best, least = k, distance
    return best


@kernel
def nearest_centres(bins, rows, columns, half, centres, squares, starts, result, begin, end):
    height, width = bins.shape
    n = starts.size - 1
    counts = np.zeros((width, n), np.int64)  # of each column, over the rows of the window
    sums = np.zeros((width + 1, n), np.int64)  # of the columns before each one
    histogram = np.empty(n)
    first, last = 0, 0  # the rows that are counted
    for i in range(begin, end):
        top, bottom = max(0, rows[i] - half), min(height, rows[i] + half + 1)
        if top >= last or bottom <= first:
            counts[:] = 0
            first, last = top, top
        while last < bottom:
            _count(bins, last, 1, counts)
            last += 1
        while first > top:
            first -= 1
            _count(bins, first, 1, counts)
        while last > bottom:
            last -= 1
            _count(bins, last, -1, counts)
        while first < top:
            _count(bins, first, -1, counts)
            first += 1
        for column in range(width):
            for b in range(n):
                sums[column + 1, b] = sums[column, b] + counts[column, b]
        for j in range(columns.size):
            here = bins[rows[i], columns[j]]
            if here < 0 or starts[here] == starts[here + 1]:
                continue
            left, right = max(0, columns[j] - half), min(width, columns[j] + half + 1)
            for b in range(n):
                histogram[b] = sums[right, b] - sums[left, b]
            result[i, j] = _nearest(histogram, centres, squares, starts[here], starts[here + 1])
