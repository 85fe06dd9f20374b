"""Guess the classes of masks if no dataset.toml defines them."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.description import Description
from lstm2d.data.mapping import IGNORE, ValueMap
from lstm2d.errors import DataError
from lstm2d.io.classes import ClassInfo, default_color
from lstm2d.io.masks import read_mask, read_mask_palette

MANY_CLASSES = 40  # most datasets have fewer
NEAR_WHITE = 200  # labels from here up are gray levels near white: no common dataset has this many classes

_IMAGES = ("images", "image", "imgs", "img", "photos", "JPEGImages")
_MASKS = ("masks", "mask", "labels", "label", "annotations", "SegmentationClass")


def guess_folders(root: Path) -> tuple[str, str]:
    """Find the folders of images and masks by their usual names.

    Parameters
    ----------
    root : Path
        The dataset's folder.

    Returns
    -------
    tuple of str
        Names of the folders of images and of masks; the default names if none is found.
    """

    def first(names: tuple[str, ...]) -> str:
        return next((n for n in names if os.path.isdir(root / n)), names[0])

    return first(_IMAGES), first(_MASKS)


def guess_description(root: Path, folders: Description, masks: list[Path], *, max_pixels: int) -> Description:
    """Guess the classes from all masks.

    Parameters
    ----------
    root : Path
        The dataset's folder.
    folders : Description
        Name and folders of the dataset; without classes.
    masks : list of Path
        The masks, at least one.
    max_pixels : int
        Maximum number of pixels of a mask.

    Returns
    -------
    Description
        See `guess_from_counts`.

    Raises
    ------
    DataError
        If a mask cannot be read or holds colours, or as for `guess_from_counts`.
    """
    counts = np.zeros(256, dtype=np.int64)
    for path in masks:
        counts += np.bincount(read_mask(path, max_pixels=max_pixels).ravel(), minlength=256)
    return guess_from_counts(root, folders, counts, read_mask_palette(masks[0]))


def guess_from_counts(
    root: Path, folders: Description, counts: NDArray[np.int64], palette: NDArray[np.uint8] | None
) -> Description:
    """Guess the classes from the values in masks.

    Parameters
    ----------
    root : Path
        The dataset's folder.
    folders : Description
        Name and folders of the dataset; without classes.
    counts : array of shape (256,), int64
        Number of pixels with each value; not all zero.
    palette : array of shape (256, 3), uint8, or None
        Palette of the first mask.

    Returns
    -------
    Description
        Classes 0 to the highest value below 255; 255 is ignored. Colours come from the palette if they are
        all different.

    Raises
    ------
    DataError
        If the values do not look like class numbers or are ambiguous: only 0 and 255, or these and the
        values that smoothing leaves between them. The message then contains a dataset.toml for each
        interpretation.
    """
    values = np.flatnonzero(counts).tolist()
    where = root / (folders.folders[0][2] if folders.folders else folders.masks)
    if values == [0, IGNORE]:
        raise _two_readings(root, folders, where)
    if smoothed(counts):
        raise _smoothed_error(root, folders, where)
    labels = [v for v in values if v != IGNORE]
    if not labels or labels == [0]:
        expected = "masks with at least two classes"
        raise DataError(f"all masks hold the same value, {values[-1]}", where=where, expected=expected)
    if like_gray_levels(labels):
        shown = ", ".join(map(str, values[:8])) + (", ..." if len(values) > 8 else "")
        raise DataError(
            f"the mask values ({shown}) do not look like class numbers",
            where=where,
            expected="0, 1, 2, ..., and 255 for unlabelled pixels",
            hint="write a dataset.toml with [[classes]] that have a name, a color and a value (in the masks)",
        )
    colors = _colors(palette, labels[-1] + 1)
    classes = tuple(ClassInfo(f"class_{i}", color) for i, color in enumerate(colors))
    indices = range(len(classes))
    uncolored = frozenset(i for i in indices if colors[i] == default_color(i))
    return replace(folders, classes=classes, values=tuple(indices), uncolored=uncolored)


def smoothed(counts: NDArray[np.int64]) -> bool:
    """Return whether masks of 0 and 255 were smoothed, by resizing or JPEG.

    Parameters
    ----------
    counts : array of shape (256,), int64
        Number of pixels with each value.

    Returns
    -------
    bool
        Whether most pixels are 0 or 255, and nearly all values between occur, or at least high ones.
    """
    highest = int(np.flatnonzero(counts[:IGNORE]).max(initial=0))
    extremes = counts[0] + counts[IGNORE]
    if counts[0] == 0 or highest < MANY_CLASSES:
        return False
    return highest >= NEAR_WHITE or bool(counts[IGNORE] and extremes > 0.8 * counts.sum())


def like_gray_levels(labels: list[int]) -> bool:
    """Return whether mask values look like gray levels rather than class numbers.

    Parameters
    ----------
    labels : list of int
        The values that occur, sorted, without 255.

    Returns
    -------
    bool
        For example True for 0, 85, 170.
    """
    highest = labels[-1]
    return math.gcd(*labels) >= 10 or (highest >= 40 and 4 * len(labels) <= highest)


def _colors(palette: NDArray[np.uint8] | None, n_classes: int) -> list[tuple[int, int, int]]:
    if palette is not None:
        colors = [(int(r), int(g), int(b)) for r, g, b in palette[:n_classes]]
        if len(set(colors)) == n_classes:
            return colors
    return [default_color(i) for i in range(n_classes)]


def _smoothed_error(root: Path, folders: Description, where: Path) -> DataError:
    classes = (ClassInfo("background", default_color(0)), ClassInfo("foreground", default_color(1)))
    mapping = ValueMap(((0, 0), (255, 1)), others=IGNORE)
    only_ends = replace(folders, classes=classes, values=(0, 1), ignore=254, mapping=mapping)
    return DataError(
        "the masks hold 0, 255 and many values between, as if they had been smoothed",
        where=where,
        expected="masks of class numbers, resized without smoothing (nearest neighbour)",
        hint=f"save them again; or write this to {root / 'dataset.toml'} to ignore the values between; "
        f"if the values are class numbers, list all classes there\n\n{only_ends.to_toml()}",
    )


def _two_readings(root: Path, folders: Description, where: Path) -> DataError:
    black, red = default_color(0), default_color(1)
    object_ = replace(
        folders,
        classes=(ClassInfo("background", black), ClassInfo("foreground", red)),
        values=(0, IGNORE),
        ignore=254,
    )
    unlabelled = replace(
        folders, classes=(ClassInfo("class_0", black), ClassInfo("class_1", red)), values=(0, 1)
    )
    remark = {1: "not in these masks: rename it to your second class"}
    return DataError(
        "the masks hold only 0 and 255, which is ambiguous",
        where=where,
        expected="a dataset.toml that defines them",
        hint=f"write one of these two to {root / 'dataset.toml'}\n\n"
        f"# 1: 0 is the background, 255 the object\n{object_.to_toml()}\n"
        f"# 2: 0 is a class, 255 marks unlabelled pixels\n{unlabelled.to_toml(remark)}",
    )
