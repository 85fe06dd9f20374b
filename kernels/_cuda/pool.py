"""Maximum and average over windows of pixels.

Each pixel collects its gradient from the windows around it, so that no two threads add to one value.
"""

from __future__ import annotations

import cupy
import numpy as np

from lstm2d.kernels._cuda.launch import Array, contiguous, launch

Pair = tuple[int, int]


def max_pool2d_forward(
    x: Array, size: Pair, stride: Pair, padding: Pair, dilation: Pair, keep: bool
) -> tuple[Array, Array | None]:
    (x,) = contiguous(x)
    grid = _grid(x.shape, size, stride, padding, dilation)
    y = cupy.empty((x.shape[0], *grid, x.shape[3]), x.dtype)
    small = large = None
    if keep and size[0] * size[1] <= 256:
        small = cupy.empty(y.shape, np.uint8)
    elif keep:
        large = cupy.empty(y.shape, np.intc)
    geometry = (*x.shape[1:], *grid, *size, *stride, *padding, *dilation)
    launch("pool", "max_forward", y.size, x, y, small, large, *geometry, np.int64(y.size))
    return y, large if small is None else small


def max_pool2d_backward(
    grad_y: Array,
    winner: Array,
    shape: tuple[int, ...],
    size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
) -> Array:
    return _backward(grad_y, winner, shape, size, stride, padding, dilation)


def avg_pool2d_forward(x: Array, size: Pair, stride: Pair, padding: Pair) -> Array:
    (x,) = contiguous(x)
    grid = _grid(x.shape, size, stride, padding)
    y = cupy.empty((x.shape[0], *grid, x.shape[3]), x.dtype)
    geometry = (*x.shape[1:], *grid, *size, *stride, *padding)
    launch("pool", "mean_forward", y.size, x, y, float(size[0] * size[1]), *geometry, np.int64(y.size))
    return y


def avg_pool2d_backward(
    grad_y: Array, shape: tuple[int, ...], size: Pair, stride: Pair, padding: Pair
) -> Array:
    return _backward(grad_y, None, shape, size, stride, padding, (1, 1))


def _backward(
    grad_y: Array,
    winner: Array | None,
    shape: tuple[int, ...],
    size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
) -> Array:
    (grad_y,) = contiguous(grad_y)
    grad_x = cupy.empty(shape, grad_y.dtype)
    small = large = None
    area = 1.0
    if winner is None:
        area = float(size[0] * size[1])
    elif winner.dtype == np.uint8:
        small = cupy.ascontiguousarray(winner)
    else:
        large = cupy.ascontiguousarray(winner)
    geometry = (*shape[1:], *grad_y.shape[1:3], *size, *stride, *padding, *dilation)
    n = grad_x.size
    launch("pool", "backward", n, grad_y, small, large, grad_x, area, *geometry, np.int64(n))
    return grad_x


def _grid(shape: tuple[int, ...], size: Pair, stride: Pair, padding: Pair, dilation: Pair = (1, 1)) -> Pair:
    """Return the rows and columns of windows."""
    rows, columns = (
        (shape[1 + a] + 2 * padding[a] - dilation[a] * (size[a] - 1) - 1) // stride[a] + 1 for a in range(2)
    )
    return rows, columns
