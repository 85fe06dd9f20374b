"""Tiles of Winograd's convolutions, their blocks, and when they are worth it.

A tile of 4 x 4 results sees, through 3 x 3 taps, 6 x 6 pixels, `dilation` pixels apart. Larger filters are
cut into blocks of 4 x 4 taps, through which a tile sees 7 x 7 pixels. As tiles and blocks of taps are the
same number of pixels apart, what tile (i, j) sees through block (a, b) is what tile (i + a, j + b) sees
through the first one: every tile's pixels are transformed once, also those beyond the last results.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import NamedTuple

import numpy as np

from lstm2d.kernels.arrays import IntArray, Pair

RESULTS = 4  # of a tile on an axis
FEW, MANY = 224, 512  # tiles per block: enough rows for BLAS, and as many as stay
POINTS = 1 << 20  # of source and results, in a cache
WIDE = 112  # tiles in a row of a block
# what the two methods cost, in multiplications of a large product
TRANSFORM = 30  # a value of a tile, in both of its forms
COPY = 12  # a value of the matrix that a direct convolution multiplies
LEAST = 16  # smaller sides of a product take as long
FILTERS = (
    1 << 17
)  # pairs of channels beyond which the points of large filters, four times their taps, are too many
SHARE = 0.9


class Method(NamedTuple):
    """Winograd's F(4 x 4, taps x taps) for one block of taps of a filter, or several."""

    taps: int  # of a block on an axis: 3 or 4
    side: int  # pixels that a tile sees on an axis, and its points
    down: int  # blocks of taps
    across: int


class Tiles(NamedTuple):
    """The tiles of an image, block after block, and those whose pixels are transformed."""

    begin: IntArray  # first tile of each block, and the end
    first: IntArray  # (tiles, 2): row and column of a tile's first result
    counts: IntArray  # (tiles, 2): its rows and columns of results; fewer than 4 at the edge
    window: IntArray  # its place in the block's part of `seen`
    pitch: IntArray  # distance there of two rows of tiles
    seen_begin: IntArray  # as `begin`, for `seen`
    seen: IntArray  # (tiles, 2): row and column of the first pixel of a tile, also outside of the image


def method(kernel: tuple[int, ...]) -> Method:
    """Return the method for filters of a size."""
    if max(kernel) <= 3:
        return Method(3, RESULTS + 2, 1, 1)
    return Method(4, RESULTS + 3, -(-kernel[0] // 4), -(-kernel[1] // 4))


def saves(source: Pair, results: Pair, weight: tuple[int, ...], padding: Pair, dilation: Pair) -> bool:
    """Return whether tiles need so few multiplications that they are worth it.

    Parameters
    ----------
    source, results : pair of int
        Rows and columns of the source and of the results.
    weight : tuple of int
        Shape of the filters: (kh, kw, in, out).
    padding, dilation : pair of int
        Zeros around the source and distance of two taps in pixels, for rows and columns.

    Returns
    -------
    bool
        By the measured costs of both.
    """
    kernel, (channels, outputs) = weight[:2], weight[2:]
    m, wide = method(kernel), max(LEAST, outputs)
    if m.down * m.across > 1 and channels * outputs > FILTERS:
        return False
    tiles = prod(sum(map(len, _runs(results[k], dilation[k], None))) for k in (0, 1))
    taps = 1  # inside of the image, of all results
    for k in (0, 1):
        offsets = [tap * dilation[k] - padding[k] for tap in range(kernel[k])]
        taps *= sum(max(0, min(results[k], source[k] - o) - max(0, -o)) for o in offsets)
    points, inner = m.side**2, m.down * m.across * channels
    filters = points * m.taps**2 * inner * outputs
    tile = points * (TRANSFORM * (channels + outputs) + max(LEAST, inner) * wide)
    return filters + tiles * tile < SHARE * taps * channels * (wide + COPY)


@lru_cache(maxsize=64)
def tiles(results: Pair, channels: int, method: Method, padding: Pair, dilation: Pair) -> Tiles:
    """Cut the results of an image into blocks of tiles.

    Parameters
    ----------
    results : pair of int
        Rows and columns, at least 1.
    channels : int
        Of source and results.
    method : Method
        How they are computed.
    padding, dilation : pair of int
        Zeros around the source and distance of two taps in pixels, for rows and columns.

    Returns
    -------
    Tiles
        All callers share the arrays: they must not be changed.
    """
    blocks: list[list[tuple[IntArray, ...]]] = [[]]
    size, most = 0, max(FEW, min(MANY, POINTS // (method.side**2 * channels)))
    for rows in _runs(results[0], dilation[0], None):
        for columns in _runs(results[1], dilation[1], WIDE):
            tall = max(1, most // len(columns))
            for top in range(0, len(rows), tall):
                piece = _piece(rows[top : top + tall], columns, results, method, padding, dilation)
                if size and size + len(piece[0]) > most:
                    blocks.append([])
                    size = 0
                blocks[-1].append(piece)
                size += len(piece[0])
    found = []
    for block in blocks:
        seen = np.cumsum([0, *(len(piece[4]) for piece in block[:-1])])
        windows = [piece[2] + begin for piece, begin in zip(block, seen, strict=True)]
        joined = [np.concatenate(arrays) for arrays in zip(*block, strict=True)]
        found.append((*joined[:2], np.concatenate(windows), *joined[3:]))
    begins = [np.cumsum([0, *(len(block[k]) for block in found)]) for k in (0, 4)]
    first, counts, window, pitch, seen = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    return Tiles(begins[0], first, counts, window, pitch, begins[1], seen)


def _runs(n: int, dilation: int, longest: int | None) -> list[IntArray]:
    """Return the first results of the tiles of an axis, in runs of neighbours: `dilation` phases at least."""
    found: list[IntArray] = []
    for phase in range(min(n, dilation)):
        run = np.arange(phase, n, RESULTS * dilation)
        found += np.array_split(run, 1 if longest is None else -(-len(run) // longest))
    return found


def _piece(
    rows: IntArray, columns: IntArray, results: Pair, method: Method, padding: Pair, dilation: Pair
) -> tuple[IntArray, ...]:
    """Return first, counts, window, pitch and seen of a rectangle of tiles."""
    axes = []
    for k, (firsts, blocks) in enumerate(((rows, method.down), (columns, method.across))):
        counts = np.minimum(RESULTS, -(-(results[k] - firsts) // dilation[k]))
        seen = firsts[0] + RESULTS * dilation[k] * np.arange(len(firsts) + blocks - 1) - padding[k]
        axes.append((firsts, counts, np.arange(len(firsts)), seen))
    first, counts, places, seen = (_pairs(a, b) for a, b in zip(*axes, strict=True))
    pitch = len(columns) + method.across - 1
    return first, counts, places @ np.array([pitch, 1]), np.full(len(first), pitch), seen


def _pairs(a: IntArray, b: IntArray) -> IntArray:
    return np.stack(np.meshgrid(a, b, indexing="ij"), axis=-1).reshape(-1, 2)
