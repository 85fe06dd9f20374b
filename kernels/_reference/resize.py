"""Separable resampling: each output row, then each output column, is a weighted sum of a few input ones.

The taps of one axis are three arrays (start, index, weight): output k adds weight[t] * input[index[t]] for
t in range(start[k], start[k + 1]), in that order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lstm2d.kernels.arrays import FloatArray
from lstm2d.kernels.taps import Taps, bilinear_taps


def resample(x: FloatArray, rows: Taps, columns: Taps) -> FloatArray:
    """Return (N, len(rows), len(columns), C) from (N, H, W, C)."""
    return _along(_along(x, rows, 1), columns, 2)


def bilinear_argmax(x: FloatArray, height: int, width: int) -> NDArray[np.uint8]:
    """Return the channel with the highest value at each pixel of (H, W, C), resized to (height, width).

    Pixels are squares, the outer edges of both grids coincide. Ties go to the lowest channel; if two channels
    differ only by rounding, either may be returned. H, W and C are at least 1, C at most 256.
    """
    taps = bilinear_taps(x.shape[0], height), bilinear_taps(x.shape[1], width)
    labels: NDArray[np.uint8] = resample(x[np.newaxis], *taps)[0].argmax(axis=2).astype(np.uint8)
    return labels


def _along(x: FloatArray, taps: Taps, axis: int) -> FloatArray:
    start, index, weight = taps
    source = np.moveaxis(x, axis, 0)
    y = np.zeros((len(start) - 1, *source.shape[1:]), x.dtype)
    for k in range(len(start) - 1):
        for t in range(start[k], start[k + 1]):
            y[k] += weight[t].astype(x.dtype) * source[index[t]]
    return np.ascontiguousarray(np.moveaxis(y, 0, axis))
