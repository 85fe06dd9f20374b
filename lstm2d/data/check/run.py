"""Check a dataset folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lstm2d.data.check.compare import FEWEST, class_findings, equal_images, unusual_sizes
from lstm2d.data.check.finding import Finding, Report, ordered, shown
from lstm2d.data.check.inspect import Inspected, Inspector
from lstm2d.data.check.listing import Listing, Pair, list_files, unpaired
from lstm2d.data.check.splits import read_splits, shared_images
from lstm2d.data.description import Description
from lstm2d.data.guess import guess_folders, guess_from_counts
from lstm2d.data.index import outline, places_of
from lstm2d.data.layout import composed, some
from lstm2d.data.mapping import IGNORE
from lstm2d.data.parallel import Progress, mapped
from lstm2d.errors import DataError
from lstm2d.io.classes import dataset_name

FIRST_MASKS = 8  # read by the quick form
USUAL = 0.5  # share of the images from which on a note is about all of them
COMMON = ("exif-rotation", "one-class-mask", "tiny-image")  # notes that may be about all images


def check(
    path: str | os.PathLike[str],
    *,
    splits: Iterable[str] = (),
    quick: bool = False,
    progress: Progress = lambda done, total: None,
) -> Report:
    """Find everything that is wrong or unusual in a dataset folder; no file is changed.

    Parameters
    ----------
    path : str or path
        The folder, as for `DatasetFolder`.
    splits : iterable of str, optional
        Check only the images of these splits; by default all.
    quick : bool, default False
        Read headers, names, splits and the first masks only, and compare no images.
    progress : callable, optional
        Gets the numbers of images checked and of all.

    Returns
    -------
    Report
        All findings: one wrong file never hides another.

    Raises
    ------
    DataError
        If the folder or one of `splits` does not exist.
    """
    root = Path(path)
    if not os.path.isdir(root):
        what = "folder not found" if not os.path.lexists(root) else "not a folder"
        raise DataError(what, where=root, expected="a folder with images/ and masks/")
    description, findings = _described(root)
    valid = not findings
    listing = list_files(root, places_of(root, description))
    lists, found = _splits(description, listing)
    chosen = [composed(split) for split in splits]
    if chosen:
        listing, lists = _only(listing, lists, chosen)
        found = [one for one in found if one.kind == "dataset" or Path(one.file).stem in chosen]
    findings += found
    members = {split: set(names) for split, names in lists.items()}
    findings += listing.findings
    findings += unpaired(listing, set().union(*members.values()) if members else None)
    findings += shared_images(members, listing)
    inspector = Inspector(root, description if description.classes else None)
    inspected = _inspect(inspector, listing, lists, quick, progress)
    findings += [one for each in inspected for one in each.findings]
    findings += unusual_sizes(inspected, listing.images, root)
    if not quick:
        findings += equal_images(inspected, listing.images, members, root)
        findings += _about_classes(root, description, inspected, members) if valid else []
    files = tuple(path for pair in listing.pairs.values() for path in pair.files)
    report = Report(root, description.name, len(listing.images), ordered(findings), quick, files)
    return replace(report, findings=_summed(report))


def _described(root: Path) -> tuple[Description, list[Finding]]:
    """Return what the dataset's files say about it; the usual folders if they are not valid."""
    try:
        return outline(root), []
    except DataError as error:
        images, masks = guess_folders(root)
        usual = Description(dataset_name(root.resolve().name), (), (), IGNORE, images, masks)
        file = Path(str(error.where)) if error.where is not None else root
        return usual, [Finding("dataset", shown(file, root), error.what)]


def _splits(description: Description, listing: Listing) -> tuple[dict[str, list[str]], list[Finding]]:
    """Return the images of each split."""
    lists, findings = read_splits(listing)
    if not description.folders:
        return lists, findings
    if lists or findings:
        text = "the splits are defined twice, by [folders] in dataset.toml and by this folder"
        findings = [Finding("dataset", "splits", text)]
    lists = {}
    for name in listing.images:
        lists.setdefault(name.rpartition("/")[0], []).append(name)
    return lists, findings


def _only(
    listing: Listing, lists: dict[str, list[str]], chosen: Sequence[str]
) -> tuple[Listing, dict[str, list[str]]]:
    """Return the files of some splits alone."""
    for split in chosen:
        if split not in lists:
            expected = (
                f"one of {some(list(lists))}" if lists else "a folder splits/ with train.txt and val.txt"
            )
            raise DataError(f"no split {split!r}", where=listing.root, expected=expected)
    names = {name for split in chosen for name in lists[split]}
    pairs = {name: pair for name, pair in listing.pairs.items() if name in names}
    files = {shown(path, listing.root) for pair in pairs.values() for path in pair.files}
    findings = [one for one in listing.findings if one.kind == "dataset" or one.file in files]
    return Listing(listing.root, pairs, findings), {split: lists[split] for split in chosen}


def _inspect(
    inspector: Inspector, listing: Listing, lists: dict[str, list[str]], quick: bool, progress: Progress
) -> list[Inspected]:
    """Read all images and masks, in as many threads as kernels use."""
    pairs = [*listing.pairs.values()]
    first = {name for names in lists.values() for name in names[:FIRST_MASKS]}
    first |= {pair.name for pair in pairs[:FIRST_MASKS]} if not lists else set()

    def look(pair: Pair) -> Inspected:
        if not quick:
            return inspector.read(pair)
        return inspector.glance_and_read_mask(pair) if pair.name in first else inspector.glance(pair)

    return mapped(look, pairs, progress)


def _about_classes(
    root: Path, description: Description, inspected: Sequence[Inspected], members: dict[str, set[str]]
) -> list[Finding]:
    """Return classes that do not occur everywhere; guess the classes if nothing defines them."""
    file = "dataset.toml" if os.path.exists(root / "dataset.toml") else "labelmap.txt"
    if not description.classes:
        file = shown(places_of(root, description)[0].masks, root)
        read = [(one.labels, one.palette) for one in inspected if one.labels is not None]
        if not read:
            return []
        counts = np.sum([labels for labels, _ in read], axis=0)
        try:
            description = guess_from_counts(root, description, counts, read[0][1])
        except DataError as error:
            return [Finding("dataset", file, f"{error.what}; expected: {error.expected}")]
    return [*class_findings(inspected, description.classes, members, file)]


def _summed(report: Report) -> tuple[Finding, ...]:
    """Return the findings with one instead of many, where a note is true of most images."""
    findings = report.findings
    for kind in COMMON:
        same = report.of_kind(kind)
        if len(same) > max(FEWEST, USUAL * report.images):
            folder = Path(same[0].file).parent.as_posix()
            text = f"{len(same)} of {report.images}, for example {Path(same[0].file).name}: {same[0].message}"
            others = tuple(one.file for one in same)
            findings = tuple(one for one in findings if one.kind != kind)
            findings = ordered([*findings, Finding(kind, folder, text, others=others)])
    return findings
