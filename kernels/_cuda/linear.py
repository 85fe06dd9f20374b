"""A matrix applied to each position, by cuBLAS.

All images are one product: on a GPU, the last bits of an image may depend on the number of images.
"""

from __future__ import annotations

import cupy
import numpy as np

from lstm2d.kernels._cuda.activation import finish
from lstm2d.kernels._cuda.launch import Array, contiguous, launch

GROUP = 128  # rows added by one thread: many threads and few passes


def linear_forward(x: Array, weight: Array, bias: Array | None, activation: str | None = None) -> Array:
    y = _product(x, weight)
    if bias is not None:
        bias = contiguous(y[:0], bias)[1]
    finish(y, bias, activation)
    return y


def linear_grad_x(grad_y: Array, weight: Array) -> Array:
    return _product(grad_y, weight.T)


def linear_grad_weight(x: Array, grad_y: Array) -> Array:
    """Compute one product over all positions of all images."""
    x, grad_y = contiguous(x, grad_y)
    return cupy.matmul(_rows(x).T, _rows(grad_y))


def linear_grad_bias(grad_y: Array) -> Array:
    """Sum groups of rows first, then groups of groups."""
    (sums,) = contiguous(_rows(grad_y))
    groups = 0
    while groups != 1:
        rows, channels = sums.shape
        groups = max(1, -(-rows // GROUP))
        added = cupy.empty((groups, channels), np.float64)
        n = added.size
        launch("linear", "sum_rows", n, sums, added, np.int64(rows), channels, GROUP, np.int64(n))
        sums = added
    return sums.reshape(sums.size).astype(grad_y.dtype)


def _product(x: Array, weight: Array) -> Array:
    """Multiply the last axis; a transposed weight is not copied."""
    x = contiguous(x, weight[:0])[0]
    y = cupy.empty((*x.shape[:-1], weight.shape[1]), x.dtype)
    cupy.matmul(_rows(x), weight, out=_rows(y))
    return y


def _rows(x: Array) -> Array:
    """Return all positions as rows of one matrix, also without channels, where -1 would fail."""
    n, positions, channels = x.shape
    return x.reshape(n * positions, channels)
