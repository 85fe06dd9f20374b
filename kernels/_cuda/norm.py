"""Sums over positions and over neighbouring channels."""

from __future__ import annotations

import cupy
import numpy as np

from lstm2d.kernels._cuda.launch import Array, contiguous, launch, launch_blocks

THREADS = 128
CHUNK, MAX_CHUNKS = 64, 4096  # rows added by one thread, unless there are too many such sums
RUN = 16384  # values of an image added by one block


def channel_moments(x: Array) -> tuple[Array, Array]:
    (x,) = contiguous(x)
    count = max(x.shape[0] * x.shape[1], 1)
    mean = _channel_sums("channel_sums", x)[0] / count
    return mean, _channel_sums("channel_squares", x, mean)[0] / count


def channel_products(x: Array, y: Array, mean: Array) -> tuple[Array, Array]:
    x, y, mean = contiguous(x, y, mean)
    total, product = _channel_sums("channel_products", x, y, mean, results=2)
    return total, product


def channel_affine(x: Array, mean: Array, factor: Array, shift: Array) -> Array:
    return _each("channel_affine", x, mean, factor, shift)


def channel_combine(x: Array, y: Array, mean: Array, by_x: Array, by_y: Array, shift: Array) -> Array:
    return _each("channel_combine", x, y, mean, by_x, by_y, shift)


def image_products(x: Array, y: Array) -> Array:
    x, y = contiguous(x, y)
    images = x.shape[0]
    n = x.size // max(images, 1)
    sums = cupy.empty((images, -(-n // RUN)), np.float64)
    grid, threads = (sums.shape[1], images), 2 * THREADS
    scalars = (np.int64(RUN), np.int64(n))
    launch_blocks("norm", "image_products", grid, threads, x, y, sums, *scalars, shared=8 * threads)
    return sums.sum(axis=1)


def response_norm_forward(x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
    (x,) = contiguous(x)
    y = cupy.empty(x.shape, x.dtype)
    scalars = (size, float(alpha / size), float(beta), float(k), x.shape[-1], np.int64(x.size))
    launch("norm", "response_norm_forward", x.size, x, y, *scalars)
    return y


def response_norm_backward(x: Array, grad_y: Array, size: int, alpha: float, beta: float, k: float) -> Array:
    x, grad_y = contiguous(x, grad_y)
    inner, outer, grad_x = (cupy.empty(x.shape, x.dtype) for _ in range(3))
    shape = (x.shape[-1], np.int64(x.size))
    scalars = (size, float(alpha / size), float(beta))
    launch("norm", "response_norm_parts", x.size, x, grad_y, inner, outer, *scalars, float(k), *shape)
    launch("norm", "response_norm_backward", x.size, x, inner, outer, grad_x, *scalars, *shape)
    return grad_x


def _each(name: str, *arrays: Array) -> Array:
    arrays = contiguous(*arrays)
    out = cupy.empty(arrays[0].shape, arrays[0].dtype)
    launch("norm", name, out.size, *arrays, out, out.shape[-1], np.int64(out.size))
    return out


def _channel_sums(name: str, x: Array, *arrays: Array, results: int = 1) -> Array:
    """Return (results, channels): the kernel's sums of each chunk of rows, added in order."""
    rows, channels = x.shape[0] * x.shape[1], x.shape[2]
    chunk = max(CHUNK, -(-rows // MAX_CHUNKS))
    sums = cupy.empty((results, -(-rows // chunk), channels), np.float64)
    threads = min(THREADS, -(-max(channels, 1) // 32) * 32)
    grid = (sums.shape[1], -(-channels // threads))
    launch_blocks("norm", name, grid, threads, x, *arrays, sums, np.int64(chunk), np.int64(rows), channels)
    return sums.sum(axis=1)
