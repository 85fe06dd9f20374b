"""Superpixels: small regions of similar colour and nearly equal area."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import ShapeError

SIZE = 300  # pixels
COMPACTNESS = 100.0  # with scikit-image's default of 10, the sky becomes a few large superpixels


def superpixels(image: NDArray[np.uint8] | NDArray[np.float32], size: int = SIZE) -> NDArray[np.int64]:
    """Divide an image into superpixels by SLIC [1]_.

    Parameters
    ----------
    image : array of shape (H, W, 3), uint8 or float32
        Red, green and blue in 0..255.
    size : int, default 300
        Area of a superpixel in pixels, about: centres start on a regular grid.

    Returns
    -------
    array of shape (H, W), int64
        Number of the superpixel of each pixel, 0 to n - 1; each is connected. A high weight of the position
        gives all of them nearly the same area, so that their numbers are comparable to numbers of pixels.

    Raises
    ------
    ShapeError
        If the image is empty or has no three channels.

    References
    ----------
    .. [1] R. Achanta et al., "SLIC Superpixels Compared to State-of-the-Art Superpixel Methods", IEEE TPAMI
       34 (11), 2012.
    """
    from skimage.segmentation import slic

    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ShapeError(
            "image to divide into superpixels", where=image.shape, expected="(H, W, 3), not empty"
        )
    count = max(1, round(image.shape[0] * image.shape[1] / size))
    found = slic(image, n_segments=count, compactness=COMPACTNESS, start_label=0)
    return np.asarray(found, np.int64)


def centres(
    segments: NDArray[np.integer[Any]], among: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the pixel of each superpixel that is nearest to its centroid.

    Parameters
    ----------
    segments : array of shape (H, W), integer
        Number of the superpixel of each pixel; each of 0 to n - 1 occurs.
    among : array of shape (H, W), bool, optional
        Pixels to choose from; by default all. Superpixels without one are left out.

    Returns
    -------
    rows, columns : array of shape (n,), int64
        Position of that pixel of superpixel 0 to n - 1. Ties go to the first pixel, row by row.
    """
    number = segments.ravel()
    rows, columns = (axis.ravel() for axis in np.indices(segments.shape))
    count = np.bincount(number)
    # distances times the number of pixels: integers, so that ties are exact
    distance = sum((count[number] * axis - _sums(number, axis)[number]) ** 2 for axis in (rows, columns))
    if among is not None:
        chosen = among.ravel()
        number, distance = number[chosen], distance[chosen]
        rows, columns = rows[chosen], columns[chosen]
    best = np.full(count.size, np.iinfo(np.int64).max)
    np.minimum.at(best, number, distance)
    nearest = np.flatnonzero(distance == best[number])
    _, first = np.unique(number[nearest], return_index=True)
    return rows[nearest[first]], columns[nearest[first]]


def _sums(number: NDArray[np.integer[Any]], values: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.bincount(number, weights=values).astype(np.int64)  # exact below 2**53
