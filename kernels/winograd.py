"""Winograd's F(m, 3) for m = 1 to 6 results, F(4, 4), and tilings of an axis with such lengths.

By the Toom-Cook method, m results of a filter with r taps are a product of polynomials, computed at m + r - 1
points. The points are 0, infinity, 1, -1, 2, -2, 1/2 and -1/2; a tile of m results uses the first m + r - 1,
so that tiles of all lengths share the points of the filters. Divisors are part of the filters.

A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lstm2d.kernels.arrays import FloatArray

TAPS = 3
POINTS = 8  # maximum number of points on an axis
INFINITY = None
FILTERS = 24  # multiplications that take as long as one value of the filter transform
VALUES = (Fraction(0), INFINITY, *(Fraction(v, 2) for v in (2, -2, 4, -4, 1, -1)))


class Transforms(NamedTuple):
    """Matrices (POINTS, POINTS), padded with zeros; the first three are stacked by the results of a tile.

    ``results @ ((taps @ filter) * (pixels @ image))`` is the convolution of m + 2 pixels.
    """

    pixels: FloatArray  # pixels to points, for each m
    results: FloatArray  # points to results
    grad_results: FloatArray  # its transpose
    taps: FloatArray  # taps to points, for all m
    grad_taps: FloatArray  # its transpose


@cache
def transforms(largest: int, dtype: DTypeLike) -> Transforms:
    """Return the matrices of all tiles of up to `largest` results.

    Parameters
    ----------
    largest : int
        1 to 6.
    dtype : dtype
        Data type of the matrices; each entry is rounded once.

    Returns
    -------
    Transforms
        The stacks have ``largest + 1`` matrices; the first is all zeros.
    """
    pixels, results = np.zeros((2, largest + 1, POINTS, POINTS), dtype)
    taps = np.zeros((POINTS, POINTS), dtype)
    for m in range(1, largest + 1):
        _fill(pixels[m], pixel_matrix(m, largest))
        _fill(results[m], result_matrix(m))
    _fill(taps, tap_matrix(largest))
    found = Transforms(
        pixels, results, np.ascontiguousarray(results.transpose(0, 2, 1)), taps, np.ascontiguousarray(taps.T)
    )
    for matrix in found:  # all callers share them
        matrix.flags.writeable = False
    return found


def pixel_matrix(m: int, largest: int, taps: int = TAPS) -> list[list[Fraction]]:
    """Return the matrix from m + taps - 1 pixels to points; filters have those of `largest` results."""
    n = m + taps - 1
    used, later = VALUES[:n], VALUES[n : largest + taps - 1]
    finite = [v for v in used if v is not INFINITY]
    rows = []
    for value in used:
        row = _polynomial([v for v in finite if v != value])
        factor = (
            1
            if value is INFINITY
            else prod((value - v for v in later if v is not INFINITY), start=Fraction(1))
        )
        rows.append([c * factor for c in row] + [Fraction(0)] * (n - len(row)))
    return rows


def result_matrix(m: int, taps: int = TAPS) -> list[list[Fraction]]:
    """Return the matrix from m + taps - 1 points to m results."""
    return [[_power(v, k, m - 1) for v in VALUES[: m + taps - 1]] for k in range(m)]


def tap_matrix(largest: int, taps: int = TAPS) -> list[list[Fraction]]:
    """Return the matrix from the taps to the points of tiles of `largest` results."""
    used = VALUES[: largest + taps - 1]
    finite = [v for v in used if v is not INFINITY]
    rows = []
    for value in used:
        factor = (
            1 if value is INFINITY else prod((value - v for v in finite if v != value), start=Fraction(1))
        )
        rows.append([_power(value, k, taps - 1) / factor for k in range(taps)])
    return rows


def _power(value: Fraction | None, k: int, degree: int) -> Fraction:
    return Fraction(k == degree) if value is INFINITY else value**k


def _polynomial(roots: Sequence[Fraction]) -> list[Fraction]:
    """Return the coefficients of the product of (x - root), lowest power first."""
    row = [Fraction(1)]
    for root in roots:
        row = [low - root * high for low, high in zip([Fraction(0), *row], [*row, Fraction(0)], strict=True)]
    return row


def _fill(matrix: FloatArray, rows: list[list[Fraction]]) -> None:
    matrix[: len(rows), : len(rows[0])] = [[float(v) for v in row] for row in rows]


class Tiles(NamedTuple):
    """Tiles of one axis of the results, longest first.

    Tile t has the results ``first[t] + k * dilation``, k < ``results[t]``.
    """

    first: NDArray[np.intp]
    results: NDArray[np.intp]


def cut(n: int, dilation: int, largest: int) -> Tiles:
    """Cut an axis into as few tiles as possible; the results of a tile are `dilation` apart.

    Parameters
    ----------
    n : int
        Number of results on the axis, at least 1.
    dilation : int
        Distance of two taps in pixels.
    largest : int
        Largest number of results of a tile.

    Returns
    -------
    Tiles
        The tiles, longest first.
    """
    first, results = [], []
    for phase in range(min(dilation, n)):
        length = -(-(n - phase) // dilation)
        size = -(-length // -(-length // largest))  # as short as the number of tiles allows
        starts = np.arange(0, length, size)
        first.append(phase + dilation * starts)
        results.append(np.minimum(size, length - starts))
    sizes = np.concatenate(results)
    order = np.argsort(-sizes, kind="stable")
    return Tiles(np.concatenate(first)[order], sizes[order])


def saves(
    size: Sequence[int], n: Sequence[int], padding: Sequence[int], dilation: Sequence[int], largest: int
) -> bool:
    """Return whether tiles need fewer multiplications than the taps inside the image.

    Parameters
    ----------
    size, n : pair of int
        Rows and columns of the source and of the results.
    padding, dilation : pair of int
        Zeros around the source and distance of two taps in pixels, for rows and columns.
    largest : int
        Largest number of results of a tile on an axis.

    Returns
    -------
    bool
        The transform of the filters counts as `FILTERS` multiplications per point.
    """
    points = direct = filters = 1
    for k in (0, 1):
        whole, longer = divmod(n[k], dilation[k])  # `longer` phases have one result more
        lengths = ((longer, whole + 1), (dilation[k] - longer, whole))
        points *= n[k] + 2 * sum(count * -(-length // largest) for count, length in lengths)
        filters *= min(largest, whole + (longer > 0)) + 2
        offsets = [tap * dilation[k] - padding[k] for tap in range(TAPS)]
        direct *= sum(max(0, min(n[k], size[k] - o) - max(0, -o)) for o in offsets)
    return points + FILTERS * filters < direct
