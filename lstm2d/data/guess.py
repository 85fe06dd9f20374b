"""Guess what the masks of a folder mean, where no dataset.toml says it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.description import Description
from lstm2d.data.mapping import IGNORE, ValueMap
from lstm2d.errors import DataError
from lstm2d.io.classes import ClassInfo, default_color
from lstm2d.io.masks import read_mask, read_mask_palette

MANY_CLASSES = 40  # the highest class number of most datasets is below it
NEAR_WHITE = 200  # labels from here up are gray levels near white: no common dataset has as many classes

_IMAGES = ("images", "image", "imgs", "img", "photos", "JPEGImages")
_MASKS = ("masks", "mask", "labels", "label", "annotations", "SegmentationClass")


def guess_folders(root: Path) -> tuple[str, str]:
    """Find the two folders by the names that people give them.

    Parameters
    ----------
    root : Path
        The dataset's folder.

    Returns
    -------
    tuple of str
        Names of the folders of images and of masks; the default names where nothing is found.
    """

    def first(names: tuple[str, ...]) -> str:
        return next((n for n in names if (root / n).is_dir()), names[0])

    return first(_IMAGES), first(_MASKS)


def guess_description(
    root: Path, folders: tuple[str, str], masks: list[Path], *, max_pixels: int
) -> Description:
    """Guess the classes from all masks.

    Parameters
    ----------
    root : Path
        The dataset's folder.
    folders : tuple of str
        Names of the folders of images and of masks.
    masks : list of Path
        The masks, at least one.
    max_pixels : int
        Most pixels of a mask.

    Returns
    -------
    Description
        Classes 0 to the highest value below 255; 255 is ignored. Colours come from the first mask's palette
        if it tells the classes apart.

    Raises
    ------
    DataError
        If the values do not look like class numbers, or could mean two things: 0 and 255, alone or with what
        smoothing leaves between them. The message then has the dataset.toml for each reading.
    """
    counts = np.zeros(256, dtype=np.int64)
    for path in masks:
        counts += np.bincount(read_mask(path, max_pixels=max_pixels).ravel(), minlength=256)
    values = np.flatnonzero(counts).tolist()
    name = root.resolve().name or "dataset"
    if values == [0, IGNORE]:
        raise _two_readings(root, name, folders)
    if _smoothed(counts):
        raise _smoothed_error(root, name, folders)
    labels = [v for v in values if v != IGNORE]
    if not labels or labels == [0]:
        where, expected = root / folders[1], "masks with at least two classes"
        raise DataError(f"all masks hold the same value, {values[-1]}", where=where, expected=expected)
    if _like_gray_levels(labels):
        shown = ", ".join(map(str, values[:8])) + (", ..." if len(values) > 8 else "")
        raise DataError(
            f"the mask values ({shown}) do not look like class numbers",
            where=root / folders[1],
            expected="0, 1, 2, ..., and 255 for unlabelled pixels",
            hint="write a dataset.toml with [[classes]] that have a name, a color and a value (in the masks)",
        )
    colors = _colors(masks[0], labels[-1] + 1)
    classes = tuple(ClassInfo(f"class_{i}", color) for i, color in enumerate(colors))
    numbers = range(len(classes))
    unchosen = frozenset(i for i in numbers if colors[i] == default_color(i))
    return Description(name, classes, tuple(numbers), IGNORE, *folders, uncolored=unchosen)


def _smoothed(counts: NDArray[np.int64]) -> bool:
    """Return whether 0 and 255 were mixed, as resizing with smoothing and JPEG do.

    Then nearly all values between occur, or at least high ones, and 0 and 255 have most of the pixels.
    """
    highest = int(np.flatnonzero(counts[:IGNORE]).max(initial=0))
    extremes = counts[0] + counts[IGNORE]
    if counts[0] == 0 or highest < MANY_CLASSES:
        return False
    return highest >= NEAR_WHITE or bool(counts[IGNORE] and extremes > 0.8 * counts.sum())


def _like_gray_levels(labels: list[int]) -> bool:
    """Say whether values were meant to be seen (0, 85, 170) rather than counted."""
    highest = labels[-1]
    return math.gcd(*labels) >= 10 or (highest >= 40 and 4 * len(labels) <= highest)


def _colors(mask: Path, n_classes: int) -> list[tuple[int, int, int]]:
    palette: NDArray[np.uint8] | None = read_mask_palette(mask)
    if palette is not None:
        colors = [(int(r), int(g), int(b)) for r, g, b in palette[:n_classes]]
        if len(set(colors)) == n_classes:
            return colors
    return [default_color(i) for i in range(n_classes)]


def _smoothed_error(root: Path, name: str, folders: tuple[str, str]) -> DataError:
    classes = (ClassInfo("background", default_color(0)), ClassInfo("foreground", default_color(1)))
    mapping = ValueMap(((0, 0), (255, 1)), others=IGNORE)
    only_ends = Description(name, classes, (0, 1), 254, *folders, mapping)
    return DataError(
        "the masks hold 0, 255 and many values between, as smoothing of two values leaves them",
        where=root / folders[1],
        expected="masks of class numbers, resized without smoothing (nearest neighbour)",
        hint=f"make them again; or write this to {root / 'dataset.toml'}, which ignores what lies between; "
        f"if the values are class numbers, name all classes there\n\n{only_ends.to_toml()}",
    )


def _two_readings(root: Path, name: str, folders: tuple[str, str]) -> DataError:
    black, red = default_color(0), default_color(1)
    object_ = Description(
        name, (ClassInfo("background", black), ClassInfo("foreground", red)), (0, IGNORE), 254, *folders
    )
    unlabelled = Description(
        name, (ClassInfo("class_0", black), ClassInfo("class_1", red)), (0, 1), IGNORE, *folders
    )
    remark = {1: "in none of these masks: give it the name of your next class"}
    return DataError(
        "the masks hold 0 and 255 alone, which can mean two things",
        where=root / folders[1],
        expected="a dataset.toml that says which",
        hint=f"write one of these two to {root / 'dataset.toml'}\n\n"
        f"# 1: 0 is the background, 255 the object\n{object_.to_toml()}\n"
        f"# 2: 0 is a class, 255 marks pixels that nobody labelled\n{unlabelled.to_toml(remark)}",
    )
