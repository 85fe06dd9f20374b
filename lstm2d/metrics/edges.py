"""Pixels near the borders between classes, where labels are hardest."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import ConfigError, ShapeError

WIDEST = 100  # pixels; time grows with the square


def edge_band(labels: NDArray[np.integer[Any]], width: int) -> NDArray[np.bool_]:
    """Return which pixels lie near a pixel with another label ("trimap").

    Parameters
    ----------
    labels : array of shape (H, W), integer
        True labels. The ignored label is a label here like any other: datasets that draw borders as a strip
        of ignored pixels have their edges there.
    width : int
        Largest distance of the two pixels' centres, in pixels, 1 to 100. With 1 the band is the pixels on
        both sides of each edge.

    Returns
    -------
    array of shape (H, W), bool
        True in the band.

    Raises
    ------
    ShapeError
        If the labels have not two axes.
    ConfigError
        If the width is out of its range.

    Notes
    -----
    After P. Kohli, L. Ladicky and P. H. S. Torr, "Robust Higher Order Potentials for Enforcing Label
    Consistency", IJCV 2009, who evaluate on such bands.
    """
    if labels.ndim != 2:
        raise ShapeError("labels with other axes", where=labels.shape, expected="(H, W)")
    if not 1 <= width <= WIDEST:
        raise ConfigError(f"a band of {width} pixels along the edges", expected=f"1 to {WIDEST}")
    band = np.zeros(labels.shape, dtype=np.bool_)
    height, columns = labels.shape
    # each pair of pixels once: those above, and to the left in the same row, see this one in their turn
    for down in range(min(width, height - 1) + 1):
        reach = min(int((width**2 - down**2) ** 0.5), columns - 1)
        for right in range(-reach if down else 1, reach + 1):
            here = (slice(0, height - down), slice(max(0, -right), columns - max(0, right)))
            there = (slice(down, height), slice(max(0, right), columns + min(0, right)))
            differ = labels[here] != labels[there]
            band[here] |= differ
            band[there] |= differ
    return band
