"""Gaussian filtering of values at scattered features: on the permutohedral lattice, and as the exact sum."""

from __future__ import annotations

import math

import numpy as np

from lstm2d.kernels.arrays import FloatArray
from lstm2d.kernels.lattice import Lattice, check_features


def build_lattice(features: FloatArray) -> Lattice:
    """Return the lattice around features, for `lattice_filter`.

    After Adams, Baek and Davis, "Fast High-Dimensional Filtering Using the Permutohedral Lattice",
    Eurographics 2010. The d values of a feature are mapped into the plane of d + 1 coordinates whose sum is
    zero, and scaled so that splatting, blurring and slicing together have a variance of 1. Lattice points are
    the integer points of that plane whose coordinates all have the same remainder after division by d + 1;
    only corners of the features' simplices are stored. Everything is computed in float64 and in this order,
    so that a feature on the border of two simplices always falls into the same one.

    Parameters
    ----------
    features : array of shape (N, d)
        Positions in units of the Gaussian's standard deviation; read as float64.

    Returns
    -------
    Lattice
        About 12 (d + 1) bytes per feature and 8 (d + 1) per lattice point.

    Raises
    ------
    TypeError, ValueError
        If the features are not a matrix of finite floating-point numbers, or are too large.
    """
    check_features(features)
    n, d = features.shape
    numbers: dict[tuple[int, ...], int] = {}
    points = np.empty((n, d + 1), np.int32)
    weights = np.empty((n, d + 1), features.dtype)
    for p in range(n):
        corners, weights[p] = _simplex([float(value) for value in features[p]])
        points[p] = [numbers.setdefault(corner, len(numbers)) for corner in corners]
    m = len(numbers)
    neighbours = np.full((d + 1, m, 2), m, np.int32)
    for corner, k in numbers.items():
        for j in range(d + 1):
            for side, sign in enumerate((1, -1)):
                there = tuple(value + sign * (-d if i == j else 1) for i, value in enumerate(corner))
                neighbours[j, k, side] = numbers.get(there, m)
    entries = np.argsort(points.ravel(), kind="stable").astype(np.int32)
    starts = np.zeros(m + 1, np.int32)
    np.cumsum(np.bincount(points.ravel(), minlength=m), out=starts[1:])
    return Lattice(points, weights, neighbours, entries, starts)


def _simplex(feature: list[float]) -> tuple[list[tuple[int, ...]], list[float]]:
    """Return the d + 1 lattice points around a feature, and its barycentric coordinates."""
    d = len(feature)
    x = _elevated(feature)
    # the nearest multiple of d + 1 of each coordinate by itself
    zero = [math.floor(value * (1.0 / (d + 1)) + 0.5) for value in x]
    excess = sum(zero)
    rest = [value - (d + 1) * q for value, q in zip(x, zero, strict=True)]
    rank = [0] * (d + 1)
    for i in range(d):
        for j in range(i + 1, d + 1):
            rank[i if rest[i] < rest[j] else j] += 1
    for i in range(d + 1):  # back into the plane
        rank[i] += excess
        if rank[i] < 0:
            rank[i], zero[i], rest[i] = rank[i] + d + 1, zero[i] + 1, rest[i] - (d + 1)
        elif rank[i] > d:
            rank[i], zero[i], rest[i] = rank[i] - d - 1, zero[i] - 1, rest[i] + (d + 1)
    weights = [0.0] * (d + 2)
    for value, r in zip(rest, rank, strict=True):
        weights[d - r] += value * (1.0 / (d + 1))
        weights[d + 1 - r] -= value * (1.0 / (d + 1))
    weights[0] += 1.0 + weights[d + 1]
    corners = [
        tuple((d + 1) * q + (c if r <= d - c else c - d - 1) for q, r in zip(zero, rank, strict=True))
        for c in range(d + 1)
    ]
    return corners, weights[:-1]


def _elevated(feature: list[float]) -> list[float]:
    """Return d + 1 coordinates with sum zero; distances are (d + 1) sqrt(2 / 3) times as long."""
    d = len(feature)
    x, total = [0.0] * (d + 1), 0.0
    for j in range(d, 0, -1):
        c = feature[j - 1] * ((d + 1) * math.sqrt(2.0 / 3.0) / math.sqrt(j * (j + 1.0)))
        x[j] = total - j * c
        total += c
    x[0] = total
    return x


def lattice_filter(lattice: Lattice, values: FloatArray, before: FloatArray, after: FloatArray) -> FloatArray:
    """Return after_i * sum_j G(f_i - f_j) * before_j * values_j, with G approximated on a lattice.

    Splat: each lattice point sums the weighted values of its features. Blur: along each axis in turn, half of
    a point plus a quarter of each neighbour. Slice: each feature sums the weighted values of its lattice
    points. A factor common to all results differs from that of exp(-x^2 / 2): normalise the results.

    Parameters
    ----------
    lattice : Lattice
        From `build_lattice`, for N features.
    values : array of shape (N, K)
        Values to filter.
    before, after : array of shape (N,)
        Factors, all with the data type of the lattice's weights.

    Returns
    -------
    array of shape (N, K)
        The same data type.

    Raises
    ------
    TypeError
        If the data types differ.
    """
    points, weights, neighbours, _, _ = lattice
    if any(array.dtype != weights.dtype for array in (values, before, after)):
        raise TypeError(f"values and factors must be {weights.dtype} like the lattice")
    axes, m, _ = neighbours.shape
    x = np.zeros((m + 1, values.shape[1]), values.dtype)  # the last row stands for missing neighbours
    np.add.at(x, points, weights[:, :, np.newaxis] * (before[:, np.newaxis] * values)[:, np.newaxis])
    for j in range(axes):
        x[:-1] = 0.5 * x[:-1] + 0.25 * (x[neighbours[j, :, 0]] + x[neighbours[j, :, 1]])
    total = (weights[:, :, np.newaxis] * x[points]).sum(axis=1)
    factor = after * values.dtype.type(1.0 / (1.0 + 2.0 ** (1 - axes)))
    return np.asarray(factor[:, np.newaxis] * total)


def gaussian_sum(
    features: FloatArray, values: FloatArray, before: FloatArray, after: FloatArray
) -> FloatArray:
    """Return after_i * sum_j exp(-|f_i - f_j|^2 / 2) * before_j * values_j, the exact sum over all pairs.

    Parameters
    ----------
    features : array of shape (N, d)
        Positions in units of the Gaussian's standard deviation.
    values : array of shape (N, K)
        Values to filter.
    before, after : array of shape (N,)
        Factors, all with the data type of the features.

    Returns
    -------
    array of shape (N, K)
        The same data type. Time is proportional to N^2 K, memory to N K.

    Raises
    ------
    TypeError, ValueError
        If the data types differ, or the features are not finite.
    """
    check_features(features)
    if any(array.dtype != features.dtype for array in (values, before, after)):
        raise TypeError(f"values and factors must be {features.dtype} like the features")
    result = np.empty_like(values)
    for i in range(len(features)):
        distance = ((features - features[i]) ** 2).sum(axis=1)
        result[i] = after[i] * ((np.exp(-0.5 * distance) * before)[:, np.newaxis] * values).sum(axis=0)
    return result
