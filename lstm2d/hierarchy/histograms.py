"""Label histograms of the windows around pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.mapping import IGNORE


def label_counts(
    labels: NDArray[np.integer[Any]],
    rows: NDArray[np.integer[Any]],
    columns: NDArray[np.integer[Any]],
    window: int | None,
    n_classes: int,
) -> NDArray[np.int32]:
    """Count the pixels of each class in the square windows around some pixels.

    Parameters
    ----------
    labels : array of shape (H, W), integer
        Class numbers, 0 to K - 1; 255 where ignored, which is counted nowhere.
    rows, columns : array of shape (n,), integer
        The pixels.
    window : int or None
        Side of the window, odd. A window is cut at the border of the image. None for the whole image.
    n_classes : int
        Number of classes K.

    Returns
    -------
    array of shape (n, K), int32
        Number of pixels of each class around each pixel.
    """
    counts = np.zeros((len(rows), n_classes), np.int32)
    present = np.unique(labels[labels != IGNORE])
    if window is None:
        counts[:, present] = np.bincount(labels.ravel(), minlength=IGNORE + 1)[present]
        return counts
    top, bottom = _cut(rows, window, labels.shape[0])
    left, right = _cut(columns, window, labels.shape[1])
    for number in present:
        # sums over the rectangles from the origin give the sum over any rectangle from its four corners
        corner = np.zeros((labels.shape[0] + 1, labels.shape[1] + 1), np.int32)
        np.cumsum(labels == number, axis=0, out=corner[1:, 1:])
        np.cumsum(corner[1:, 1:], axis=1, out=corner[1:, 1:])
        inside = corner[bottom, right] - corner[top, right] - corner[bottom, left] + corner[top, left]
        counts[:, number] = inside
    return counts


def normalised(counts: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Divide histograms by their Euclidean length.

    Parameters
    ----------
    counts : array of shape (n, K), integer
        Histograms.

    Returns
    -------
    array of shape (n, K), float64
        Each of length 1, so that windows cut at the border do not differ by their area; 0 where nothing was
        counted.
    """
    values = counts.astype(np.float64)
    length = np.sqrt((values**2).sum(axis=1, keepdims=True))
    return np.asarray(np.divide(values, length, out=values, where=length > 0))


def _cut(
    centre: NDArray[np.integer[Any]], window: int, size: int
) -> tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]]:
    """Return the first index of windows along an axis, and the one after the last."""
    radius = window // 2
    return np.maximum(centre - radius, 0), np.minimum(centre + radius + 1, size)
