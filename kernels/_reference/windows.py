"""Non-overlapping windows of pixels: their values, and soft targets from their labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lstm2d.kernels.arrays import FloatArray, IntArray


def window_gather_forward(x: FloatArray, window: int) -> FloatArray:
    """Return (N, H / w, W / w, w * w * C) from (N, H, W, C): each window's values, row by row."""
    n, h, w, c = x.shape
    y = np.empty((n, h // window, w // window, window * window * c), x.dtype)
    for b, i, j in np.ndindex(y.shape[:3]):
        block = x[b, i * window : (i + 1) * window, j * window : (j + 1) * window]  # (w, w, C)
        y[b, i, j] = block.reshape(-1)
    return y


def window_gather_backward(grad_y: FloatArray, window: int) -> FloatArray:
    """Return the gradient of x: each value is written to the pixel that it came from."""
    n, rows, columns, values = grad_y.shape
    c = values // (window * window)
    grad_x = np.empty((n, rows * window, columns * window, c), grad_y.dtype)
    for b, i, j in np.ndindex(n, rows, columns):
        block = grad_x[b, i * window : (i + 1) * window, j * window : (j + 1) * window]
        block[...] = grad_y[b, i, j].reshape(window, window, c)
    return grad_x


def window_targets(
    labels: IntArray,
    window: int,
    n_classes: int,
    ignore_index: int,
    class_weights: NDArray[np.float32] | None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the share of each class among a window's labelled pixels, and the window's weight.

    The share of class c is f_c / m, with f_c pixels of that class and m pixels that are not `ignore_index`,
    times `class_weights[c]` if given; it is 0 if m is 0. The weight is m / window^2.
    """
    n, h, w = labels.shape
    targets = np.zeros((n, h // window, w // window, n_classes), np.float32)
    weight = np.zeros(targets.shape[:3], np.float32)
    for b, i, j in np.ndindex(weight.shape):
        block = labels[b, i * window : (i + 1) * window, j * window : (j + 1) * window]
        known = block[block != ignore_index].astype(np.int64)
        if known.size:
            if known.min() < 0 or known.max() >= n_classes:
                raise ValueError(f"labels hold a value outside [0, {n_classes})")
            targets[b, i, j] = np.bincount(known, minlength=n_classes) / np.float32(known.size)
        weight[b, i, j] = np.float32(known.size) / np.float32(window * window)
    return targets if class_weights is None else targets * class_weights, weight
