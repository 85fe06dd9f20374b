"""Convolution as products of cuBLAS.

A 1x1 filter is a linear layer. Filters of 3x3 with stride 1 use Winograd's method (conv_winograd.py) where it
should take less time. All others are products with patches of the image, copied next to each other for a
block of outputs at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd, prod
from typing import NamedTuple

import cupy
import numpy as np

from lstm2d.kernels._cuda import conv_winograd, linear
from lstm2d.kernels._cuda.activation import KINDS, finish, operands
from lstm2d.kernels._cuda.launch import Array, contiguous, launch, launch_blocks

Pair = tuple[int, int]
Shape = tuple[int, ...]
SCRATCH = 256 << 20  # bytes of the copied patches, at most, unless one output needs more
PLACES = 32  # outputs whose patches a block copies, with the same index computations
WARP, THREADS = 32, 256


class Geometry(NamedTuple):
    """The pixels of an output; all pairs are for rows and columns."""

    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair


def conv2d_forward(
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    activation: str | None = None,
) -> Array:
    x, weight, bias = operands(x, weight, bias)
    n, h, w, c_in = x.shape
    kernel, c_out = weight.shape[:2], weight.shape[3]
    if _is_linear(kernel, stride, padding):
        y = linear.linear_forward(x.reshape(n, h * w, c_in), weight[0, 0], bias, activation)
        return y.reshape(n, h, w, c_out)
    size = [
        (x.shape[k + 1] + 2 * padding[k] - dilation[k] * (kernel[k] - 1) - 1) // stride[k] + 1 for k in (0, 1)
    ]
    y = cupy.empty((n, *size, c_out), x.dtype)
    if _is_winograd(kernel, x.shape, y.shape, stride, dilation):
        conv_winograd.products(x, weight, bias, y, padding, dilation, activation, turned=False)
        return y
    flat, matrix = y.reshape(prod(y.shape[:3]), c_out), weight.reshape(prod(weight.shape[:3]), c_out)
    for first, values in _blocks(x, kernel, y.shape):
        _copy_patches(x, values, Geometry(kernel, stride, padding, dilation), y.shape, first)
        cupy.matmul(values, matrix, out=flat[first : first + len(values)])
    finish(y, bias, activation)
    return y


def conv2d_adjoint(
    grad_y: Array,
    weight: Array,
    bias: Array | None,
    size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    activation: str | None = None,
) -> Array:
    grad_y, weight, bias = operands(grad_y, weight, bias)
    n, rows, columns, c_out = grad_y.shape
    kernel, c_in = weight.shape[:2], weight.shape[2]
    if _is_linear(kernel, stride, padding):
        flat = grad_y.reshape(n, rows * columns, c_out)
        return linear.linear_forward(flat, weight[0, 0].T, bias, activation).reshape(n, *size, c_in)
    shape = (n, *size, c_in)
    if _is_winograd(kernel, grad_y.shape, shape, stride, dilation):
        grad_x = cupy.empty(shape, grad_y.dtype)
        outside = (2 * dilation[0] - padding[0], 2 * dilation[1] - padding[1])
        conv_winograd.products(grad_y, weight, bias, grad_x, outside, dilation, activation, turned=True)
        return grad_x
    return _adjoint(grad_y, weight, bias, shape, Geometry(kernel, stride, padding, dilation), activation)


def conv2d_grad_weight(
    x: Array, grad_y: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> Array:
    x, grad_y = contiguous(x, grad_y)
    n, h, w, c_in = x.shape
    shape = grad_y.shape
    if _is_linear(kernel, stride, padding):
        flat = linear.linear_grad_weight(x.reshape(n, h * w, c_in), grad_y.reshape(n, h * w, shape[3]))
        return flat.reshape(*kernel, c_in, shape[3])
    if _is_winograd(kernel, x.shape, shape, stride, dilation):
        return conv_winograd.grad_weight(x, grad_y, padding, dilation)
    flat = grad_y.reshape(prod(shape[:3]), shape[3])
    grad = cupy.zeros((prod(kernel) * c_in, shape[3]), x.dtype)
    for first, values in _blocks(x, kernel, shape):
        _copy_patches(x, values, Geometry(kernel, stride, padding, dilation), shape, first)
        grad += cupy.matmul(values.T, flat[first : first + len(values)])
    return grad.reshape(*kernel, c_in, shape[3])


def _adjoint(
    grad_y: Array,
    weight: Array,
    bias: Array | None,
    shape: Shape,
    geometry: Geometry,
    activation: str | None,
) -> Array:
    """Return the adjoint: products give patches, from which each pixel collects its sum."""
    if not grad_y.size:
        grad_x = cupy.zeros(shape, grad_y.dtype)
        finish(grad_x, bias, activation)
        return grad_x
    c_out = grad_y.shape[3]
    flat, matrix = grad_y.reshape(grad_y.size // c_out, c_out), weight.reshape(-1, c_out).T
    grad_x = cupy.empty(shape, grad_y.dtype)
    lines = (0, shape[0] * shape[1])
    for first, values in _blocks(grad_x, geometry.kernel, grad_y.shape):
        cupy.matmul(flat[first : first + len(values)], matrix, out=values)
        if len(values) == len(flat):
            _collect(values, grad_x, bias, activation, geometry, grad_y.shape, first, lines, more=False)
            return grad_x
        if first == 0:
            grad_x.fill(0)
        lines = _lines_seen(geometry, shape, grad_y.shape, first, first + len(values))
        _collect(values, grad_x, None, None, geometry, grad_y.shape, first, lines, more=True)
    finish(grad_x, bias, activation)
    return grad_x


def _is_linear(kernel: Pair, stride: Pair, padding: Pair) -> bool:
    return kernel == stride == (1, 1) and padding == (0, 0)


def _is_winograd(kernel: Pair, x_shape: Shape, y_shape: Shape, stride: Pair, dilation: Pair) -> bool:
    return (
        kernel == (3, 3)
        and stride == (1, 1)
        and prod(x_shape) > 0
        and prod(y_shape) > 0
        and conv_winograd.saves(x_shape, y_shape, dilation)
    )


def _blocks(x: Array, kernel: Pair, outputs: Shape) -> Iterator[tuple[int, Array]]:
    """Yield the first output of each block, and memory for the patches of its outputs, one per row."""
    count, length = prod(outputs[:3]), prod(kernel) * x.shape[3]
    capacity = max(1, min(count, SCRATCH // max(1, length * x.itemsize)))
    memory = cupy.empty((capacity, length), x.dtype)
    for first in range(0, count, capacity):
        yield first, memory[: count - first]


def _copy_patches(x: Array, values: Array, geometry: Geometry, outputs: Shape, first: int) -> None:
    """Copy the patches of the outputs from `first` on into the rows of `values`."""
    count, length = values.shape
    threads = min(THREADS, -(-length // WARP) * WARP)
    blocks = (-(-count // PLACES), -(-length // threads) if length else 0)
    kernel, stride, padding, dilation = geometry
    sizes = (*x.shape[1:], *outputs[1:3], kernel[1], *stride, *padding, *dilation, length, PLACES)
    launch_blocks("conv", "patches", blocks, threads, x, values, *sizes, np.int64(first), np.int64(count))


def _collect(
    values: Array,
    grad_x: Array,
    bias: Array | None,
    activation: str | None,
    geometry: Geometry,
    outputs: Shape,
    first: int,
    lines: Pair,
    *,
    more: bool,
) -> None:
    """Add patches of the outputs from `first` on, the rows of `values`, to a range of pixel lines."""
    kernel, stride, padding, dilation = geometry
    common = [gcd(s, d) for s, d in zip(stride, dilation, strict=True)]
    inverse = [pow(d // g, -1, s // g) for s, d, g in zip(stride, dilation, common, strict=True)]
    sizes = (*grad_x.shape[1:], *outputs[1:3], *kernel, *stride, *padding, *dilation, *common, *inverse)
    n = (lines[1] - lines[0]) * prod(grad_x.shape[2:])
    ends = (np.int64(first), np.int64(first + len(values)), np.int64(lines[0]), np.int64(n))
    launch("conv", "collect", n, values, grad_x, bias, KINDS[activation], int(more), *sizes, *ends)


def _lines_seen(geometry: Geometry, shape: Shape, outputs: Shape, first: int, last: int) -> Pair:
    """Return the first line of pixels of the outputs `first` to ``last - 1``, and the line after the last."""
    rows, columns = outputs[1:3]

    def line(output: int, tap: int) -> int:
        image, row = divmod(output // columns, rows)
        pixel = row * geometry.stride[0] - geometry.padding[0] + tap * geometry.dilation[0]
        return image * shape[1] + min(max(pixel, 0), shape[1] - 1)

    return line(first, 0), line(last - 1, geometry.kernel[0] - 1) + 1
