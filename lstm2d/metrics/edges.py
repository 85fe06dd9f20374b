"""Pixels near the borders between classes, where labels are hardest."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import ConfigError, ShapeError

WIDEST = 100  # pixels; time grows with the square


def edge_band(labels: NDArray[np.integer[Any]], width: int) -> NDArray[np.bool_]:
    """Return a mask of the pixels near a pixel with a different label ("trimap").

    Parameters
    ----------
    labels : array of shape (H, W), integer
        True labels. The ignored label is treated as any other, because some datasets mark borders with a
        strip of ignored pixels.
    width : int
        Largest distance between the centres of the two pixels, in pixels, 1 to 100. With 1 the band contains
        the pixels on both sides of each edge.

    Returns
    -------
    array of shape (H, W), bool
        True in the band.

    Raises
    ------
    ShapeError
        If the labels do not have two axes.
    ConfigError
        If the width is out of range.

    Notes
    -----
    Used for evaluation by P. Kohli, L. Ladicky and P. H. S. Torr, "Robust Higher Order Potentials for
    Enforcing Label Consistency", IJCV 2009.
    """
    if labels.ndim != 2:
        raise ShapeError("labels must have two axes", where=labels.shape, expected="(H, W)")
    if not 1 <= width <= WIDEST:
        raise ConfigError(f"edge band of {width} pixels", expected=f"1 to {WIDEST}")
    band = np.zeros(labels.shape, dtype=np.bool_)
    height, columns = labels.shape
    # each pair of pixels once: only offsets below, or to the right in the same row
    for down in range(min(width, height - 1) + 1):
        reach = min(int((width**2 - down**2) ** 0.5), columns - 1)
        for right in range(-reach if down else 1, reach + 1):
            here = (slice(0, height - down), slice(max(0, -right), columns - max(0, right)))
            there = (slice(down, height), slice(max(0, right), columns + min(0, right)))
            differ = labels[here] != labels[there]
            band[here] |= differ
            band[there] |= differ
    return band
