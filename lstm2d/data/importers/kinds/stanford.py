"""Kind `stanford`: the Stanford Background data set (Gould et al., 2009), labels in *.regions.txt."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.importers.formats.text_matrix import labels_of, read_matrix
from lstm2d.data.importers.named_files import files_in, unpaired
from lstm2d.data.importers.source import Item, Options, Source
from lstm2d.errors import DataError
from lstm2d.io.classes import ClassInfo
from lstm2d.io.images import IMAGE_SUFFIXES

KIND = "stanford"
CLASSES = (
    ClassInfo("sky", (135, 206, 235)),
    ClassInfo("tree", (34, 102, 51)),
    ClassInfo("road", (128, 128, 128)),
    ClassInfo("grass", (124, 205, 80)),
    ClassInfo("water", (30, 90, 180)),
    ClassInfo("building", (178, 92, 64)),
    ClassInfo("mountain", (139, 115, 85)),
    ClassInfo("foreground", (220, 60, 120)),
)
_ENDING = ".regions.txt"


def recognise(src: Path) -> str | None:
    """Return why a folder holds the Stanford Background data set.

    Parameters
    ----------
    src : Path
        The folder.

    Returns
    -------
    str or None
        The reason; None if it does not.
    """
    if _root(src) is None:
        return None
    return "images/ and labels/*.regions.txt, as in the Stanford Background data set"


def open_source(src: Path, options: Options) -> Source:
    """List the images and labels of the Stanford Background data set.

    Parameters
    ----------
    src : Path
        The folder iccv09Data, or the one above it.
    options : Options
        Not used.

    Returns
    -------
    Source
        8 classes; number -1 is ignored. There are no splits: the authors draw five at random.

    Raises
    ------
    DataError
        If the folders are not found, or no image has labels.
    """
    root = _root(Path(os.path.abspath(src)))
    if root is None:
        expected = "images/*.jpg and labels/*.regions.txt"
        raise DataError("no data set of this kind", where=src, expected=expected)
    images = files_in(root / "images", IMAGE_SUFFIXES)
    labels = files_in(root / "labels", (_ENDING,))
    items = tuple(
        Item(stem.replace("/", "_"), image, partial(_labels, labels[stem]))
        for stem, image in images.items()
        if stem in labels
    )
    if not items:
        raise DataError(
            "no image has labels", where=root, expected="images/STEM.jpg, labels/STEM.regions.txt"
        )
    return Source(
        KIND,
        "stanford_background",
        CLASSES,
        items,
        (
            f"{len(items)} images with class numbers in labels/*{_ENDING}: 0 to 7, and -1 for unknown",
            "no splits: the authors draw them at random",
        ),
        tuple(unpaired(images, labels, "labels")),
    )


def _root(src: Path) -> Path | None:
    for root in (src, src / "iccv09Data"):
        try:
            with os.scandir(root / "labels") as entries:
                if os.path.isdir(root / "images") and any(entry.name.endswith(_ENDING) for entry in entries):
                    return root
        except OSError:
            continue
    return None


def _labels(path: Path) -> NDArray[np.uint8]:
    return labels_of(read_matrix(path), path, len(CLASSES), first=0, unknown=(-1,))
