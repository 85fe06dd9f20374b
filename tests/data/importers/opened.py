"""Read what an importer found."""

import numpy as np

from lstm2d.data.importers.source import Source


def labels_of(source: Source) -> dict[str, np.ndarray]:
    """Return the labels of each image by its new name."""
    return {item.stem: item.labels() for item in source.items}


def names_of(source: Source) -> list[str]:
    """Return the names of the classes."""
    return [info.name for info in source.classes]


def splits_of(source: Source) -> dict[str, str]:
    """Return the split of each image by its new name."""
    return {item.stem: item.split for item in source.items}
