"""Filling of unlabelled pixels with the labels that a model predicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.mapping import IGNORE

Image: TypeAlias = NDArray[np.uint8] | NDArray[np.float32]
Labels: TypeAlias = NDArray[np.uint8]
Fill: TypeAlias = Callable[[Image], Labels]

LABELLED = 0.9
"""Images with a smaller share of labelled pixels are filled."""


def filled(image: Image, labels: Labels, fill: Fill | None) -> Labels:
    """Replace the ignored pixels of an image under 90 % labelled.

    Parameters
    ----------
    image : array of shape (H, W, 3)
        Red, green, blue in 0..255.
    labels : array of shape (H, W), uint8
        Class numbers; 255 where ignored.
    fill : callable or None
        Returns the labels that a model predicts for an image; None if nothing is filled.

    Returns
    -------
    array of shape (H, W), uint8
        `labels` itself if nothing is filled.
    """
    if fill is None or np.mean(labels != IGNORE) >= LABELLED:
        return labels
    return np.where(labels == IGNORE, fill(image), labels)
