"""Class probabilities and losses.

The sums of a loss are copied to the host together with the check of the labels: one transfer.
"""

from __future__ import annotations

import cupy
import numpy as np

from lstm2d.kernels._cuda.launch import Array, contiguous, launch, launch_blocks

THREADS = 128
MAX_BLOCKS = 512  # whose sums the host adds: the same on each device, for the same bits


def softmax_forward(x: Array) -> Array:
    (x,) = contiguous(x)
    y = cupy.empty(x.shape, x.dtype)
    launch("softmax", "softmax_forward", _rows(x), x, y, x.shape[-1], np.int64(_rows(x)))
    return y


def softmax_backward(y: Array, grad_y: Array) -> Array:
    y, grad_y = contiguous(y, grad_y)
    grad_x = cupy.empty(y.shape, y.dtype)
    launch("softmax", "softmax_backward", _rows(y), y, grad_y, grad_x, y.shape[-1], np.int64(_rows(y)))
    return grad_x


def soft_cross_entropy_forward(scores: Array, targets: Array, weight: Array) -> tuple[float, Array]:
    scores, targets, weight = contiguous(scores, targets, weight)
    probability = cupy.empty(scores.shape, scores.dtype)
    (total,) = _sums("soft_cross_entropy_forward", 1, scores, targets, weight, probability)
    return total, probability


def soft_cross_entropy_backward(probability: Array, targets: Array, weight: Array, factor: float) -> Array:
    arrays = contiguous(probability, targets, weight)
    grad = cupy.empty(probability.shape, probability.dtype)
    rows, k = _rows(grad), grad.shape[-1]
    name = "soft_cross_entropy_backward"
    launch("softmax", name, rows, *arrays, grad, float(factor), k, np.int64(rows))
    return grad


def cross_entropy_forward(
    scores: Array, labels: Array, class_weights: Array, ignore_index: int, keep: bool
) -> tuple[float, float, Array | None]:
    scores, class_weights = contiguous(scores, class_weights)
    probability = cupy.empty(scores.shape, scores.dtype) if keep else None
    arrays = (scores, _numbers(labels), class_weights, probability)
    total, mass, bad = _sums("cross_entropy_forward", 3, *arrays, scalars=(ignore_index,))
    if bad:
        raise ValueError(f"labels hold a value outside [0, {scores.shape[-1]})")
    return total, mass, probability


def cross_entropy_backward(
    probability: Array, labels: Array, class_weights: Array, ignore_index: int, factor: float
) -> Array:
    probability, class_weights = contiguous(probability, class_weights)
    grad = cupy.empty(probability.shape, probability.dtype)
    arrays = (probability, _numbers(labels), class_weights, grad)
    scalars = (ignore_index, float(factor), grad.shape[-1], np.int64(grad.size))
    launch("softmax", "cross_entropy_backward", grad.size, *arrays, *scalars)
    return grad


def clip_normalise(x: Array) -> Array:
    (x,) = contiguous(x)
    y = cupy.empty(x.shape, x.dtype)
    launch("softmax", "clip_normalise", _rows(x), x, y, x.shape[-1], np.int64(_rows(x)))
    return y


def _rows(x: Array) -> int:
    return int(x.size // max(x.shape[-1], 1))


def _numbers(labels: Array) -> Array:
    return cupy.ascontiguousarray(labels.astype(np.int64, copy=False))


def _sums(name: str, count: int, scores: Array, *arrays: Array, scalars: tuple[int, ...] = ()) -> list[float]:
    """Return sums over all rows, added from the kernel's sums of each block."""
    rows = _rows(scores)
    blocks = min(-(-rows // THREADS), MAX_BLOCKS)
    sums = cupy.empty((blocks, count), np.float64)
    args = (scores, *arrays, sums, *scalars, scores.shape[-1], np.int64(rows))
    launch_blocks("softmax", name, blocks, THREADS, *args, shared=8 * THREADS)
    return [float(s) for s in sums.get().sum(axis=0)]
