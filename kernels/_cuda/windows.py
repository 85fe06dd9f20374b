"""Non-overlapping windows of pixels: their values, and soft targets from their labels."""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np
from numpy.typing import NDArray

from lstm2d.kernels._cuda.launch import Array, contiguous, launch


def window_gather_forward(x: Array, window: int) -> Array:
    (x,) = contiguous(x)
    n, h, w, c = x.shape
    grid = (h // window, w // window)
    y = cupy.empty((n, *grid, window * window * c), x.dtype)
    launch("windows", "gather", y.size, x, y, h, w, c, *grid, window, np.int64(y.size))
    return y


def window_gather_backward(grad_y: Array, window: int) -> Array:
    (grad_y,) = contiguous(grad_y)
    n, rows, columns, values = grad_y.shape
    size = (rows * window, columns * window, values // (window * window))
    grad_x = cupy.empty((n, *size), grad_y.dtype)
    launch(
        "windows", "scatter", grad_y.size, grad_y, grad_x, *size, rows, columns, window, np.int64(grad_y.size)
    )
    return grad_x


def window_targets(
    labels: Array,
    window: int,
    n_classes: int,
    ignore_index: int,
    class_weights: NDArray[np.floating[Any]] | Array | None,
) -> tuple[Array, Array]:
    """Accept class weights on the host or the device; wait for the device to check the labels."""
    labels = cupy.ascontiguousarray(labels).astype(np.int64, copy=False)
    n, h, w = labels.shape
    grid = (h // window, w // window)
    targets = cupy.empty((n, *grid, n_classes), np.float32)
    weight = cupy.empty((n, *grid), np.float32)
    if class_weights is not None:
        class_weights = cupy.ascontiguousarray(cupy.asarray(class_weights, np.float32))
    flag = cupy.zeros(1, np.intc)
    threads = weight.size * max(n_classes, 1)
    sizes = (h, w, *grid, window, n_classes, np.int64(ignore_index), np.int64(threads))
    launch("windows", "targets", threads, class_weights, labels, targets, weight, flag, *sizes)
    if int(flag[0]):
        raise ValueError(f"labels hold a value outside [0, {n_classes})")
    return targets, weight
