"""Findings that need all images: equal ones, unusual sizes, classes of the splits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from lstm2d.data.check.finding import Finding, shown
from lstm2d.data.check.inspect import SMALLEST, Inspected
from lstm2d.data.check.prints import nearly_equal
from lstm2d.data.check.splits import Sides, opponents, role_of
from lstm2d.data.layout import some
from lstm2d.io.classes import ClassInfo

LARGEST_RATIO = 4.0  # of the square root of the pixel count to its median
FEWEST = 5  # images that have a usual size


def equal_images(
    inspected: Sequence[Inspected], files: Mapping[str, Path], splits: Mapping[str, set[str]], root: Path
) -> Iterator[Finding]:
    """Return images with equal and with nearly equal pixels.

    Parameters
    ----------
    inspected : sequence of Inspected
        All images.
    files : mapping of str to Path
        Image files by name.
    splits : mapping of str to set of str
        Names of the images of each split.
    root : Path
        The dataset's folder.

    Yields
    ------
    Finding
        One per image that equals an earlier one.
    """
    sides = Sides(splits)

    def text(verb: str, one: Inspected, other: Inspected) -> tuple[str, str]:
        """Return the name of the other file, and what to say about the two."""
        name, side = shown(files[other.name], root), sides.of(one.name, other.name)
        return name, f"{verb} {name}" + (f", which is in {side[1]}, this in {side[0]}" if side else "")

    groups: dict[bytes, list[Inspected]] = {}
    marks = []
    for one in inspected:
        if one.mark is not None:
            group = groups.setdefault(one.mark.digest, [])
            group.append(one)
            if len(group) == 1:
                marks.append(one.mark)
    firsts = [group[0] for group in groups.values()]
    for group in groups.values():
        for number, one in enumerate(group[1:], start=1):
            across = next((other for other in group[:number] if sides.of(one.name, other.name)), None)
            other = across or group[0]
            kind = "equal-images" if across is None else "equal-across-splits"
            name, said = text("equals", one, other)
            said += "" if _same_labels(one, other) else "; their masks differ"
            yield Finding(kind, shown(files[one.name], root), said, others=(name,))
    for first, second in nearly_equal(marks):
        name, said = text("nearly equals", firsts[second], firsts[first])
        file = shown(files[firsts[second].name], root)
        yield Finding("nearly-equal-images", file, said, others=(name,))


def _same_labels(one: Inspected, other: Inspected) -> bool:
    """Return whether the masks of two images have as many pixels of each label."""
    return one.labels is None or other.labels is None or np.array_equal(one.labels, other.labels)


def unusual_sizes(inspected: Sequence[Inspected], files: Mapping[str, Path], root: Path) -> Iterator[Finding]:
    """Return images that are far larger or smaller than the others.

    Parameters
    ----------
    inspected : sequence of Inspected
        All images.
    files : mapping of str to Path
        Image files by name.
    root : Path
        The dataset's folder.

    Yields
    ------
    Finding
        One per image; none for tiny images, which are findings already.
    """
    sides = {one.name: math.sqrt(one.size[0] * one.size[1]) for one in inspected if one.size is not None}
    if len(sides) < FEWEST:
        return
    usual = float(np.median(list(sides.values())))
    for one in inspected:
        if one.size is None or min(one.size) < SMALLEST:
            continue
        ratio = sides[one.name] / usual
        if not 1 / LARGEST_RATIO <= ratio <= LARGEST_RATIO:
            rows, columns = one.size
            times = f"{ratio:.1f} times larger" if ratio > 1 else f"{1 / ratio:.1f} times smaller"
            text = f"{columns}x{rows} pixels: sides {times} than the median of all images"
            yield Finding("unusual-size", shown(files[one.name], root), text)


def class_findings(
    inspected: Sequence[Inspected],
    classes: Sequence[ClassInfo],
    splits: Mapping[str, set[str]],
    file: str,
) -> Iterator[Finding]:
    """Return classes that do not occur, or not in all splits.

    Parameters
    ----------
    inspected : sequence of Inspected
        All images, with the labels of their masks.
    classes : sequence of ClassInfo
        The classes.
    splits : mapping of str to set of str
        Names of the images of each split.
    file : str
        File or folder that defines the classes.

    Yields
    ------
    Finding
        One per class that never occurs; for the others one per family of splits.
    """
    masks = {one.name: one.labels > 0 for one in inspected if one.labels is not None}
    if not masks:
        return
    everywhere = np.sum(list(masks.values()), axis=0)
    for number, info in enumerate(classes):
        if not everywhere[number]:
            yield Finding(
                "unused-class", file, f"class {number}, {info.name!r}, is in none of {_masks(len(masks))}"
            )
    for family in _families(splits):
        counts = {}
        for split in family:
            read = [masks[name] for name in splits[split] if name in masks]
            if read:
                counts[split] = np.sum(read, axis=0)
        for number, info in enumerate(classes):
            have = [split for split, found in counts.items() if found[number]]
            lack = [split for split in counts if split not in have]
            if have and lack and (len(have) == 1 or any(role_of(split)[0] == "train" for split in lack)):
                where = ", ".join(f"{split} ({_masks(counts[split][number])})" for split in have)
                text = f"class {number}, {info.name!r}: in {where}, not in {some(lack)}"
                yield Finding("class-in-one-split", file, text)


def _masks(number: int) -> str:
    return f"{number} mask" + ("s" if number > 1 else "")


def _families(splits: Mapping[str, object]) -> list[list[str]]:
    """Return the splits that belong together: train, val and test of one family."""
    families: dict[str, dict[str, None]] = {}
    for first, second in opponents(splits):
        families.setdefault(role_of(first)[1], {}).update({first: None, second: None})
    return [list(family) for family in families.values()]
