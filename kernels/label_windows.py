"""Histograms of the labels in windows of an image, on the host: no family, since no network needs them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lstm2d.kernels.arrays import contiguous

WORK = 64  # operations per pixel, roughly


def nearest_centres(
    bins: NDArray[np.int16],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    half: int,
    centres: NDArray[np.float64],
    squares: NDArray[np.float64],
    starts: NDArray[np.int64],
) -> NDArray[np.int32]:
    """Return the nearest centre of the histogram of the window around some pixels.

    Parameters
    ----------
    bins : ndarray of shape (H, W), int16
        The bin of each pixel, 0 to B - 1; negative for pixels that count in none.
    rows, columns : ndarray of shape (R,) and (C,), int64
        The pixels to compute.
    half : int
        A window has 2 * half + 1 rows and columns, as far as they lie within the image.
    centres : ndarray of shape (M, B), float64
        Values of the centres in these bins.
    squares : ndarray of shape (M,), float64
        Their squared Euclidean norm, which may include bins that no pixel has.
    starts : ndarray of shape (B + 1,), int64
        A pixel of bin b has the centres ``starts[b]`` to ``starts[b + 1] - 1``.

    Returns
    -------
    ndarray of shape (R, C), int32
        The row of `centres` with the least distance to the histogram, which is divided by its Euclidean norm
        first; the first one of equal ones. -1 for pixels without a bin, or whose bin has no centre.
    """
    from lstm2d.kernels._numba import jit, label_windows

    result = np.full((rows.size, columns.size), -1, np.int32)
    bins = contiguous(bins)
    work = WORK * columns.size
    half = min(half, max(bins.shape))  # no larger number is of use, nor fits 64 bits
    jit.spread(
        label_windows.nearest_centres,
        rows.size,
        work,
        bins,
        rows,
        columns,
        half,
        centres,
        squares,
        starts,
        result,
    )
    return result
