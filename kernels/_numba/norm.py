"""Sums over positions and over neighbouring channels; meaning: kernels/_reference/norm.py.

Every image is cut into blocks of positions. Each block has its own sums in float64, which are added block by
block and image by image afterwards: threads change no bit.
"""

from __future__ import annotations

import math

import numpy as np

from lstm2d.kernels import arena
from lstm2d.kernels._numba.jit import kernel, part, spread
from lstm2d.kernels.arrays import FloatArray, Sums
from lstm2d.kernels.checks import contiguous_floats

BLOCK = 256  # positions that have their own sums
RUN = 16384  # values of an image that have their own sum


def channel_moments(x: FloatArray) -> tuple[Sums, Sums]:
    (x,) = contiguous_floats(x)
    n, positions, channels = x.shape
    mean, square = np.zeros(channels), np.zeros(channels)
    if x.size:
        sums = _block_sums(x)
        spread(_sum_blocks, len(sums), BLOCK * channels, x, sums)
        mean = _added(sums) / (n * positions)
        spread(_square_blocks, len(sums), BLOCK * channels, x, mean, sums)
        square = _added(sums) / (n * positions)
    return mean, square


def channel_products(x: FloatArray, y: FloatArray, mean: FloatArray) -> tuple[Sums, Sums]:
    x, y, mean = contiguous_floats(x, y, mean)
    sums, products = _block_sums(x), _block_sums(x)
    if x.size:
        spread(_product_blocks, len(sums), BLOCK * x.shape[2], x, y, mean, sums, products)
    return _added(sums), _added(products)


def channel_affine(x: FloatArray, mean: FloatArray, factor: FloatArray, shift: FloatArray) -> FloatArray:
    x, mean, factor, shift = contiguous_floats(x, mean, factor, shift)
    out = arena.empty(x.shape, x.dtype)
    if x.size:
        spread(_affine, x.size // x.shape[2], x.shape[2], _rows(x), mean, factor, shift, _rows(out))
    return out


def channel_combine(
    x: FloatArray, y: FloatArray, mean: FloatArray, by_x: FloatArray, by_y: FloatArray, shift: FloatArray
) -> FloatArray:
    x, y, mean, by_x, by_y, shift = contiguous_floats(x, y, mean, by_x, by_y, shift)
    out = arena.empty(x.shape, x.dtype)
    if x.size:
        arrays = _rows(x), _rows(y), mean, by_x, by_y, shift, _rows(out)
        spread(_combine, x.size // x.shape[2], x.shape[2], *arrays)
    return out


def image_products(x: FloatArray, y: FloatArray) -> Sums:
    n = x.shape[0]
    x, y = contiguous_floats(x, y)
    if not x.size:
        return np.zeros(n)
    length = x.size // n
    runs = -(-length // RUN)
    sums = np.zeros((runs, n))
    spread(_product_runs, runs * n, RUN, x.reshape(n, length), y.reshape(n, length), sums)
    return _added(sums)


def response_norm_forward(x: FloatArray, size: int, alpha: float, beta: float, k: float) -> FloatArray:
    (x,) = contiguous_floats(x)
    y = arena.empty(x.shape, x.dtype)
    if x.size:
        spread(
            _response,
            x.size // x.shape[2],
            8 * x.shape[2],
            _rows(x),
            _rows(y),
            *_typed(x, size, alpha, beta, k),
        )
    return y


def response_norm_backward(
    x: FloatArray, grad_y: FloatArray, size: int, alpha: float, beta: float, k: float
) -> FloatArray:
    x, grad_y = contiguous_floats(x, grad_y)
    grad_x = arena.empty(x.shape, x.dtype)
    if x.size:
        arrays = _rows(x), _rows(grad_y), _rows(grad_x)
        spread(
            _response_grad, x.size // x.shape[2], 16 * x.shape[2], *arrays, *_typed(x, size, alpha, beta, k)
        )
    return grad_x


def _typed(x: FloatArray, size: int, alpha: float, beta: float, k: float) -> tuple[object, ...]:
    real = x.dtype.type
    return size, real(alpha / size), real(beta), real(k)


def _rows(array: FloatArray) -> FloatArray:
    return array.reshape(-1, array.shape[-1])


def _block_sums(x: FloatArray) -> Sums:
    n, positions, channels = x.shape
    return np.zeros((n * -(-positions // BLOCK), channels))


def _added(sums: Sums) -> Sums:
    """Return the sum over the rows, in their order."""
    total = np.zeros(sums.shape[1])
    for each in sums:
        total += each
    return total


@kernel
def _sum_blocks(x, sums, begin, end):
    blocks = (x.shape[1] + BLOCK - 1) // BLOCK
    for q in range(begin, end):
        first, total = q % blocks * BLOCK, sums[q]
        total[:] = 0
        for p in range(first, min(first + BLOCK, x.shape[1])):
            values = x[q // blocks, p]
            for c in range(total.size):
                total[c] += values[c]


@kernel
def _square_blocks(x, mean, sums, begin, end):
    blocks = (x.shape[1] + BLOCK - 1) // BLOCK
    for q in range(begin, end):
        first, total = q % blocks * BLOCK, sums[q]
        total[:] = 0
        for p in range(first, min(first + BLOCK, x.shape[1])):
            values = x[q // blocks, p]
            for c in range(total.size):
                total[c] += (values[c] - mean[c]) * (values[c] - mean[c])


@kernel
def _product_blocks(x, y, mean, sums, products, begin, end):
    blocks = (x.shape[1] + BLOCK - 1) // BLOCK
    for q in range(begin, end):
        first, total, product = q % blocks * BLOCK, sums[q], products[q]
        for p in range(first, min(first + BLOCK, x.shape[1])):
            values, others = x[q // blocks, p], y[q // blocks, p]
            for c in range(total.size):
                total[c] += others[c]
                product[c] += np.float64(values[c] - mean[c]) * np.float64(others[c])


@kernel
def _affine(x, mean, factor, shift, out, begin, end):
    for p in range(begin, end):
        values, result = x[p], out[p]
        for c in range(mean.size):
            result[c] = factor[c] * (values[c] - mean[c]) + shift[c]


@kernel
def _combine(x, y, mean, by_x, by_y, shift, out, begin, end):
    for p in range(begin, end):
        values, others, result = x[p], y[p], out[p]
        for c in range(mean.size):
            result[c] = by_x[c] * (values[c] - mean[c]) + by_y[c] * others[c] + shift[c]


@kernel
def _product_runs(x, y, sums, begin, end):
    n = sums.shape[1]
    for q in range(begin, end):
        first = q // n * RUN
        a, b = x[q % n, first : first + RUN], y[q % n, first : first + RUN]
        parts = np.zeros(16)  # added in order at the end: their loop vectorises
        for start in range(0, a.size, 16):
            u, v = a[start : start + 16], b[start : start + 16]
            for k in range(u.size):
                parts[k] += np.float64(u[k]) * np.float64(v[k])
        total = 0.0
        for k in range(16):
            total += parts[k]
        sums[q // n, q % n] = total


@part
def _base(x, squares, base, before, after, alpha, k):
    """Compute k + alpha * s for each channel, s the sum of the squares of the channels around it."""
    for c in range(x.size):
        squares[c] = x[c] * x[c]
    _window_sums(squares, base, before, after)
    for c in range(x.size):
        base[c] = k + alpha * base[c]


@part
def _window_sums(x, y, before, after):
    """Compute the sum of the channels c - before to c + after for each c, the same order of sums for each."""
    y[:] = 0
    for offset in range(-before, after + 1):
        low, high = max(0, -offset), min(y.size, y.size - offset)
        if high > low:
            target, source = y[low:high], x[low + offset : high + offset]
            for c in range(target.size):
                target[c] += source[c]


@kernel
def _response(x, y, size, alpha, beta, k, begin, end):
    base, squares = np.empty(x.shape[1], x.dtype), np.empty(x.shape[1], x.dtype)
    for p in range(begin, end):
        _base(x[p], squares, base, size // 2, (size - 1) // 2, alpha, k)
        for c in range(base.size):
            y[p, c] = x[p, c] * math.pow(base[c], -beta)


@kernel
def _response_grad(x, grad_y, grad_x, size, alpha, beta, k, begin, end):
    channels = x.shape[1]
    base, inner, around = (
        np.empty(channels, x.dtype),
        np.empty(channels, x.dtype),
        np.empty(channels, x.dtype),
    )
    powers, one, two = np.empty(channels, x.dtype), x.dtype.type(1), x.dtype.type(2)
    for p in range(begin, end):
        _base(x[p], inner, base, size // 2, (size - 1) // 2, alpha, k)
        for c in range(channels):
            powers[c] = math.pow(base[c], -beta)
            inner[c] = grad_y[p, c] * x[p, c] * math.pow(base[c], -beta - one)
        # channel c is in the windows of c - (size - 1) // 2 to c + size // 2
        _window_sums(inner, around, (size - 1) // 2, size // 2)
        for c in range(channels):
            grad_x[p, c] = grad_y[p, c] * powers[c] - two * alpha * beta * x[p, c] * around[c]
