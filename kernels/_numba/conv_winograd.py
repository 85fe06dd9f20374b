"""Convolutions with stride 1 as Winograd's F(4 x 4, 3 x 3) and F(4 x 4, 4 x 4).

36 multiplications take the place of 144; 49 that of 256. At each of the points the channels of many tiles are
one matrix product.

The transforms are linear, so a weight gradient is computed by their transposes: results and filters change
roles. It is summed in groups of blocks, and over these in order, so that it does not depend on the number of
threads.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lstm2d.kernels._numba import conv_tiles
from lstm2d.kernels._numba.activations import activate
from lstm2d.kernels._numba.blas import NN, TN, gemm, matmul
from lstm2d.kernels._numba.conv_tiles import RESULTS, Method, Tiles
from lstm2d.kernels._numba.conv_transforms import transform, transforms
from lstm2d.kernels._numba.jit import kernel, part, row, spread
from lstm2d.kernels.arrays import FloatArray, Pair
from lstm2d.kernels.blas import single_blas

TILE = RESULTS * RESULTS
GROUPS = 4
CHUNK = 1 << 16  # values that are transformed at once: they stay in the cache
SHORT = 8  # values
PRODUCTS = 16  # multiplications that take as long as one value of a plain pass


class Geometry(NamedTuple):
    """Sizes of source and target, and the parts of a thread's memory, in values."""

    height: int
    width: int
    channels: int
    columns: int
    outputs: int
    dilation: tuple[int, int]
    side: int  # pixels of a tile on an axis
    down: int  # blocks of taps
    across: int
    source_chunk: int  # tiles that are transformed at once
    result_chunk: int
    values: int  # pixels of the tiles of a chunk, or results
    points: int  # of the source
    sums: int  # points of the results


def products(
    x: FloatArray,
    weight: FloatArray,
    bias: FloatArray | None,
    y: FloatArray,
    padding: Pair,
    dilation: Pair,
    activation: int,
) -> None:
    """Fill y with the convolution of x and weight (kh, kw, in, out), plus bias, then the activation."""
    method = conv_tiles.method(weight.shape[:2])
    tiles = conv_tiles.tiles(y.shape[1:3], x.shape[3] + y.shape[3], method, padding, dilation)
    g, m = _geometry(x, y, method, tiles, dilation), transforms(method.taps, x.dtype)
    points = m.taps @ _blocks(weight, method).reshape(method.taps**2, -1)
    tasks, work = _tasks(g, tiles, len(x))
    arrays = x.reshape(len(x), -1), points.reshape(-1), bias, y.reshape(len(y), -1), activation
    scratch = _scratch(g, tiles), x.dtype
    with single_blas():
        spread(_products, tasks, work, gemm(x.dtype), g, tiles, m.pixels, m.results, *arrays, scratch=scratch)


def grad_weight(x: FloatArray, grad_y: FloatArray, kernel: Pair, padding: Pair, dilation: Pair) -> FloatArray:
    """Return the gradient of weight (kh, kw, in, out)."""
    method = conv_tiles.method(kernel)
    channels = x.shape[3] + grad_y.shape[3]
    tiles = conv_tiles.tiles(grad_y.shape[1:3], channels, method, padding, dilation)
    g, m = _geometry(x, grad_y, method, tiles, dilation), transforms(method.taps, x.dtype)
    tasks, work = _tasks(g, tiles, len(x))
    groups = min(GROUPS, tasks)
    sums = np.zeros((groups, len(m.taps) * g.down * g.across * g.channels * g.outputs), x.dtype)
    work = tasks // groups * work
    arrays = x.reshape(len(x), -1), grad_y.reshape(len(x), -1), sums
    scratch = _scratch(g, tiles), x.dtype
    with single_blas():
        spread(_sums, groups, work, gemm(x.dtype), g, tiles, m.pixels, m.grads, *arrays, scratch=scratch)
    for group in sums[1:]:
        sums[0] += group
    grad = (m.taps.T @ sums[0].reshape(len(m.taps), -1)).reshape(
        method.taps, method.taps, g.down, g.across, g.channels, g.outputs
    )
    whole = grad.transpose(2, 0, 3, 1, 4, 5).reshape(
        g.down * method.taps, g.across * method.taps, g.channels, g.outputs
    )
    return np.ascontiguousarray(whole[: kernel[0], : kernel[1]])


def _blocks(weight: FloatArray, method: Method) -> FloatArray:
    """Return the taps (taps, taps, down, across, in, out) of the blocks of filters, zeros beyond the last."""
    (kh, kw, channels, outputs), taps = weight.shape, method.taps
    whole = np.zeros((method.down * taps, method.across * taps, channels, outputs), weight.dtype)
    whole[:kh, :kw] = weight
    cut = whole.reshape(method.down, taps, method.across, taps, channels, outputs)
    return np.ascontiguousarray(cut.transpose(1, 3, 0, 2, 4, 5))


def _geometry(x: FloatArray, y: FloatArray, method: Method, tiles: Tiles, dilation: Pair) -> Geometry:
    (_, h, w, channels), (columns, outputs) = x.shape, y.shape[2:]
    own, seen = (int(np.diff(begin).max()) for begin in (tiles.begin, tiles.seen_begin))
    points = method.side**2
    of_source, of_results = (max(1, CHUNK // (points * size)) for size in (channels, outputs))
    values = points * max(of_source * channels, of_results * outputs)
    return Geometry(
        *(h, w, channels, columns, outputs, (int(dilation[0]), int(dilation[1]))),
        *(method.side, method.down, method.across, of_source, of_results, values),
        *(points * seen * channels, points * own * outputs),
    )


def _tasks(g: Geometry, tiles: Tiles, images: int) -> tuple[int, int]:
    """Return the number of blocks, and the work of each."""
    blocks = len(tiles.begin) - 1
    return images * blocks, g.points * (1 + g.down * g.across * g.outputs // PRODUCTS)


def _scratch(g: Geometry, tiles: Tiles) -> int:
    windows = int(np.diff(tiles.begin).max()) * g.down * g.across * g.channels
    return 2 * g.values + g.points + g.sums + g.result_chunk * g.outputs + windows


@part
def _memory(g, scratch):
    """Return a thread's memory for a chunk, twice, for points of the source and of results, bias, windows."""
    values, between = row(scratch, 0, g.values), row(scratch, g.values, g.values)
    points, sums = row(scratch, 2 * g.values, g.points), row(scratch, 2 * g.values + g.points, g.sums)
    end, biases = 2 * g.values + g.points + g.sums, g.result_chunk * g.outputs
    return values, between, points, sums, row(scratch, end, biases), scratch[end + biases :]


@part
def _source_points(g, tiles, block, pixels, x, values, between, points):
    """Compute the points of the source for a block: (points, tiles that are seen, channels)."""
    begin = tiles.seen_begin[block]
    n = tiles.seen_begin[block + 1] - begin
    for start in range(0, n, g.source_chunk):
        count = min(g.source_chunk, n - start)
        lanes = count * g.channels
        for t in range(count):
            top, left = tiles.seen[begin + start + t, 0], tiles.seen[begin + start + t, 1]
            for k in range(g.side * g.side):
                i, j = top + k // g.side * g.dilation[0], left + k % g.side * g.dilation[1]
                to = k * lanes + t * g.channels
                if 0 <= i < g.height and 0 <= j < g.width:
                    _copy(x, (i * g.width + j) * g.channels, values, to, g.channels)
                else:
                    for c in range(to, to + g.channels):
                        values[c] = 0
        place = start * g.channels
        transform(pixels, g.side, values, 0, lanes, between, points, place, n * g.channels, lanes)


@part
def _copy(source, first, target, at, n):
    """Copy n values; to make arrays of a few takes longer than to copy them one by one."""
    if n < SHORT:
        for k in range(n):
            target[at + k] = source[first + k]
    else:
        a, b = row(source, first, n), row(target, at, n)
        for k in range(n):
            b[k] = a[k]


@part
def _windows(g, tiles, block, k, points, windows):
    """Return at point k what tiles see through all blocks of taps: (tiles, blocks, channels)."""
    first, n = tiles.begin[block], tiles.begin[block + 1] - tiles.begin[block]
    seen = tiles.seen_begin[block + 1] - tiles.seen_begin[block]
    if g.down * g.across == 1:
        return row(points, k * n * g.channels, n * g.channels)
    line, t = g.across * g.channels, 0
    inner = g.down * line
    while t < n:  # a run of neighbours
        pitch = tiles.pitch[first + t]
        run = pitch - g.across + 1
        for a in range(g.down):
            source = (k * seen + tiles.window[first + t] + a * pitch) * g.channels
            to = t * inner + a * line
            for u in range(run):
                _copy(points, source + u * g.channels, windows, to + u * inner, line)
        t += run
    return row(windows, 0, n * inner)


@part
def _products_of(gemm, g, tiles, block, points, filters, windows, sums):
    """Compute the points of a block's results: (points, tiles, outputs)."""
    inner, n = g.down * g.across * g.channels, tiles.begin[block + 1] - tiles.begin[block]
    size, shape = n * g.outputs, (n, g.outputs, inner)
    for k in range(g.side * g.side):
        seen = _windows(g, tiles, block, k, points, windows), 0, inner
        matrix = filters, k * inner * g.outputs, g.outputs
        matmul(gemm, NN, shape, seen, matrix, 0, (sums, k * size, g.outputs))


@part
def _copy_results(g, tiles, tile, count, values, image, back):
    """Copy the results of tiles in `values` to the image, or back, where a result beyond the edge is 0."""
    for t in range(count):
        rows, columns = tiles.counts[tile + t, 0], tiles.counts[tile + t, 1]
        first = tiles.first[tile + t, 0] * g.columns + tiles.first[tile + t, 1]
        for k in range(TILE):
            i, j = k // RESULTS, k % RESULTS
            here = row(values, (k * count + t) * g.outputs, g.outputs)
            if i < rows and j < columns:
                place = first + i * g.dilation[0] * g.columns + j * g.dilation[1]
                there = row(image, place * g.outputs, g.outputs)
                if back:
                    for c in range(here.size):
                        here[c] = there[c]
                else:
                    for c in range(there.size):
                        there[c] = here[c]
            elif back:
                for c in range(here.size):
                    here[c] = 0


@part
def _add_bias(values, biases):
    for first in range(0, values.size, biases.size):
        to = row(values, first, biases.size)
        for k in range(to.size):
            to[k] += biases[k]


@kernel
def _products(gemm, g, tiles, pixels, results, x, filters, bias, y, activation, scratch, begin, end):
    blocks = len(tiles.begin) - 1
    values, between, points, sums, biases, beside = _memory(g, scratch)
    if bias is not None:
        for k in range(biases.size):
            biases[k] = bias[k % g.outputs]
    for task in range(begin, end):
        image, block = y[task // blocks], task % blocks
        first, n = tiles.begin[block], tiles.begin[block + 1] - tiles.begin[block]
        _source_points(g, tiles, block, pixels, x[task // blocks], values, between, points)
        _products_of(gemm, g, tiles, block, points, filters, beside, sums)
        for start in range(0, n, g.result_chunk):
            count = min(g.result_chunk, n - start)
            lanes = count * g.outputs
            apart, place = n * g.outputs, start * g.outputs
            transform(results, g.side, sums, place, apart, between, values, 0, lanes, lanes)
            found = row(values, 0, TILE * lanes)
            if bias is not None:
                _add_bias(found, row(biases, 0, lanes))
            activate(found, activation)
            _copy_results(g, tiles, first + start, count, values, image, False)


@part
def _grad_points(g, tiles, block, transposed, grad_y, values, between, grads):
    """Compute the points of the gradient of a block's results: (points, tiles, outputs)."""
    first, n = tiles.begin[block], tiles.begin[block + 1] - tiles.begin[block]
    for start in range(0, n, g.result_chunk):
        count = min(g.result_chunk, n - start)
        lanes = count * g.outputs
        _copy_results(g, tiles, first + start, count, values, grad_y, True)
        place = start * g.outputs
        transform(transposed, RESULTS, values, 0, lanes, between, grads, place, n * g.outputs, lanes)


@kernel
def _sums(gemm, g, tiles, pixels, transposed, x, grad_y, sums, scratch, begin, end):
    blocks, inner = len(tiles.begin) - 1, g.down * g.across * g.channels
    values, between, points, grads, _, beside = _memory(g, scratch)
    for group in range(begin, end):
        for task in range(group, x.shape[0] * blocks, sums.shape[0]):
            image, block = task // blocks, task % blocks
            n = tiles.begin[block + 1] - tiles.begin[block]
            _source_points(g, tiles, block, pixels, x[image], values, between, points)
            _grad_points(g, tiles, block, transposed, grad_y[image], values, between, grads)
            for k in range(g.side * g.side):
                windows = _windows(g, tiles, block, k, points, beside)
                factors = (windows, 0, inner), (grads, k * n * g.outputs, g.outputs)
                shape, at = (inner, g.outputs, n), k * inner * g.outputs
                matmul(gemm, TN, shape, factors[0], factors[1], 1, (sums[group], at, g.outputs))
