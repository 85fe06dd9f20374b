"""Windows of pixels, moved a row of a window at a time; meaning: kernels/_reference/windows.py."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lstm2d.kernels import arena
from lstm2d.kernels._numba.jit import kernel, row, spread
from lstm2d.kernels.arrays import FloatArray, IntArray, contiguous
from lstm2d.kernels.checks import contiguous_floats


def window_gather_forward(x: FloatArray, window: int) -> FloatArray:
    (x,) = contiguous_floats(x)
    n, h, w, c = x.shape
    y = arena.empty((n, h // window, w // window, window * window * c), x.dtype)
    if y.size:
        spread(_gather, n * h, w * c, x.reshape(-1), y.reshape(-1), w // window, window, window * c)
    return y


def window_gather_backward(grad_y: FloatArray, window: int) -> FloatArray:
    (grad_y,) = contiguous_floats(grad_y)
    n, rows, columns, values = grad_y.shape
    c = values // (window * window)
    grad_x = arena.empty((n, rows * window, columns * window, c), grad_y.dtype)
    if grad_x.size:
        flat = grad_y.reshape(-1), grad_x.reshape(-1)
        spread(_scatter, n * rows * window, columns * window * c, *flat, columns, window, window * c)
    return grad_x


def window_targets(
    labels: IntArray,
    window: int,
    n_classes: int,
    ignore_index: int,
    class_weights: NDArray[np.float32] | None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    labels = contiguous(labels, np.uint8 if labels.dtype == np.uint8 else np.int64)
    n, h, w = labels.shape
    targets = np.zeros((n, h // window, w // window, n_classes), np.float32)
    weight = np.zeros(targets.shape[:3], np.float32)
    scale = np.ones(n_classes, np.float32) if class_weights is None else class_weights
    outside = np.zeros(targets.shape[:2], np.bool_)  # one flag per row of windows: threads share none
    scale = contiguous(scale, np.float32)
    spread(
        _targets, n * (h // window), window * w, labels, window, ignore_index, scale, targets, weight, outside
    )
    if outside.any():
        raise ValueError(f"labels hold a value outside [0, {n_classes})")
    return targets, weight


# A piece is one row of a window. In the pixels, the pieces of one image row lie side by side; in the windows,
# the pieces of one window do. Both hold the same pieces, `window * columns` of them per row of windows.


@kernel
def _gather(pixels, windows, columns, window, piece, begin, end):
    for p in range(begin, end):
        for j in range(columns):
            source = row(pixels, (p * columns + j) * piece, piece)
            target = row(windows, ((p // window * columns + j) * window + p % window) * piece, piece)
            for k in range(piece):
                target[k] = source[k]


@kernel
def _scatter(windows, pixels, columns, window, piece, begin, end):
    for p in range(begin, end):
        for j in range(columns):
            source = row(windows, ((p // window * columns + j) * window + p % window) * piece, piece)
            target = row(pixels, (p * columns + j) * piece, piece)
            for k in range(piece):
                target[k] = source[k]


@kernel
def _targets(labels, window, ignore_index, scale, targets, weight, outside, begin, end):
    rows, area = weight.shape[1], np.float32(window * window)
    for p in range(begin, end):
        b, i = p // rows, p % rows
        for j in range(weight.shape[2]):
            known = 0
            for r in range(i * window, (i + 1) * window):
                for s in range(j * window, (j + 1) * window):
                    label = np.int64(labels[b, r, s])
                    if label == ignore_index:
                        continue
                    if label < 0 or label >= scale.size:
                        outside[b, i] = True
                        continue
                    targets[b, i, j, label] += np.float32(1)
                    known += 1
            weight[b, i, j] = np.float32(known) / area
            if known:
                for k in range(scale.size):
                    targets[b, i, j, k] = targets[b, i, j, k] / np.float32(known) * scale[k]
