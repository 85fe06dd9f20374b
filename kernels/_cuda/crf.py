"""Gaussian filtering on the permutohedral lattice, and as the exact sum."""

from __future__ import annotations

from functools import partial

import cupy
import numpy as np

from lstm2d.kernels._cuda.launch import Array, launch, launch_blocks
from lstm2d.kernels.lattice import Lattice, check_features, radix

FAMILY = "crf"
THREADS = 128  # per lattice point
CLASSES = 8  # per thread that sums over all pairs


def build_lattice(features: Array) -> Lattice:
    """Return the lattice with the reference's indices of points; waits for the device to check features."""
    check_features(features)
    n, d = features.shape
    features = cupy.ascontiguousarray(features)
    quotients = cupy.empty((n, d + 1), np.int32)
    ranks = cupy.empty((n, d + 1), np.uint8)
    weights = cupy.empty((n, d + 1), features.dtype)
    launch(FAMILY, "simplices", n, features, quotients, ranks, weights, d, np.int64(n))
    points, neighbours = _numbered(quotients, ranks, features.dtype)
    entries = cupy.argsort(points.ravel()).astype(np.int32)  # stable
    m = neighbours.shape[1]
    starts = cupy.zeros(m + 1, np.int32)
    size = (m, np.int64(points.size))
    launch(FAMILY, "find_starts", points.size, points, entries, starts, *size, real=features.dtype)
    return Lattice(points, weights, neighbours, entries, starts)


def _numbered(quotients: Array, ranks: Array, dtype: np.dtype) -> tuple[Array, Array]:
    """Return the indices of each feature's lattice points, and those of their neighbours."""
    n, coordinates = quotients.shape
    run = partial(launch, FAMILY, real=dtype)
    size = np.int64(quotients.size)
    if not n:
        return cupy.empty((0, coordinates), np.int32), cupy.empty((coordinates, 0, 2), np.int32)
    ends = cupy.stack([quotients.min(axis=0), quotients.max(axis=0)]).get()
    digits = cupy.asarray(np.stack(radix(*ends[:, :-1].tolist())))
    bits = (quotients.size + quotients.size // 2).bit_length()  # at most two thirds are used
    table = cupy.full(1 << bits, -1, np.int64)
    first = cupy.full(1 << bits, 2**31 - 1, np.int32)
    places = cupy.empty(quotients.size, np.uint32)
    run("put_all", n, quotients, ranks, digits, table, first, places, bits, coordinates, np.int64(n))
    marks = cupy.empty(quotients.size, np.int32)
    run("mark_first", marks.size, first, places, marks, size)
    count = cupy.cumsum(marks, dtype=np.int32)
    m = int(count[-1])
    points, codes = cupy.empty((n, coordinates), np.int32), cupy.empty(m, np.int64)
    run("number", points.size, table, first, places, count, points, codes, size)
    neighbours = cupy.empty((coordinates, m, 2), np.int32)
    sizes = (bits, coordinates, m, np.int64(coordinates * m))
    run("find_neighbours", coordinates * m, codes, table, first, count, digits, neighbours, *sizes)
    return points, neighbours


def lattice_filter(lattice: Lattice, values: Array, before: Array, after: Array) -> Array:
    points, weights, neighbours, entries, starts = lattice
    if any(array.dtype != weights.dtype for array in (values, before, after)):
        raise TypeError(f"values and factors must be {weights.dtype} like the lattice")
    values, before, after = (cupy.ascontiguousarray(array) for array in (values, before, after))
    (n, axes), classes, m = points.shape, values.shape[1], neighbours.shape[1]
    result = cupy.empty((n, classes), values.dtype)
    if not result.size:
        return result
    x, y = cupy.empty((m, classes), values.dtype), cupy.empty((m, classes), values.dtype)
    args = (values, before, weights, entries, starts, x, classes, axes, min(classes, THREADS))
    launch_blocks(FAMILY, "splat", m, THREADS, *args, shared=THREADS * values.itemsize)
    for j in range(axes):
        launch(FAMILY, "blur", x.size, x, neighbours[j], y, classes, m, np.int64(x.size))
        x, y = y, x
    sizes = (classes, axes, np.int64(result.size))
    scale = 1.0 / (1.0 + 2.0 ** (1 - axes))
    launch(FAMILY, "slice", result.size, x, points, weights, after, result, scale, *sizes)
    return result


def gaussian_sum(features: Array, values: Array, before: Array, after: Array) -> Array:
    check_features(features)
    if any(array.dtype != features.dtype for array in (values, before, after)):
        raise TypeError(f"values and factors must be {features.dtype} like the features")
    arrays = [cupy.ascontiguousarray(array) for array in (features, values, before, after)]
    (n, d), classes = features.shape, values.shape[1]
    result = cupy.empty((n, classes), values.dtype)
    threads = n * -(-classes // CLASSES)
    launch(FAMILY, "sum_pairs", threads, *arrays, result, n, d, classes, np.int64(threads))
    return result
