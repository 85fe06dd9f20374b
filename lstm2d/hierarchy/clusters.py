"""The number of clusters of a common class: Algorithm 1 of Wang et al. (2017)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from lstm2d.hierarchy.kmeans import Clusters, kmeans
from lstm2d.random import Purpose, generator

FEWEST, MOST = 2, 15


def divide(
    samples: NDArray[np.float64], limit: float, *, seed: int, number: int, factor: float = 1.0
) -> Clusters:
    """Divide the samples of a class into as many clusters as Algorithm 1 [1]_ finds.

    Parameters
    ----------
    samples : array of shape (n, d), float64
        Normalised label histograms of the class.
    limit : float
        Each cluster must have more samples than this: those of the largest rare class, times a factor.
    seed : int
        Seed for the starts of k-means.
    number : int
        Number of the class; it selects the random numbers, with the seed and the number of clusters.
    factor : float, default 1.0
        Multiplies the number of clusters found. The result is rounded, at least 1.

    Returns
    -------
    Clusters
        The run of k-means with that number of clusters, whether it converged or not. It has fewer clusters
        if fewer samples are different.

    Notes
    -----
    The number is 2 at first. For i from 2 to 15, k-means is run with i clusters; a run that does not converge
    within 100 iterations is skipped; if each cluster has more than `limit` samples, the number becomes i,
    else the search ends.

    References
    ----------
    .. [1] Z. Wang et al., "Learning Deep Representations for Scene Labeling with Semantic Context Guided
       Supervision", 2017, section 3.1.2.
    """
    runs: dict[int, Clusters] = {}

    def run(count: int) -> Clusters:
        if count not in runs:
            runs[count] = kmeans(samples, count, generator(seed, 0, number, Purpose.HIERARCHY, count))
        return runs[count]

    chosen = FEWEST
    for count in range(FEWEST, MOST + 1):
        found = run(count)
        if not found.converged:
            continue
        if len(found.centres) < count or found.sizes.min() <= limit:
            break
        chosen = count
    return run(max(1, math.floor(chosen * factor + 0.5)))
