"""Kind `pairs`: folders of images and masks, in any common naming."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from lstm2d.data.importers.decide import Decision, decide
from lstm2d.data.importers.folder_pairs import FilePair, FolderPairs, find_pairs
from lstm2d.data.importers.formats.mask_contents import read_contents
from lstm2d.data.importers.formats.split_lists import find_splits
from lstm2d.data.importers.source import Item, Options, Source
from lstm2d.data.layout import composed
from lstm2d.errors import DataError

KIND = "pairs"
_EXPECTED = (
    "images/ and masks/, train/ and trainannot/, img_dir/ and ann_dir/, NAME.jpg and NAME_mask.png, ..."
)


def recognise(src: Path) -> str | None:
    """Return which folders hold images and masks.

    Parameters
    ----------
    src : Path
        A folder.

    Returns
    -------
    str or None
        None if no image has a mask.
    """
    try:
        found = find_pairs(src)
    except DataError as error:  # there are pairs, but which is not clear: opening reports it
        return error.what
    return None if found is None else found.reason


def open_source(src: Path, options: Options) -> Source:
    """List the pairs, and decide how the masks are read.

    Parameters
    ----------
    src : Path
        A folder.
    options : Options
        Options of the import.

    Returns
    -------
    Source
        The pairs. Splits come from the names of folders, or from lists such as train.txt.

    Raises
    ------
    ConfigError
        If the options contradict each other.
    DataError
        If there are no pairs, files cannot be read, or the masks cannot be read without further options.
    """
    found = pairs_of(src)
    contents = read_contents([(pair.image, pair.mask) for pair in found.pairs])
    return source_of(KIND, src, found, decide(src, contents, options))


def pairs_of(src: Path) -> FolderPairs:
    """Return the pairs of a folder.

    Parameters
    ----------
    src : Path
        A folder.

    Returns
    -------
    FolderPairs
        At least one pair.

    Raises
    ------
    DataError
        If there are none, or several masks fit one image.
    """
    found = find_pairs(src)
    if found is None:
        raise DataError("no image with a mask was found", where=src, expected=_EXPECTED)
    return found


def source_of(kind: str, src: Path, found: FolderPairs, decision: Decision) -> Source:
    """Return pairs and the decision on their masks as a source.

    Parameters
    ----------
    kind : str
        Name of the kind.
    src : Path
        The folder.
    found : FolderPairs
        The pairs.
    decision : Decision
        How the masks are read.

    Returns
    -------
    Source
        What is to be imported.
    """
    stems = unique_stems(found.pairs)
    splits = [pair.split for pair in found.pairs]
    notes: tuple[str, ...] = ()
    if not any(splits):
        lists = find_splits(src, [pair.image for pair in found.pairs])
        if lists is not None:
            splits, notes = lists.splits, lists.notes
    items = tuple(
        Item(stem, pair.image, partial(decision.read, pair.mask), split)
        for stem, pair, split in zip(stems, found.pairs, splits, strict=True)
    )
    lines = (found.reason, *decision.found, *notes)
    return Source(kind, src.resolve().name or "dataset", decision.classes, items, lines, found.left_out)


def unique_stems(pairs: Sequence[FilePair]) -> list[str]:
    """Return a name for each image.

    Parameters
    ----------
    pairs : sequence of FilePair
        Images and masks.

    Returns
    -------
    list of str
        Stems of the images; if two are equal, all names begin with those of the folders that differ.
    """
    stems = [pair.image.stem for pair in pairs]
    if len({composed(stem) for stem in stems}) == len(stems):
        return stems
    shortest = min(len(pair.parts) for pair in pairs)
    longest = max(len(pair.parts) for pair in pairs)
    # the parts of the paths that are not the same for all images
    kept = [k for k in range(longest) if k >= shortest or len({pair.parts[k] for pair in pairs}) > 1]
    folders = [[pair.parts[k] for k in kept if k < len(pair.parts)] for pair in pairs]
    return ["_".join([*parts, stem]) for parts, stem in zip(folders, stems, strict=True)]
