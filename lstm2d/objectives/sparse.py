"""The loss of sparsely labelled images, where it is a sum over pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

ENOUGH = 0.5
"""Share of labelled pixels from which on a sum needs no factor."""


def largest_factor(labelled: float) -> float:
    """Return the factor of sums over the pixels of an image for a dataset.

    Parameters
    ----------
    labelled : float
        Share of labelled pixels in the training images, above 0.

    Returns
    -------
    float
        1 for at least half of the pixels; below, what the labelled pixels would have to be multiplied by to
        be as many.
    """
    return max(1.0, ENOUGH / labelled)


def factor_of(labels: NDArray[np.integer[Any]], largest: float, *, ignore_index: int) -> float:
    """Return the factor of the loss of an image.

    A learning rate for sums over all pixels of an image is far too low for sums over one percent of them.

    Parameters
    ----------
    labels : ndarray of int, shape (N, H, W)
        Targets of the pixels.
    largest : float
        Output of `largest_factor` for the dataset.
    ignore_index : int
        Target of pixels that do not count.

    Returns
    -------
    float
        At least 1. An image with fewer labels than others gets the same factor, `largest`, so that all pixels
        count the same. One with more gets a smaller one, so that its gradient is not larger than that of a
        fully labelled image.
    """
    if largest == 1.0:
        return 1.0
    labelled = int((labels != ignore_index).sum())
    return max(1.0, min(largest, ENOUGH * labels.size / labelled)) if labelled else 1.0
