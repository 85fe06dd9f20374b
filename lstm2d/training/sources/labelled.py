"""Examples of sparsely labelled images: choose again where a random choice met no labelled pixel.

Where it met one nothing changes, so that fully labelled images give the examples that they always gave.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.transforms import crop_with, random_crop
from lstm2d.hierarchy.labels import Place


def labelled_pixel(
    labels: NDArray[np.uint8], ignore: int, rng: np.random.Generator
) -> tuple[int, int] | None:
    """Draw a labelled pixel.

    Parameters
    ----------
    labels : ndarray of shape (H, W), uint8
        Class numbers, or `ignore`.
    ignore : int
        Label of pixels that do not count.
    rng : numpy.random.Generator
        Draws one; all are equally likely.

    Returns
    -------
    (int, int) or None
        Row and column; None if no pixel is labelled.
    """
    found = np.flatnonzero(labels != ignore)
    if not found.size:
        return None
    row, column = divmod(int(found[rng.integers(found.size)]), labels.shape[1])
    return row, column


def labelled_crop(
    labels: NDArray[np.uint8], ignore: int, rng: np.random.Generator, *, size: Sequence[int]
) -> Place:
    """Draw the position of a crop; of a labelled image one that contains a labelled pixel.

    Parameters
    ----------
    labels : ndarray of shape (H, W), uint8
        Class numbers, or `ignore`.
    ignore : int
        Label of pixels that do not count.
    rng : numpy.random.Generator
        Draws it, as `random_crop` does, and once more if the crop is not labelled.
    size : sequence of two int
        Rows and columns of the crop.

    Returns
    -------
    tuple of two arrays of int
        As `random_crop` returns them.
    """
    place = random_crop(labels.shape, rng, size=size)
    if (labels[place] != ignore).any():
        return place
    pixel = labelled_pixel(labels, ignore, rng)
    return place if pixel is None else crop_with(pixel, labels.shape, rng, size=size)
