"""Gaussian filtering of values at scattered features: on the permutohedral lattice, and as the exact sum."""

from __future__ import annotations

import math

import numpy as np

from lstm2d.kernels import arena
from lstm2d.kernels._numba.jit import kernel, part, spread
from lstm2d.kernels.arrays import FloatArray, contiguous
from lstm2d.kernels.lattice import Lattice, check_features, radix

LANES = 8  # rows of lattice values are padded to whole vectors
HASH = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio (Knuth): spreads neighbouring codes


def build_lattice(features: FloatArray) -> Lattice:
    """Assign indices to lattice points on one thread, in the order of the features; do the rest on several.

    A point is one 64-bit code: its remainder, and the quotients of d coordinates as digits of mixed radix; a
    step to the next corner, or to a neighbour, is one addition.
    """
    check_features(features)
    n, d = features.shape
    features = contiguous(features)
    quotients, ranks = arena.empty((n, d + 1), np.int32), arena.empty((n, d + 1), np.int8)
    weights = np.empty((n, d + 1), features.dtype)
    spread(_simplices, n, 32 * (d + 1), features, quotients, ranks, weights)
    columns = quotients.T[:-1] if n else np.zeros((d, 1), np.int32)
    low, step = radix([int(c.min()) for c in columns], [int(c.max()) for c in columns])
    points = np.empty((n, d + 1), np.int32)
    codes = arena.empty((n * (d + 1),), np.int64)
    m, table = _number(quotients, ranks, low, step, codes, points)
    neighbours = np.empty((d + 1, m, 2), np.int32)
    spread(_find_neighbours, m, 32 * (d + 1), codes, table, step, m, neighbours)
    starts, entries = np.zeros(m + 1, np.int32), np.empty(n * (d + 1), np.int32)
    _sort(points, starts, entries)
    return Lattice(points, weights, neighbours, entries, starts)


def lattice_filter(lattice: Lattice, values: FloatArray, before: FloatArray, after: FloatArray) -> FloatArray:
    """Each lattice point sums its features in their order, so that bits do not depend on threads."""
    points, weights, neighbours, entries, starts = lattice
    if any(array.dtype != weights.dtype for array in (values, before, after)):
        raise TypeError(f"values and factors must be {weights.dtype} like the lattice")
    (n, axes), classes = points.shape, values.shape[1]
    m, width = len(starts) - 1, -(-classes // LANES) * LANES
    padded = arena.empty((n, width), values.dtype)
    padded[:, classes:] = 0
    np.multiply(values, before[:, np.newaxis], out=padded[:, :classes])
    x, y = arena.empty((m + 1, width), values.dtype), arena.empty((m + 1, width), values.dtype)
    x[m] = y[m] = 0
    spread(_splat, m, max(1, n * axes // max(1, m)) * width, padded, weights, entries, starts, x)
    for j in range(axes):
        spread(_blur, m, width, x, neighbours[j], y)
        x, y = y, x
    result = np.empty((n, classes), values.dtype)
    factor = after * values.dtype.type(1.0 / (1.0 + 2.0 ** (1 - axes)))
    spread(_slice, n, axes * width, x, points, weights, factor, result)
    return result


def gaussian_sum(
    features: FloatArray, values: FloatArray, before: FloatArray, after: FloatArray
) -> FloatArray:
    check_features(features)
    if any(array.dtype != features.dtype for array in (values, before, after)):
        raise TypeError(f"values and factors must be {features.dtype} like the features")
    result = np.empty(values.shape, values.dtype)
    scaled = values * before[:, np.newaxis]
    features = contiguous(features)
    spread(_sum_pairs, len(features), len(features) * (10 + values.shape[1]), features, scaled, after, result)
    return result


@kernel
def _simplices(features, quotients, ranks, weights, begin, end):
    d = features.shape[1]
    scale = np.empty(d)
    for j in range(1, d + 1):
        scale[j - 1] = (d + 1) * math.sqrt(2.0 / 3.0) / math.sqrt(j * (j + 1.0))
    down = 1.0 / (d + 1)
    x, corner = np.empty(d + 1), np.empty(d + 2)
    rank, quotient = np.empty(d + 1, np.intp), np.empty(d + 1, np.intp)
    for p in range(begin, end):
        total = 0.0
        for j in range(d, 0, -1):
            c = np.float64(features[p, j - 1]) * scale[j - 1]
            x[j] = total - j * c
            total += c
        x[0] = total
        excess = 0
        for i in range(d + 1):
            quotient[i] = math.floor(x[i] * down + 0.5)
            excess += quotient[i]
            x[i] -= (d + 1) * quotient[i]
            rank[i] = 0
        for i in range(d):
            for j in range(i + 1, d + 1):
                less = x[i] < x[j]
                rank[i] += less
                rank[j] += not less
        corner[:] = 0.0
        for i in range(d + 1):
            r = rank[i] + excess
            if r < 0:
                r, quotient[i], x[i] = r + d + 1, quotient[i] + 1, x[i] - (d + 1)
            elif r > d:
                r, quotient[i], x[i] = r - d - 1, quotient[i] - 1, x[i] + (d + 1)
            corner[d - r] += x[i] * down
            corner[d + 1 - r] -= x[i] * down
            quotients[p, i] = quotient[i]
            ranks[p, i] = r
        corner[0] += 1.0 + corner[d + 1]
        for i in range(d + 1):
            weights[p, i] = corner[i]


@part
def _slot(code, bits):
    return np.intp((np.uint64(code) * HASH) >> np.uint64(64 - bits))


@part
def _bits(table):
    bits = 0
    while (1 << bits) < table.size:
        bits += 1
    return bits


@part
def _larger(codes, m, bits):
    table = np.full(1 << bits, -1, np.int32)
    for k in range(m):
        at = _slot(codes[k], bits)
        while table[at] >= 0:
            at = (at + 1) & (table.size - 1)
        table[at] = k
    return table


@kernel
def _number(quotients, ranks, low, step, codes, points):
    n, coordinates = quotients.shape
    coordinate_of = np.empty(coordinates, np.intp)  # rank -> coordinate
    bits, m = 12, 0
    table = np.full(1 << bits, -1, np.int32)
    for p in range(n):
        code = np.int64(0)
        for i in range(coordinates):
            coordinate_of[ranks[p, i]] = i
            code += (quotients[p, i] - low[i]) * step[i]
        if 2 * (m + coordinates) > table.size:
            bits += 2
            table = _larger(codes, m, bits)
        for r in range(coordinates):
            if r > 0:  # from remainder r - 1 to r: decrement the coordinate of the highest remaining rank
                code += 1 - step[coordinate_of[coordinates - r]]
            at = _slot(code, bits)
            while table[at] >= 0 and codes[table[at]] != code:
                at = (at + 1) & (table.size - 1)
            if table[at] < 0:
                table[at] = m
                codes[m] = code
                m += 1
            points[p, r] = table[at]
    return m, table


@part
def _find(codes, table, bits, code, m):
    at = _slot(code, bits)
    while table[at] >= 0:
        if codes[table[at]] == code:
            return table[at]
        at = (at + 1) & (table.size - 1)
    return m


@kernel
def _find_neighbours(codes, table, step, m, neighbours, begin, end):
    coordinates, bits = step.size, _bits(table)
    around = step.sum() - coordinates  # all quotients change from remainder d to 0 and back
    for k in range(begin, end):
        remainder = codes[k] % coordinates
        for j in range(coordinates):
            up, down = codes[k] + 1 - step[j], codes[k] - 1 + step[j]
            if remainder == coordinates - 1:
                up += around
            if remainder == 0:
                down -= around
            neighbours[j, k, 0] = _find(codes, table, bits, up, m)
            neighbours[j, k, 1] = _find(codes, table, bits, down, m)


@kernel
def _sort(points, starts, entries):
    n, coordinates = points.shape
    for p in range(n):
        for r in range(coordinates):
            starts[points[p, r] + 1] += 1
    for k in range(starts.size - 1):
        starts[k + 1] += starts[k]
    place = starts.copy()
    for p in range(n):
        for r in range(coordinates):
            entries[place[points[p, r]]] = p * coordinates + r
            place[points[p, r]] += 1


@kernel
def _splat(values, weights, entries, starts, x, begin, end):
    coordinates, width = weights.shape[1], values.shape[1]
    for m in range(begin, end):
        for k in range(width):
            x[m, k] = 0
        for e in range(starts[m], starts[m + 1]):
            p = entries[e] // coordinates
            weight = weights[p, entries[e] - p * coordinates]
            for k in range(width):
                x[m, k] += weight * values[p, k]


@kernel
def _blur(x, neighbours, y, begin, end):
    half, quarter = x.dtype.type(0.5), x.dtype.type(0.25)
    for m in range(begin, end):
        i, j = neighbours[m, 0], neighbours[m, 1]
        for k in range(x.shape[1]):
            y[m, k] = half * x[m, k] + quarter * (x[i, k] + x[j, k])


@kernel
def _slice(x, points, weights, factor, result, begin, end):
    total = np.empty(x.shape[1], x.dtype)
    for p in range(begin, end):
        total[:] = 0
        for r in range(points.shape[1]):
            m, weight = points[p, r], weights[p, r]
            for k in range(total.size):
                total[k] += weight * x[m, k]
        for k in range(result.shape[1]):
            result[p, k] = factor[p] * total[k]


@kernel
def _sum_pairs(features, values, after, result, begin, end):
    n, d = features.shape
    half = features.dtype.type(-0.5)
    total = np.empty(values.shape[1], values.dtype)
    for i in range(begin, end):
        total[:] = 0
        for j in range(n):
            distance = features.dtype.type(0)
            for c in range(d):
                distance += (features[i, c] - features[j, c]) ** 2
            g = np.exp(half * distance)
            for k in range(total.size):
                total[k] += g * values[j, k]
        for k in range(total.size):
            result[i, k] = after[i] * total[k]
