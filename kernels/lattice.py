"""The permutohedral lattice, shared by all backends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lstm2d.kernels.arrays import FloatArray


class Lattice(NamedTuple):
    """The points of the permutohedral lattice around N features of d values.

    Attributes
    ----------
    points : array of shape (N, d + 1), int32
        Corners of the simplex around each feature: indices of lattice points, 0 to M - 1, in order of first
        use.
    weights : array of shape (N, d + 1)
        Barycentric coordinates of each feature in its simplex; data type of the features.
    neighbours : array of shape (d + 1, M, 2), int32
        The two neighbours of each lattice point along each of the d + 1 axes; M where there is none.
    entries : array of shape (N * (d + 1),), int32
        Indices into ``points.ravel()``, sorted by lattice point, then by index.
    starts : array of shape (M + 1,), int32
        Start of each lattice point in `entries`, and the end.
    """

    points: NDArray[np.int32]
    weights: FloatArray
    neighbours: NDArray[np.int32]
    entries: NDArray[np.int32]
    starts: NDArray[np.int32]


LARGEST = 1e8  # feature value: lattice coordinates must fit in 32 bits


def check_features(features: FloatArray) -> None:
    """Raise an error if no lattice can be built on features.

    Parameters
    ----------
    features : array of shape (N, d)
        Positions in units of the Gaussian's standard deviation.

    Raises
    ------
    TypeError
        If the data type is neither float32 nor float64.
    ValueError
        If the shape is wrong, a value is not finite or too large, or there are too many features.
    """
    if features.dtype not in (np.float32, np.float64):
        raise TypeError(f"float32 or float64 features, got {features.dtype}")
    if features.ndim != 2 or not 1 <= features.shape[1] <= 16:
        raise ValueError(f"features of shape {features.shape}, expected (N, d) with d from 1 to 16")
    if features.size and not float(np.abs(features).max()) <= LARGEST:
        raise ValueError(f"features that are not finite, or beyond {LARGEST:g} standard deviations")
    if features.shape[0] * (features.shape[1] + 1) >= 2**31:
        raise ValueError(
            f"{features.shape[0]} features, expected fewer than {2**31 // (features.shape[1] + 1)}"
        )


def radix(lowest: Sequence[int], highest: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the mixed radix of the codes of lattice points: a remainder, then the quotients.

    The quotient of the last coordinate follows from the others: its step is 0.

    Parameters
    ----------
    lowest, highest : sequence of int
        Range of the quotients of all features, for each of d coordinates. Corners are at most one below a
        feature's own quotient, their neighbours one further on either side.

    Returns
    -------
    low : array of shape (d + 1,), int64
        Subtracted from each quotient.
    step : array of shape (d + 1,), int64
        Added to the code for each unit of a quotient.

    Raises
    ------
    ValueError
        If codes do not fit into 63 bits.
    """
    d = len(lowest)
    low, step = np.zeros(d + 1, np.int64), np.zeros(d + 1, np.int64)
    place = d + 1
    for i, (first, last) in enumerate(zip(lowest, highest, strict=True)):
        low[i], step[i] = first - 2, place
        place *= last + 2 - (first - 2)
        if place >= 2**63:
            raise ValueError("features too far apart for a lattice: use larger standard deviations")
    return low, step
