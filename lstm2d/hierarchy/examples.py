"""Example pixels of each subclass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lstm2d.data.dataset import Images
from lstm2d.data.folder import DatasetFolder, Sample
from lstm2d.errors import DataError
from lstm2d.hierarchy.hierarchy import Hierarchy
from lstm2d.hierarchy.labels import SubclassLabels
from lstm2d.random import Purpose, generator

GRID = 17  # pixels between candidates: about 300 pixels for each, as a superpixel


@dataclass(frozen=True)
class Place:
    """A pixel of an image.

    Parameters
    ----------
    sample : Sample
        The image.
    row, column : int
        The pixel.
    """

    sample: Sample
    row: int
    column: int


def find_examples(
    hierarchy: Hierarchy,
    dataset: DatasetFolder,
    samples: Sequence[Sample],
    count: int,
    *,
    seed: int = 0,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> list[list[Place]]:
    """Find pixels of each subclass in different images.

    Parameters
    ----------
    hierarchy : Hierarchy
        The hierarchy.
    dataset : DatasetFolder
        Its dataset.
    samples : sequence of Sample
        Images to search, in random order, until all examples are found. For methods sn and ic, images without
        a group are left out.
    count : int
        Largest number of examples of each subclass.
    seed : int, default 0
        Seed for the order of images and the choice of pixels.
    progress : callable, optional
        Gets the numbers of images searched and of all.

    Returns
    -------
    list of list of Place
        One list per subclass, with at most one pixel of each image. A rare subclass may have fewer, or none.
    """
    subclasses = SubclassLabels(hierarchy)
    found: list[list[Place]] = [[] for _ in range(hierarchy.n)]
    grouped = hierarchy.method != "lc"
    usable = [s for s in samples if not grouped or s.stem in hierarchy.images]
    order = generator(seed, 0, len(hierarchy.classes) + 1, Purpose.HIERARCHY).permutation(len(usable))
    for done, number in enumerate(order, start=1):
        sample = usable[number]
        labels = dataset.load_labels(sample)
        rows, columns = (np.arange(GRID // 2, side, GRID) for side in labels.shape)
        numbers = subclasses(labels, sample.stem, np.ix_(rows, columns))
        rng = generator(seed, 1, int(number), Purpose.HIERARCHY)
        for one in np.unique(numbers[numbers >= 0]).tolist():
            if len(found[one]) < count:
                places = np.argwhere(numbers == one)
                row, column = places[rng.integers(len(places))]
                found[one].append(Place(sample, int(rows[row]), int(columns[column])))
        progress(done, len(usable))
        if all(len(places) == count for places in found):
            break
    return found


def check_dataset(hierarchy: Hierarchy, dataset: Images) -> None:
    """Check that a hierarchy was built from the classes of a dataset.

    Parameters
    ----------
    hierarchy : Hierarchy
        The hierarchy.
    dataset : Images
        The dataset.

    Raises
    ------
    DataError
        If the classes differ.
    """
    theirs = tuple(info.name for info in dataset.classes)
    if theirs != hierarchy.classes:
        what = f"the label hierarchy has other classes: it was built from {hierarchy.dataset}"
        hint = "give the folder that it was built from, or build one: lstm2d hierarchy build"
        raise DataError(what, where=dataset.root, expected=", ".join(hierarchy.classes), hint=hint)
