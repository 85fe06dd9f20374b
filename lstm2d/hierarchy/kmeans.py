"""K-means, with the same result for any number of threads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lstm2d import kernels

ITERATIONS = 100
_BLOCK = 4096  # samples multiplied at once
_STEPS = 2.0**30  # samples are rounded to multiples of 1 / _STEPS: sums of 8 million are exact, in any order
_MARGIN = 1e-6  # above the rounding errors of distances


@dataclass(frozen=True)
class Clusters:
    """A run of k-means.

    Parameters
    ----------
    labels : array of shape (n,), int64
        Number of the cluster of each sample.
    centres : array of shape (k, d), float64
        Means of the clusters.
    converged : bool
        Whether the last iteration moved no sample to another cluster.
    """

    labels: NDArray[np.int64]
    centres: NDArray[np.float64]
    converged: bool

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Number of samples of each cluster, shape (k,)."""
        return np.bincount(self.labels, minlength=len(self.centres))


def kmeans(
    samples: NDArray[np.float64], count: int, rng: np.random.Generator, iterations: int = ITERATIONS
) -> Clusters:
    """Divide samples into clusters by Lloyd's iterations from a k-means++ start [1]_.

    Parameters
    ----------
    samples : array of shape (n, d), float64
        One or more samples, values in -1..1.
    count : int
        Number of clusters, at least 1. There are fewer if fewer samples are different.
    rng : numpy.random.Generator
        Draws the start.
    iterations : int, default 100
        Most iterations. Each assigns the samples to the nearest centres, the first of equally near ones, and
        moves the centres to the means; the centre of a cluster without samples stays.

    Returns
    -------
    Clusters
        The clusters after the last iteration.

    Notes
    -----
    A sample is compared with the centres only if they have moved so far that another one might be nearer
    [2]_; this does not change the clusters.

    References
    ----------
    .. [1] D. Arthur and S. Vassilvitskii, "k-means++: The Advantages of Careful Seeding", SODA 2007.
    .. [2] G. Hamerly, "Making k-means Even Faster", SIAM International Conference on Data Mining, 2010.
    """
    samples = np.round(samples * _STEPS) / _STEPS
    centres = _start(samples, count, rng)
    labels, own, other = _two_nearest(samples, centres)
    sums, sizes = _sums(samples, labels, len(centres))
    for _ in range(iterations - 1):
        before, centres = centres, _means(sums, sizes, centres)
        shift = np.sqrt(((centres - before) ** 2).sum(axis=1))
        own += shift[labels]
        other -= shift.max()
        unsure = np.flatnonzero(own + _MARGIN >= other)
        nearest, own[unsure], other[unsure] = _two_nearest(samples[unsure], centres)
        change = nearest != labels[unsure]
        if not change.any():
            return Clusters(labels, centres, converged=True)
        moved, target = unsure[change], nearest[change]
        gained, lost = (_sums(samples[moved], side, len(centres)) for side in (target, labels[moved]))
        sums, sizes = sums + gained[0] - lost[0], sizes + gained[1] - lost[1]
        labels[moved] = target
    return Clusters(labels, _means(sums, sizes, centres), converged=False)


def _two_nearest(
    samples: NDArray[np.float64], centres: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the nearest centre of each sample, the distance from it and from the second nearest."""
    weight, bias = np.ascontiguousarray(-2 * centres.T), (centres**2).sum(axis=1)
    linear = kernels.pick("linear", like=samples)
    # squared distances but for the length of the sample, which is the same for all centres
    parts = [linear.linear_forward(blocks, weight, bias) for blocks in _blocks(samples)]
    partial = np.concatenate(
        [part.reshape(-1, len(centres)) for part in parts] or [np.empty((0, len(centres)))]
    )
    nearest = partial.argmin(axis=1)
    rows, length = np.arange(len(samples)), (samples**2).sum(axis=1)
    own = np.sqrt(np.maximum(partial[rows, nearest] + length, 0))
    partial[rows, nearest] = np.inf
    return nearest, own, np.sqrt(np.maximum(partial.min(axis=1) + length, 0))


def _start(samples: NDArray[np.float64], count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw samples as centres, each in proportion to its squared distance from those drawn before."""
    chosen = [int(rng.integers(len(samples)))]
    distance = np.full(len(samples), np.inf)
    while len(chosen) < count:
        distance = np.minimum(distance, ((samples - samples[chosen[-1]]) ** 2).sum(axis=1))
        if not distance.any():
            break
        chosen.append(int(rng.choice(len(samples), p=distance / distance.sum())))
    return samples[chosen]


def _sums(
    samples: NDArray[np.float64], labels: NDArray[np.int64], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sum of the samples of each cluster, and their number."""
    member = np.equal(labels[:, None], np.arange(count)).astype(np.float64)
    linear = kernels.pick("linear", like=samples)
    total = np.zeros((count, samples.shape[1]))
    for own, blocks in zip(_blocks(member), _blocks(samples), strict=True):
        total += linear.linear_grad_weight(own, blocks)
    return total, member.sum(axis=0)


def _means(
    sums: NDArray[np.float64], sizes: NDArray[np.float64], centres: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the means of the clusters; an empty cluster keeps its centre."""
    return np.where(sizes[:, None] > 0, sums / np.maximum(sizes, 1)[:, None], centres)


def _blocks(values: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return rows in blocks of equal length, (blocks, rows, d), and the rest as one block."""
    whole = len(values) // _BLOCK * _BLOCK
    parts = [values[:whole].reshape(-1, _BLOCK, values.shape[1]), values[None, whole:]]
    return [part for part in parts if part.size]
