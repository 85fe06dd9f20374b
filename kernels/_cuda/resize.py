"""Separable resampling, rows first; meaning: kernels/_reference/resize.py."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import cupy
import numpy as np
from numpy.typing import NDArray

from lstm2d.kernels._cuda.launch import Array, contiguous, launch

Taps = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]  # on the host


def resample(x: Array, rows: Taps, columns: Taps) -> Array:
    """Return (N, len(rows), len(columns), C) from (N, H, W, C)."""
    (x,) = contiguous(x)
    return _along(_along(x, rows, 1), columns, 2)


def _along(x: Array, taps: Taps, axis: int) -> Array:
    length = len(taps[0]) - 1
    y = cupy.empty((*x.shape[:axis], length, *x.shape[axis + 1 :]), x.dtype)
    start, index, weight = _on_device(*(t.tobytes() for t in taps), x.dtype, x.device.id)
    inner = prod(x.shape[axis + 1 :])
    sizes = (x.shape[axis], length, inner)
    launch("resize", "resample", y.size, x, start, index, weight, y, *sizes, np.int64(y.size))
    return y


@lru_cache(maxsize=64)
def _on_device(
    start: bytes, index: bytes, weight: bytes, dtype: np.dtype[Any], device: int
) -> tuple[Array, Array, Array]:
    """Return taps on a device, weights in the type of the images. Networks use the same few all the time."""
    with cupy.cuda.Device(device):
        return (
            cupy.asarray(np.frombuffer(start, np.intp).astype(np.intc)),
            cupy.asarray(np.frombuffer(index, np.intp).astype(np.intc)),
            cupy.asarray(np.frombuffer(weight, np.float64).astype(dtype)),
        )
