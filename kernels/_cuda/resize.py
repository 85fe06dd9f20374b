"""Separable resampling, rows first."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import cupy
import numpy as np

from lstm2d.kernels._cuda.launch import Array, contiguous, launch
from lstm2d.kernels.taps import Taps, bilinear_places


def resample(x: Array, rows: Taps, columns: Taps) -> Array:
    (x,) = contiguous(x)
    return _along(_along(x, rows, 1), columns, 2)


def bilinear_argmax(x: Array, height: int, width: int) -> Array:
    (x,) = contiguous(x)
    y = cupy.empty((height, width), np.uint8)
    rows, columns = (_places(old, new, x) for old, new in zip(x.shape, y.shape, strict=False))
    launch("resize", "bilinear_argmax", y.size, x, *rows, *columns, y, *x.shape[1:], width, np.int64(y.size))
    return y


def _places(size: int, new_size: int, x: Array) -> tuple[Array, Array, Array]:
    """Return both neighbours of each new position and the weight of the second one, on the device of x."""
    first, second, part = bilinear_places(size, new_size)
    return _on_device(first.tobytes(), second.tobytes(), part.tobytes(), x.dtype, x.device.id)


def _along(x: Array, taps: Taps, axis: int) -> Array:
    length = len(taps[0]) - 1
    y = cupy.empty((*x.shape[:axis], length, *x.shape[axis + 1 :]), x.dtype)
    start, index, weight = _on_device(*(t.tobytes() for t in taps), x.dtype, x.device.id)
    inner = prod(x.shape[axis + 1 :])
    sizes = (x.shape[axis], length, inner)
    launch("resize", "resample", y.size, x, start, index, weight, y, *sizes, np.int64(y.size))
    return y


@lru_cache(maxsize=64)  # networks use few different ones
def _on_device(
    start: bytes, index: bytes, weight: bytes, dtype: np.dtype[Any], device: int
) -> tuple[Array, Array, Array]:
    """Return taps on a device, with weights in the data type of the images."""
    with cupy.cuda.Device(device):
        return (
            cupy.asarray(np.frombuffer(start, np.intp).astype(np.intc)),
            cupy.asarray(np.frombuffer(index, np.intp).astype(np.intc)),
            cupy.asarray(np.frombuffer(weight, np.float64).astype(dtype)),
        )
