"""3 x 3 convolutions with stride 1 as Winograd's F(4 x 4, 3 x 3), made of matrix products alone.

A tile of 4 x 4 results sees 6 x 6 pixels, `dilation` pixels apart. Both transforms of an axis are one matrix
(kernels/winograd.py), and their Kronecker product transforms a whole tile: with the 36 pixels of many tiles
as rows, a transform is one product, as are the channels at each of the 36 points. 36 multiplications take the
place of 144.

The transforms are linear, so a weight gradient is computed by their transposes: results and filters change
roles. It is summed in groups of blocks, and over these in order, so that it does not depend on the number of
threads.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from lstm2d.kernels import arena, winograd
from lstm2d.kernels._numba.activations import activate
from lstm2d.kernels._numba.blas import gemm, matmul
from lstm2d.kernels._numba.jit import kernel, part, row, spread, thread_of, threads_for
from lstm2d.kernels.arrays import FloatArray, IntArray, Pair
from lstm2d.kernels.blas import single_blas

RESULTS = 4  # of a tile on an axis
SIDE = RESULTS + winograd.TAPS - 1  # pixels of a tile on an axis, and its points
POINTS, TILE = SIDE * SIDE, RESULTS * RESULTS
GROUPS = 4
BLOCK = 224  # tiles per product: enough rows for BLAS, few enough that points of usual widths stay in a cache
PRODUCTS = 16  # multiplications that take as long as one value of a plain pass


class Geometry(NamedTuple):
    """Sizes of source and target, and the tiles of an image."""

    height: int
    width: int
    channels: int
    rows: int
    columns: int
    outputs: int
    padding: tuple[int, int]
    dilation: tuple[int, int]
    block: int  # tiles


class Matrices(NamedTuple):
    """The transforms of tiles, each the Kronecker product of those of two axes."""

    pixels: FloatArray  # (POINTS, POINTS): pixels to points
    results: FloatArray  # (TILE, POINTS): points to results
    taps: FloatArray  # (POINTS, 9): taps to points


@cache
def _matrices(dtype: DTypeLike) -> Matrices:
    """Return the transforms, each entry rounded once."""
    axis = (
        winograd.pixel_matrix(RESULTS, RESULTS),
        winograd.result_matrix(RESULTS),
        winograd.tap_matrix(RESULTS),
    )
    both = (np.kron(*2 * [np.array([[float(v) for v in line] for line in m])]) for m in axis)
    return Matrices(*(np.ascontiguousarray(m, dtype) for m in both))


def products(
    x: FloatArray,
    weight: FloatArray,
    bias: FloatArray | None,
    y: FloatArray,
    padding: Pair,
    dilation: Pair,
    activation: int,
) -> None:
    """Fill y with the convolution of x and weight (3, 3, in, out), plus bias, then the activation."""
    g, first, counts = _geometry(x, y, padding, dilation)
    m = _matrices(x.dtype)
    taps = np.ascontiguousarray(weight).reshape(winograd.TAPS**2, -1)
    points = m.taps @ taps
    tasks, work = _tasks(g, first, len(x))
    scratch = arena.empty((threads_for(tasks, work), _scratch(g)), x.dtype)
    arrays = x.reshape(len(x), -1), points.reshape(-1), bias, y.reshape(len(y), -1), activation
    transforms = m.pixels.reshape(-1), m.results.reshape(-1)
    with single_blas():
        spread(_products, tasks, work, gemm(x.dtype), g, first, counts, *transforms, *arrays, scratch)


def grad_weight(x: FloatArray, grad_y: FloatArray, padding: Pair, dilation: Pair) -> FloatArray:
    """Return the gradient of weight (3, 3, in, out)."""
    g, first, counts = _geometry(x, grad_y, padding, dilation)
    m = _matrices(x.dtype)
    tasks, work = _tasks(g, first, len(x))
    groups = min(GROUPS, tasks)
    sums = np.zeros((groups, POINTS * g.channels * g.outputs), x.dtype)
    scratch = arena.empty((threads_for(groups, tasks // groups * work), _scratch(g)), x.dtype)
    arrays = x.reshape(len(x), -1), grad_y.reshape(len(x), -1), sums, scratch
    transforms = m.pixels.reshape(-1), m.results.reshape(-1)
    with single_blas():
        spread(_sums, groups, tasks // groups * work, gemm(x.dtype), g, first, counts, *transforms, *arrays)
    for group in sums[1:]:
        sums[0] += group
    grad: FloatArray = m.taps.T @ sums[0].reshape(POINTS, -1)
    return grad.reshape(winograd.TAPS, winograd.TAPS, g.channels, g.outputs)


def _geometry(
    x: FloatArray, y: FloatArray, padding: Pair, dilation: Pair
) -> tuple[Geometry, IntArray, IntArray]:
    """Return the sizes, and for each tile of an image its first result and its rows and columns."""
    (_, h, w, channels), (_, rows, columns, outputs) = x.shape, y.shape
    down, across = (winograd.cut((rows, columns)[k], dilation[k], RESULTS) for k in (0, 1))
    first, counts = (
        np.stack(np.meshgrid(a, b, indexing="ij"), axis=-1).reshape(-1, 2)
        for a, b in ((down.first, across.first), (down.results, across.results))
    )
    block = min(BLOCK, len(first))
    return Geometry(h, w, channels, rows, columns, outputs, padding, dilation, block), first, counts


def _tasks(g: Geometry, first: IntArray, images: int) -> tuple[int, int]:
    """Return the number of blocks, and the work of each."""
    return images * -(-len(first) // g.block), g.block * POINTS * g.channels * (1 + g.outputs // PRODUCTS)


def _scratch(g: Geometry) -> int:
    largest = max(g.channels, g.outputs)
    return g.block * POINTS * (largest + g.channels + g.outputs)


@part
def _tile_points(gemm, g, first, start, n, transform, x, tiles, points):
    """Compute the points of n tiles of the source: (POINTS, n, channels)."""
    size = n * g.channels
    for t in range(n):
        top, left = first[start + t, 0] - g.padding[0], first[start + t, 1] - g.padding[1]
        for k in range(POINTS):
            i, j = top + k // SIDE * g.dilation[0], left + k % SIDE * g.dilation[1]
            to = row(tiles, k * size + t * g.channels, g.channels)
            if 0 <= i < g.height and 0 <= j < g.width:
                source = row(x, (i * g.width + j) * g.channels, g.channels)
                for c in range(to.size):
                    to[c] = source[c]
            else:
                to[:] = 0
    matmul(
        gemm,
        (False, False),
        (POINTS, size, POINTS),
        (transform, 0, POINTS),
        (tiles, 0, size),
        0,
        (points, 0, size),
    )


@part
def _result(g, first, counts, tile, k):
    """Return where result k of a tile lies in the target; -1 if the tile is cut there."""
    i, j = k // RESULTS, k % RESULTS
    if i >= counts[tile, 0] or j >= counts[tile, 1]:
        return -1
    row_, column = first[tile, 0] + i * g.dilation[0], first[tile, 1] + j * g.dilation[1]
    return (row_ * g.columns + column) * g.outputs


@kernel
def _products(gemm, g, first, counts, pixels, results, x, filters, bias, y, activation, scratch, begin, end):
    blocks = (len(first) + g.block - 1) // g.block
    thread = thread_of(begin, x.shape[0] * blocks, scratch.shape[0])
    largest = g.block * POINTS * max(g.channels, g.outputs)
    tiles, points = (
        scratch[thread, :largest],
        scratch[thread, largest : largest + g.block * POINTS * g.channels],
    )
    sums = scratch[thread, largest + g.block * POINTS * g.channels :]
    for task in range(begin, end):
        image, start = task // blocks, task % blocks * g.block
        n = min(g.block, len(first) - start)
        _tile_points(gemm, g, first, start, n, pixels, x[image], tiles, points)
        size = n * g.outputs
        for k in range(POINTS):
            factors = (
                (points, k * n * g.channels, g.channels),
                (filters, k * g.channels * g.outputs, g.outputs),
            )
            shape = (n, g.outputs, g.channels)
            matmul(gemm, (False, False), shape, factors[0], factors[1], 0, (sums, k * size, g.outputs))
        matmul(
            gemm,
            (False, False),
            (TILE, size, POINTS),
            (results, 0, POINTS),
            (sums, 0, size),
            0,
            (tiles, 0, size),
        )
        for t in range(n):
            for k in range(TILE):
                place = _result(g, first, counts, start + t, k)
                if place >= 0:
                    source, to = (
                        row(tiles, k * size + t * g.outputs, g.outputs),
                        row(y[image], place, g.outputs),
                    )
                    for c in range(to.size):
                        to[c] = source[c] if bias is None else source[c] + bias[c]
                    activate(to, activation)


@kernel
def _sums(gemm, g, first, counts, pixels, results, x, grad_y, sums, scratch, begin, end):
    blocks = (len(first) + g.block - 1) // g.block
    thread = thread_of(begin, sums.shape[0], scratch.shape[0])
    largest = g.block * POINTS * max(g.channels, g.outputs)
    tiles, points = (
        scratch[thread, :largest],
        scratch[thread, largest : largest + g.block * POINTS * g.channels],
    )
    grads = scratch[thread, largest + g.block * POINTS * g.channels :]
    for group in range(begin, end):
        for task in range(group, x.shape[0] * blocks, sums.shape[0]):
            image, start = task // blocks, task % blocks * g.block
            n = min(g.block, len(first) - start)
            _tile_points(gemm, g, first, start, n, pixels, x[image], tiles, points)
            size = n * g.outputs
            for t in range(n):
                for k in range(TILE):
                    place = _result(g, first, counts, start + t, k)
                    to = row(tiles, k * size + t * g.outputs, g.outputs)
                    if place < 0:
                        to[:] = 0
                    else:
                        source = row(grad_y[image], place, g.outputs)
                        for c in range(to.size):
                            to[c] = source[c]
            shape = (POINTS, size, TILE)
            matmul(gemm, (True, False), shape, (results, 0, POINTS), (tiles, 0, size), 0, (grads, 0, size))
            for k in range(POINTS):
                factors = (points, k * n * g.channels, g.channels), (grads, k * size, g.outputs)
                at = k * g.channels * g.outputs
                shape = (g.channels, g.outputs, n)
                matmul(gemm, (True, False), shape, factors[0], factors[1], 1, (sums[group], at, g.outputs))
