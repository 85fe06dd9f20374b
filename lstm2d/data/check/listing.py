"""List the files of a dataset without giving up at the first that is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lstm2d.data.check.finding import Finding, shown
from lstm2d.data.index import Place
from lstm2d.data.layout import REFUSED_SUFFIXES, entries, files_by_stem
from lstm2d.errors import DataError
from lstm2d.io.image_kinds import kind_not_read
from lstm2d.io.images import IMAGE_SUFFIXES
from lstm2d.io.masks import MASK_SUFFIXES


@dataclass(frozen=True, slots=True)
class Pair:
    """An image and its mask, as far as they exist.

    Parameters
    ----------
    name : str
        Name of the image in the dataset.
    image, mask : Path or None
        The files; None if there is none.
    extra : tuple of Path, optional
        Further images of the same stem, which are only read.
    """

    name: str
    image: Path | None
    mask: Path | None
    extra: tuple[Path, ...] = ()

    @property
    def files(self) -> list[Path]:
        """All files of the pair."""
        return [path for path in (self.image, self.mask, *self.extra) if path is not None]


@dataclass
class Listing:
    """The files of a dataset.

    Parameters
    ----------
    root : Path
        The dataset's folder.
    pairs : dict of str to Pair
        Images and masks by name.
    findings : list of Finding
        Folders that cannot be read, and files that share a stem.
    """

    root: Path
    pairs: dict[str, Pair] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def images(self) -> dict[str, Path]:
        """The images by name."""
        return {name: pair.image for name, pair in self.pairs.items() if pair.image is not None}


def list_files(root: Path, places: Sequence[Place]) -> Listing:
    """List images and masks.

    Parameters
    ----------
    root : Path
        The dataset's folder.
    places : sequence of Place
        Its folders.

    Returns
    -------
    Listing
        The files, and what is wrong with their names.
    """
    listing = Listing(root)
    for place in places:
        images = _files(listing, place.images, IMAGE_SUFFIXES, "images")
        masks = _files(listing, place.masks, (*MASK_SUFFIXES, *REFUSED_SUFFIXES), "masks")
        for stem, paths in masks.items():  # an unreadable kind counts only if there is no other
            masks[stem] = [p for p in paths if p.suffix.lower() in MASK_SUFFIXES] or paths
        listing.findings += _same_stems(root, "image", images.values())
        listing.findings += _same_stems(root, "mask", masks.values())
        listing.findings += _same_letters(root, images)
        listing.findings += _not_read(root, place.images)
        for stem in sorted({*images, *masks}):
            ours, theirs = images.get(stem, []), masks.get(stem, [])
            pair = Pair(place.name(stem), _first(ours), _first(theirs), tuple(ours[1:]))
            listing.pairs[pair.name] = pair
    return listing


def unpaired(listing: Listing, used: set[str] | None) -> Iterator[Finding]:
    """Return images without mask and masks without image.

    Parameters
    ----------
    listing : Listing
        The files.
    used : set of str, or None
        Names in any split; None if there are no splits and all images are used.

    Yields
    ------
    Finding
        One per file; a single one for names that differ only in capital letters.
    """
    images = {name: pair.image for name, pair in listing.pairs.items() if pair.mask is None and pair.image}
    masks = {name: pair.mask for name, pair in listing.pairs.items() if pair.image is None and pair.mask}
    by_letters = {name.casefold(): name for name in masks}
    alike = any(name.casefold() in by_letters for name in images)
    if images and masks and not alike and len(images) + len(masks) == len(listing.pairs):
        first, second = next(iter(images.values())), next(iter(masks.values()))
        text = f"no image has a mask of the same name (the first are {first.name} and {second.name})"
        hint = "`lstm2d data import` writes a folder with equal names"
        yield Finding("dataset", shown(second.parent, listing.root), f"{text}; {hint}")
        return
    for name, image in images.items():
        other = by_letters.get(name.casefold())
        if other is not None:
            mask = shown(masks.pop(other), listing.root)
            text = f"its mask is {mask}: other capital letters"
            yield Finding("letter-case", shown(image, listing.root), text, others=(mask,))
            continue
        listed = used is None or name in used
        kind = "missing-mask" if listed else "unlabelled-image"
        yield Finding(kind, shown(image, listing.root), "there is no mask of this name")
    for mask_path in masks.values():
        yield Finding("missing-image", shown(mask_path, listing.root), "there is no image of this name")


def _files(listing: Listing, folder: Path, suffixes: Sequence[str], kind: str) -> dict[str, list[Path]]:
    try:
        found = files_by_stem(folder, suffixes, kind)
    except DataError as error:
        listing.findings.append(Finding("dataset", shown(folder, listing.root), error.what))
        return {}
    if not found and kind == "images":
        listing.findings.append(Finding("dataset", shown(folder, listing.root), "a folder without images"))
    return found


def _first(paths: Sequence[Path]) -> Path | None:
    return paths[0] if paths else None


def _same_stems(root: Path, kind: str, files: Iterable[list[Path]]) -> Iterator[Finding]:
    for first, *others in files:
        for other in others:
            text = f"{kind} of the same stem as {first.name}"
            yield Finding("same-stem", shown(other, root), text, others=(shown(first, root),))


def _same_letters(root: Path, files: dict[str, list[Path]]) -> Iterator[Finding]:
    seen: dict[str, Path] = {}
    for stem, paths in files.items():
        first = seen.setdefault(stem.casefold(), paths[0])
        if first is not paths[0]:
            text = f"differs from {first.name} only in capital letters"
            yield Finding("letter-case", shown(paths[0], root), text, others=(shown(first, root),))


def _not_read(root: Path, folder: Path) -> Iterator[Finding]:
    try:
        names = sorted(entry.name for entry in entries(folder) if not entry.name.startswith("."))
    except DataError:
        return  # reported already
    for name in names:
        kind = None if name.lower().endswith(IMAGE_SUFFIXES) else kind_not_read(name)
        if kind is not None:
            yield Finding("not-read", shown(folder / name, root), f"{kind.name}: {kind.advice}")
