"""Separable resampling: every output row, then every output column, is a weighted sum of a few input ones.

The taps of one axis are three arrays (start, index, weight): output k adds weight[t] * input[index[t]] for
t in range(start[k], start[k + 1]), in that order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
Taps = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]


def resample(x: FloatArray, rows: Taps, columns: Taps) -> FloatArray:
    """Return (N, len(rows), len(columns), C) from (N, H, W, C)."""
    return _along(_along(x, rows, 1), columns, 2)


def _along(x: FloatArray, taps: Taps, axis: int) -> FloatArray:
    start, index, weight = taps
    source = np.moveaxis(x, axis, 0)
    y = np.zeros((len(start) - 1, *source.shape[1:]), x.dtype)
    for k in range(len(start) - 1):
        for t in range(start[k], start[k + 1]):
            y[k] += weight[t].astype(x.dtype) * source[index[t]]
    return np.ascontiguousarray(np.moveaxis(y, 0, axis))
