"""Maximum and average over windows of pixels, one place of the windows at a time.

The windows of output row r start at row r * stride - padding of the image, and their rows are `dilation` rows
apart; columns likewise. Windows that do not fit into the padded image are dropped.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lstm2d.kernels.arrays import FloatArray, IntArray, Pair

Slices = tuple[slice, slice, slice]  # images, rows, columns


def max_pool2d_forward(
    x: FloatArray, size: Pair, stride: Pair, padding: Pair, dilation: Pair, keep: bool
) -> tuple[FloatArray, IntArray | None]:
    """Return the maximum of each window and, with `keep`, its place: row * size[1] + column.

    Padding is never the maximum; a window of nothing else gives -inf. Ties go to the first place, several NaN
    to the last one.
    """
    y = np.full(_shape(x.shape, size, stride, padding, dilation), -np.inf, x.dtype)
    winner = np.full(y.shape, -1, np.intc)
    for k, windows, pixels in _places(x.shape, size, stride, padding, dilation):
        value = x[pixels]
        wins = (value > y[windows]) | np.isnan(value) | (winner[windows] < 0)
        y[windows] = np.where(wins, value, y[windows])
        winner[windows] = np.where(wins, k, winner[windows])
    small = winner.astype(np.uint8) if size[0] * size[1] <= 256 else winner
    return y, small if keep else None


def max_pool2d_backward(
    grad_y: FloatArray,
    winner: IntArray,
    shape: tuple[int, ...],
    size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
) -> FloatArray:
    """Return the gradient of x: each maximum has that of its windows."""
    grad_x = np.zeros(shape, grad_y.dtype)
    for k, windows, pixels in _places(shape, size, stride, padding, dilation):
        grad_x[pixels] += np.where(winner[windows] == k, grad_y[windows], 0)
    return grad_x


def avg_pool2d_forward(x: FloatArray, size: Pair, stride: Pair, padding: Pair) -> FloatArray:
    """Return the mean of each window; padding counts as zeros."""
    y = np.zeros(_shape(x.shape, size, stride, padding), x.dtype)
    for _, windows, pixels in _places(x.shape, size, stride, padding):
        y[windows] += x[pixels]
    return y / x.dtype.type(size[0] * size[1])


def avg_pool2d_backward(
    grad_y: FloatArray, shape: tuple[int, ...], size: Pair, stride: Pair, padding: Pair
) -> FloatArray:
    """Return the gradient of x: each pixel has its share of the gradients of its windows."""
    grad_x = np.zeros(shape, grad_y.dtype)
    for _, windows, pixels in _places(shape, size, stride, padding):
        grad_x[pixels] += grad_y[windows]
    return grad_x / grad_y.dtype.type(size[0] * size[1])


def _shape(
    shape: tuple[int, ...], size: Pair, stride: Pair, padding: Pair, dilation: Pair = (1, 1)
) -> tuple[int, ...]:
    rows, columns = (
        (shape[1 + a] + 2 * padding[a] - dilation[a] * (size[a] - 1) - 1) // stride[a] + 1 for a in range(2)
    )
    return shape[0], rows, columns, shape[3]


def _places(
    shape: tuple[int, ...], size: Pair, stride: Pair, padding: Pair, dilation: Pair = (1, 1)
) -> Iterator[tuple[int, Slices, Slices]]:
    """Yield each place of a window, the windows that have it inside the image, and its pixels there."""
    counts = _shape(shape, size, stride, padding, dilation)[1:3]
    for k, place in enumerate(np.ndindex(*size)):
        windows, pixels = [slice(None)], [slice(None)]
        for axis in range(2):
            offset = dilation[axis] * place[axis] - padding[axis]  # of this place in the first window
            low = max(0, -(offset // stride[axis]))
            high = min(counts[axis], (shape[1 + axis] - 1 - offset) // stride[axis] + 1)
            high = max(low, high)
            start = low * stride[axis] + offset
            windows.append(slice(low, high))
            pixels.append(slice(start, start + (high - low) * stride[axis], stride[axis]))
        yield k, (windows[0], windows[1], windows[2]), (pixels[0], pixels[1], pixels[2])
