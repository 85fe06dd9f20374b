"""Divide common classes into subclasses: by the clusters of their samples, or by groups of images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lstm2d.hierarchy.clusters import divide
from lstm2d.hierarchy.hierarchy import Subclass
from lstm2d.hierarchy.histograms import normalised
from lstm2d.hierarchy.kmeans import Clusters, kmeans
from lstm2d.hierarchy.options import Options
from lstm2d.random import Purpose, generator

Progress: TypeAlias = Callable[[str, int, int], object]

IMAGE_CLUSTERS = 8


def by_clusters(
    names: Sequence[str],
    total: Sequence[int],
    common: Sequence[int],
    samples: tuple[NDArray[np.uint8], NDArray[np.int32]],
    options: Options,
    progress: Progress,
) -> list[Subclass]:
    """Divide each common class by clusters of label histograms, see `divide`.

    Parameters
    ----------
    names : sequence of str
        Names of the K classes.
    total : sequence of int
        Number of samples of each class.
    common : sequence of int
        Numbers of the common classes.
    samples : (array of shape (N,), array of shape (N, K))
        Class and label counts of each sample.
    options : Options
        Factors and seed.
    progress : callable
        Gets a line of text, and completed and total work.

    Returns
    -------
    list of Subclass
        Sorted by class, then by size. A class whose histograms are all equal keeps one subclass.
    """
    classes, counts = samples
    limit = options.nstar_factor * largest_rare(total, common)
    found: dict[int, list[Subclass]] = {}
    for done, number in enumerate(common):
        progress(f"clustering {names[number]}", done, len(common))
        own = normalised(counts[classes == number])
        clusters = divide(own, limit, seed=options.seed, number=number, factor=options.k_factor)
        order, sizes = _by_size(clusters)
        if len(order) > 1:
            found[number] = [
                Subclass(f"{names[number]} {k}", number, int(sizes[c]), tuple(clusters.centres[c].tolist()))
                for k, c in enumerate(order, start=1)
            ]
    return _with_undivided(names, total, found)


def by_groups(
    names: Sequence[str],
    common: Sequence[int],
    groups: Sequence[str],
    per_image: NDArray[np.int64],
    of_image: Sequence[int],
) -> list[Subclass]:
    """Divide each common class by the groups of the images: scenes or image clusters.

    Parameters
    ----------
    names : sequence of str
        Names of the K classes.
    common : sequence of int
        Numbers of the common classes.
    groups : sequence of str
        Names of the groups.
    per_image : array of shape (images, K), int64
        Number of samples of each class in each image.
    of_image : sequence of int
        Group of each image.

    Returns
    -------
    list of Subclass
        Sorted by class, then by group. Only combinations that occur have a subclass.
    """
    sizes = np.zeros((len(groups), len(names)), np.int64)
    np.add.at(sizes, list(of_image), per_image)
    found: dict[int, list[Subclass]] = {}
    for number in common:
        here = [group for group in range(len(groups)) if sizes[group, number]]
        if len(here) > 1:
            found[number] = [
                Subclass(f"{names[number]} / {groups[group]}", number, int(sizes[group, number]), group=group)
                for group in here
            ]
    return _with_undivided(names, per_image.sum(axis=0).tolist(), found)


def image_clusters(
    descriptors: NDArray[np.float64], seed: int, n_classes: int
) -> tuple[tuple[str, ...], list[int]]:
    """Divide images into clusters of similar descriptors.

    Parameters
    ----------
    descriptors : array of shape (images, d), float64
        One per image.
    seed : int
        Seed for the start of k-means.
    n_classes : int
        Number of classes: the numbers below it select the random numbers of the classes.

    Returns
    -------
    names : tuple of str
        Names of the clusters, the largest first; at most 8.
    of_image : list of int
        Cluster of each image.
    """
    rng = generator(seed, 0, n_classes, Purpose.HIERARCHY, IMAGE_CLUSTERS)
    clusters = kmeans(descriptors, IMAGE_CLUSTERS, rng)
    order, _ = _by_size(clusters)
    rank = {cluster: k for k, cluster in enumerate(order)}
    names = tuple(f"cluster {k}" for k in range(1, len(order) + 1))
    return names, [rank[cluster] for cluster in clusters.labels.tolist()]


def largest_rare(total: Sequence[int], common: Sequence[int]) -> int:
    """Return n* of Algorithm 1: the size of the largest rare class.

    Parameters
    ----------
    total : sequence of int
        Number of samples of each class.
    common : sequence of int
        Numbers of the common classes.

    Returns
    -------
    int
        If no rare class occurs, the size of the smallest class.
    """
    rare = [count for number, count in enumerate(total) if number not in common and count]
    return max(rare) if rare else min(total[number] for number in common)


def _by_size(clusters: Clusters) -> tuple[list[int], list[int]]:
    """Return the clusters that have samples, the largest first, and the sizes of all."""
    sizes: list[int] = clusters.sizes.tolist()
    return sorted((c for c, size in enumerate(sizes) if size), key=lambda c: -sizes[c]), sizes


def _with_undivided(
    names: Sequence[str], total: Sequence[int], divided: Mapping[int, list[Subclass]]
) -> list[Subclass]:
    """Return all subclasses, with one for each class that is not divided."""
    return [
        one
        for number, name in enumerate(names)
        for one in divided.get(number, [Subclass(name, number, total[number])])
    ]
