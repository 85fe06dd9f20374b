"""Convolution with filters of 3x3 and stride 1 as F(4x4, 3x3): 36 products for 16 results, instead of 144.

Transforms are kernels; the products of all 36 points are one batch of cuBLAS. Tiles are computed in blocks,
to bound the memory of their points. The matrices are those of kernels/winograd.py.
"""

from __future__ import annotations

from math import prod

import cupy
import numpy as np

from lstm2d.kernels._cuda.activation import KINDS
from lstm2d.kernels._cuda.launch import Array, launch, launch_blocks

Pair = tuple[int, int]
Shape = tuple[int, ...]
SIZE, POINTS, TAPS = 4, 36, 9  # results of a tile on an axis, points of a tile, taps of a filter
SCRATCH = 256 << 20  # bytes of the points of a block of tiles, at most, unless one tile needs more
VALUE = 32  # multiplications in the time of one value to or from memory: float32, from data sheets
TILES, CHANNELS, GAP = 8, 32, 9  # as in conv_winograd.cu
SEGMENT = 256  # tiles in the sums of one product, at least: with fewer, writing results takes longer
PRODUCTS = 1024  # of 64x64 results: enough to keep a GPU busy


def saves(x_shape: Shape, y_shape: Shape, dilation: Pair) -> bool:
    """Return whether tiles should take less time than products with copied patches.

    Estimated from the values that are read and written and from the multiplications. With few input channels,
    patches are small compared with the results; with few tiles, the points of the filters take most time.
    """
    n, c_in, c_out = x_shape[0], x_shape[3], y_shape[3]
    ends = prod(x_shape) + prod(y_shape)
    outputs = prod(y_shape[:3])
    points = POINTS * n * prod(_tile_grid(y_shape, dilation))
    moved = ends + 2 * points * (c_in + c_out) + (2 * POINTS + TAPS) * c_in * c_out
    moved_by_patches = ends + 2 * outputs * (TAPS * c_in + c_out) + TAPS * c_in * c_out
    multiplied, multiplied_by_patches = points * c_in * c_out, TAPS * outputs * c_in * c_out
    return VALUE * moved + multiplied < VALUE * moved_by_patches + multiplied_by_patches


def products(
    x: Array,
    weight: Array,
    bias: Array | None,
    y: Array,
    padding: Pair,
    dilation: Pair,
    activation: str | None,
    *,
    turned: bool,
) -> None:
    """Write the convolution of contiguous arrays into y.

    With `turned`, weight is (3, 3, C_out, C_in) and rotated by 180 degrees: the adjoint of a convolution.
    """
    c_in, c_out = x.shape[3], y.shape[3]
    n = c_in * c_out
    filters = cupy.empty((POINTS, c_in, c_out), x.dtype)
    launch("conv_winograd", "filter_points", n, weight, filters, c_in, c_out, int(turned), np.int64(n))
    grid = _tile_grid(y.shape, dilation)
    total = len(x) * prod(grid)
    size = _block_size(total, c_in + c_out, x.itemsize)
    pixels, results = (cupy.empty(POINTS * size * c, x.dtype) for c in (c_in, c_out))
    for first in range(0, total, size):
        count = min(size, total - first)
        points = pixels[: POINTS * count * c_in].reshape(POINTS, count, c_in)
        _pixel_points(x, points, grid, padding, dilation, first, total)
        sums = results[: POINTS * count * c_out].reshape(POINTS, count, c_out)
        cupy.matmul(points, filters, out=sums)
        sizes = (*y.shape[1:], *grid, *dilation, np.int64(first), np.int64(count * c_out))
        launch("conv_winograd", "results", count * c_out, sums, y, bias, KINDS[activation], *sizes)


def grad_weight(x: Array, grad_y: Array, padding: Pair, dilation: Pair) -> Array:
    """Return the gradient of weight: sums over tiles of the products of points, then one transform back.

    As in the forward pass, a quarter of the multiplications of patches and half of their memory. With few
    channels, products are few and long: tiles are cut into segments, whose products run in parallel.
    """
    c_in, c_out = x.shape[3], grad_y.shape[3]
    grad = cupy.empty((3, 3, c_in, c_out), x.dtype)
    grid = _tile_grid(grad_y.shape, dilation)
    total = len(x) * prod(grid)
    size = _block_size(total, c_in + c_out, x.itemsize)
    for first in range(0, total, size):
        _add_tiles(x, grad_y, grad, grid, padding, dilation, first, min(size, total - first))
    return grad


def _add_tiles(
    x: Array, grad_y: Array, grad: Array, grid: Pair, padding: Pair, dilation: Pair, first: int, count: int
) -> None:
    """Add the contributions of some tiles to the gradient; the first block of tiles sets it."""
    c_in, c_out = grad.shape[2:]
    segments, length = _segments(count, c_in, c_out)
    points = cupy.empty((POINTS * segments, length, c_in), x.dtype)
    _pixel_points(x, points, grid, padding, dilation, first, first + count)
    turned = cupy.empty((POINTS * segments, c_out, length), x.dtype)
    _grad_points(grad_y, turned, grid, dilation, segments, first, first + count)
    sums = cupy.matmul(turned, points)
    sizes = (segments, c_in, c_out, int(first > 0), np.int64(c_in * c_out))
    launch("conv_winograd", "filter_gradient", c_in * c_out, sums, grad, *sizes)


def _pixel_points(
    x: Array, points: Array, grid: Pair, padding: Pair, dilation: Pair, first: int, total: int
) -> None:
    n = points.size // POINTS
    ends = (np.int64(first), np.int64(total), np.int64(n))
    launch("conv_winograd", "pixel_points", n, x, points, *x.shape[1:], *grid, *padding, *dilation, *ends)


def _grad_points(
    grad_y: Array, points: Array, grid: Pair, dilation: Pair, segments: int, first: int, total: int
) -> None:
    _, channels, length = points.shape
    blocks = (segments * length // TILES, -(-channels // CHANNELS))
    sizes = (*grad_y.shape[1:], *grid, *dilation, segments, length, np.int64(first), np.int64(total))
    shared = 6 * CHANNELS * GAP * grad_y.itemsize
    launch_blocks(
        "conv_winograd", "grad_points", blocks, TILES * CHANNELS, grad_y, points, *sizes, shared=shared
    )


def _segments(tiles: int, c_in: int, c_out: int) -> Pair:
    """Return the number of segments of a number of tiles, and their length, a multiple of TILES."""
    products = POINTS * -(-c_in // 64) * -(-c_out // 64)
    segments = max(1, min(tiles // SEGMENT, PRODUCTS // products))
    return segments, -(-tiles // (segments * TILES)) * TILES


def _tile_grid(y_shape: Shape, dilation: Pair) -> Pair:
    """Return the rows and columns of tiles; a dilation cuts an axis into as many parts."""
    down, right = (d * -(-y_shape[k + 1] // (d * SIZE)) for k, d in enumerate(dilation))
    return down, right


def _block_size(total: int, channels: int, itemsize: int) -> int:
    return max(1, min(total, SCRATCH // (POINTS * channels * itemsize)))
