"""Common and rare classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def common_classes(counts: Sequence[int], rho: float) -> tuple[int, ...]:
    """Choose the classes that are divided into subclasses.

    Parameters
    ----------
    counts : sequence of int
        Number of superpixels of each class; the first of equally frequent ones comes first.
    rho : float
        Classes are taken, the most frequent first, until together they have more than this share of all
        superpixels, in percent.

    Returns
    -------
    tuple of int
        Numbers of the common classes, sorted. A class without superpixels is never common.
    """
    share = 100.0 * np.cumsum(np.sort(counts)[::-1]) / max(sum(counts), 1)
    taken = int(np.sum(share <= rho)) + 1
    order = sorted(range(len(counts)), key=lambda number: -counts[number])
    return tuple(sorted(number for number in order[:taken] if counts[number]))
