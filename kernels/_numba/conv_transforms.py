"""The transforms of Winograd's tiles: one matrix for each axis, in passes over many tiles at once."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from lstm2d.kernels import winograd
from lstm2d.kernels._numba.conv_tiles import RESULTS
from lstm2d.kernels._numba.jit import fused, part, row
from lstm2d.kernels.arrays import FloatArray, IntArray

TERMS = 4  # that a pass adds: with more arrays, LLVM does not vectorise


class Axis(NamedTuple):
    """A matrix without its zeros; each row is filled with factors of 0 up to a multiple of `TERMS`."""

    passes: IntArray  # (rows,): `TERMS` factors each
    places: IntArray  # (rows, factors): columns
    factors: FloatArray


class Transforms(NamedTuple):
    """The matrices of an axis, and that of the filters of both axes."""

    pixels: Axis  # to points
    results: Axis  # points to results
    grads: Axis  # its transpose
    taps: FloatArray  # (points, taps), the Kronecker product of both axes: taps to points


@cache
def transforms(taps: int, dtype: DTypeLike) -> Transforms:
    """Return the transforms for 3 or 4 taps, each entry rounded once.

    All callers share the arrays: they must not be changed.
    """
    results = winograd.result_matrix(RESULTS, taps)
    filters = np.array([[float(v) for v in line] for line in winograd.tap_matrix(RESULTS, taps)])
    return Transforms(
        _axis(winograd.pixel_matrix(RESULTS, RESULTS, taps), dtype),
        _axis(results, dtype),
        _axis([list(column) for column in zip(*results, strict=True)], dtype),
        np.ascontiguousarray(np.kron(filters, filters), dtype),
    )


def _axis(matrix: list[list[Fraction]], dtype: DTypeLike) -> Axis:
    lines = [[(k, float(v)) for k, v in enumerate(line) if v] for line in matrix]
    passes = [-(-len(line) // TERMS) for line in lines]
    shape = len(lines), max(passes) * TERMS
    places, factors = np.zeros(shape, np.int64), np.zeros(shape, dtype)
    for k, line in enumerate(lines):
        places[k], factors[k, : len(line)] = line[0][0], [v for _, v in line]
        places[k, : len(line)] = [place for place, _ in line]
    return Axis(np.array(passes), places, factors)


@part
def transform(axis, columns, source, first, distance, between, target, at, apart, lanes):
    """Transform both axes of tiles.

    `source` holds columns x columns values, `lanes` of each, `distance` apart from `first` on; `target` is
    filled in the same way. `between` is memory for the rows of one and the columns of the other.
    """
    rows = axis.passes.size
    for j in range(columns):
        for i in range(rows):
            to = row(between, (i * columns + j) * lanes, lanes)
            _line(axis, i, source, first + j * distance, columns * distance, to)
    for i in range(rows):
        for j in range(rows):
            to = row(target, at + (i * rows + j) * apart, lanes)
            _line(axis, j, between, i * columns * lanes, lanes, to)


@part
def _line(axis, k, source, first, distance, to):
    """Compute row k of the matrix times values that are `distance` apart."""
    places, factors = axis.places[k], axis.factors[k]
    for p in range(axis.passes[k]):
        a = row(source, first + places[4 * p] * distance, to.size)
        b = row(source, first + places[4 * p + 1] * distance, to.size)
        c = row(source, first + places[4 * p + 2] * distance, to.size)
        d = row(source, first + places[4 * p + 3] * distance, to.size)
        _sum(
            factors[4 * p], a, factors[4 * p + 1], b, factors[4 * p + 2], c, factors[4 * p + 3], d, p > 0, to
        )


@fused
def _sum(f, a, g, b, h, c, i, d, add, to):
    if add:
        for k in range(to.size):
            to[k] += f * a[k] + g * b[k] + (h * c[k] + i * d[k])
    else:
        for k in range(to.size):
            to[k] = f * a[k] + g * b[k] + (h * c[k] + i * d[k])
