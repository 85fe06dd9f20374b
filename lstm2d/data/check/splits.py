"""Check splits: lines without image, shared images, and which splits must not share any."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path

from lstm2d.data.check.finding import Finding, shown
from lstm2d.data.check.listing import Listing
from lstm2d.data.layout import some
from lstm2d.data.lists import empty_split, missing_stem, split_files, split_lines
from lstm2d.errors import DataError

_ROLE = re.compile(r"(?<![a-z])(train|val|valid|validation|dev|test)(?![a-z])", re.IGNORECASE)
_NAMES = {"valid": "val", "validation": "val", "dev": "val"}


def read_splits(listing: Listing) -> tuple[dict[str, list[str]], list[Finding]]:
    """Read all splits/*.txt.

    Parameters
    ----------
    listing : Listing
        The files of the dataset.

    Returns
    -------
    splits : dict of str to list of str
        Names of the existing images of each split, each once.
    findings : list of Finding
        What is wrong with the lines.
    """
    root, images = listing.root, listing.images
    try:
        files = split_files(root)
    except DataError as error:
        return {}, [Finding("dataset", "splits", error.what)]
    splits: dict[str, list[str]] = {}
    findings: list[Finding] = []
    letters = {name.casefold(): name for name in images}
    for split, path in files.items():
        splits[split] = []
        try:
            if os.path.isfile(path) and path.stat().st_size == 0:
                findings.append(Finding("empty-file", shown(path, root), "0 bytes"))
                continue
            lines = split_lines(path)
        except (DataError, OSError) as error:
            what = error.what if isinstance(error, DataError) else str(error.strerror)
            findings.append(Finding("dataset", shown(path, root), what))
            continue
        if not lines:
            findings.append(Finding("empty-split", shown(path, root), empty_split(path).what))
            continue
        splits[split] = list(dict.fromkeys(stem for _, stem in lines if stem in images))
        findings += _wrong_lines(lines, path, listing, letters)
    return splits, findings


def _wrong_lines(
    lines: list[tuple[int, str]], path: Path, listing: Listing, letters: Mapping[str, str]
) -> Iterator[Finding]:
    file, images = shown(path, listing.root), listing.images
    seen: dict[str, int] = {}
    for number, stem in lines:
        if stem in seen:
            text = f"{stem!r} again, first in line {seen[stem]}"
            yield Finding("split-entry", file, text, {"line": number})
        elif stem not in images:
            error = missing_stem(stem, number, path, images)
            other = letters.get(stem.casefold())
            hint = f"; there is {other!r}, with other capital letters" if other else ""
            text = error.what.removeprefix(f"line {number}: ")
            yield Finding("split-entry", file, text + hint, {"line": number})
        seen.setdefault(stem, number)


def role_of(split: str) -> tuple[str, str]:
    """Return what a split is for, and the family of splits that it belongs to.

    Parameters
    ----------
    split : str
        Its name, such as "train" or "fold1_test".

    Returns
    -------
    role : str
        "train", "val" or "test"; "" if the name does not tell.
    family : str
        The rest of the name: splits of one family must not share images, those of different families
        (the folds of a cross-validation) may.
    """
    found = _ROLE.search(split)
    if found is None:
        return "", split
    role = found[1].lower()
    return _NAMES.get(role, role), split[: found.start()] + "*" + split[found.end() :]


def opponents(splits: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return the pairs of splits that must not share images: different roles in one family.

    Parameters
    ----------
    splits : mapping
        Its keys are the names.

    Returns
    -------
    list of (str, str)
        The family of the shortest name comes first, such as train and test before the folds.
    """
    pairs = []
    for first, second in combinations(splits, 2):
        (role, family), (other, same) = role_of(first), role_of(second)
        if role and other and role != other and family == same:
            pairs.append((first, second))
    return sorted(pairs, key=lambda pair: len(role_of(pair[0])[1]))


class Sides:
    """Says whether two images are on different sides of an evaluation.

    Parameters
    ----------
    splits : mapping of str to set of str
        Names of the images of each split.
    """

    def __init__(self, splits: Mapping[str, set[str]]) -> None:
        both = [side for one, other in opponents(splits) for side in ((one, other), (other, one))]
        self._sides = [(one, splits[one], other, splits[other]) for one, other in both]

    def of(self, first: str, second: str) -> tuple[str, str] | None:
        """Return the splits of two images, None if no evaluation has them on different sides."""
        for one, ours, other, theirs in self._sides:
            if first in ours and second in theirs:
                return one, other
        return None


def shared_images(splits: Mapping[str, set[str]], listing: Listing) -> Iterator[Finding]:
    """Return the images that are on both sides of an evaluation.

    Parameters
    ----------
    splits : mapping of str to set of str
        Names of the images of each split.
    listing : Listing
        The files.

    Yields
    ------
    Finding
        One per image, whatever the number of splits.
    """
    both: dict[str, list[str]] = {}
    for one, other in opponents(splits):
        for name in splits[one] & splits[other]:
            both.setdefault(name, []).extend((one, other))
    for name, found in both.items():
        names = list(Counter(found))
        text = f"in {' and '.join(names[:2])}" + (f", also {some(names[2:])}" if names[2:] else "")
        yield Finding("shared-image", shown(listing.images[name], listing.root), text)
