"""Find the images and masks of a dataset folder."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lstm2d.errors import DataError
from lstm2d.io.images import IMAGE_SUFFIXES
from lstm2d.io.masks import MASK_SUFFIXES

REFUSED_SUFFIXES = (".jpg", ".jpeg", ".webp", ".gif")


@dataclass(frozen=True)
class Sample:
    """One image of a dataset and its mask.

    Parameters
    ----------
    stem : str
        File name without extension, in Unicode's composed form (NFC), whatever form the file system uses.
        With the folders of a split: SPLIT/NAME.
    image_path, mask_path : Path
        The two files.
    """

    stem: str
    image_path: Path
    mask_path: Path

    def image_digest(self) -> bytes | None:
        """Return a SHA-256 digest of an image that is in memory; None if it is the file `image_path`."""
        return None


def composed(name: str) -> str:
    """Return a name in Unicode's composed form (NFC), for comparisons.

    Parameters
    ----------
    name : str
        Name from a folder or a text file: macOS decomposes names, other systems compose them.

    Returns
    -------
    str
        The same string for names that look the same.
    """
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def subfolder(root: Path, name: str) -> Path:
    """Return a folder of the dataset, whatever the Unicode form of its name on disk.

    Parameters
    ----------
    root : Path
        The dataset's folder.
    name : str
        Name of the folder, or a path: relative to `root`, or absolute.

    Returns
    -------
    Path
        The folder; it may not exist.
    """
    folder = root
    for part in Path(name).parts:
        folder = _child(folder, part)
    return folder


def _child(folder: Path, name: str) -> Path:
    path = folder / name
    if name.isascii() or os.path.lexists(path) or not os.path.isdir(folder):
        return path
    return next((folder / e.name for e in entries(folder) if composed(e.name) == composed(name)), path)


def index_images(folder: Path) -> dict[str, Path]:
    """List the images of a folder by stem.

    Parameters
    ----------
    folder : Path
        The folder, or a link to it; hidden files and other file types are skipped. Links to files are
        followed.

    Returns
    -------
    dict of str to Path
        The images, sorted by stem.

    Raises
    ------
    DataError
        If the folder is not found or empty, if two files share a stem, or if a link is broken.
    """
    found = _unique(files_by_stem(folder, IMAGE_SUFFIXES, "images"), "images", folder)
    if not found:
        expected = "at least one file " + ", ".join(f"STEM{s}" for s in IMAGE_SUFFIXES[:4])
        raise DataError("a folder without images", where=folder, expected=expected)
    return found


def index_masks(folder: Path) -> dict[str, Path]:
    """List the masks of a folder by stem.

    Parameters
    ----------
    folder : Path
        The folder, or a link to it. Links to files are followed.

    Returns
    -------
    dict of str to Path
        The masks, sorted by stem. A JPEG mask is listed if there is no other, so that reading it reports
        the problem.

    Raises
    ------
    DataError
        If the folder is not found, if two files share a stem, or if a link is broken.
    """
    refused = _unique(files_by_stem(folder, REFUSED_SUFFIXES, "masks"), "masks", folder)
    masks = _unique(files_by_stem(folder, MASK_SUFFIXES, "masks"), "masks", folder)
    return dict(sorted({**refused, **masks}.items()))


def pair(
    stems: Iterable[str], images: Mapping[str, Path], masks: Mapping[str, Path], folder: Path
) -> list[Sample]:
    """Pair images and masks.

    Parameters
    ----------
    stems : iterable of str
        Stems of the images to return, in order.
    images, masks : mapping of str to Path
        Files by stem.
    folder : Path
        Folder of the masks, for messages.

    Returns
    -------
    list of Sample
        One per stem.

    Raises
    ------
    DataError
        If some images have no mask.
    """
    stems = list(stems)
    missing = [s for s in stems if s not in masks]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(stems)} images have no mask ({some(missing)})",
            where=folder,
            expected=f"a mask {missing[0].rpartition('/')[2]}.png"
            + (
                f" (found for example {min(masks.values()).name})"
                if masks and len(missing) == len(stems)
                else ""
            ),
            hint="add the masks, or list only images that have one in splits/",
        )
    return [Sample(s, images[s], masks[s]) for s in stems]


def without_image(images: Mapping[str, Path], masks: Mapping[str, Path]) -> str | None:
    """Return a note on the masks without an image.

    Parameters
    ----------
    images, masks : mapping of str to Path
        Files by stem.

    Returns
    -------
    str or None
        Their number and the first names; None if every mask has an image.
    """
    unpaired = [path.name for stem, path in masks.items() if stem not in images]
    if not unpaired:
        return None
    return f"{len(unpaired)} of {len(masks)} masks have no image and are left out ({some(unpaired)})"


def files_by_stem(folder: Path, suffixes: Sequence[str], kind: str) -> dict[str, list[Path]]:
    """List all files of a folder with some endings, also those that share a stem and broken links.

    Parameters
    ----------
    folder : Path
        The folder, or a link to it; hidden files are skipped.
    suffixes : sequence of str
        Endings in lower case, with the dot.
    kind : {"images", "masks"}
        What the files are, for messages.

    Returns
    -------
    dict of str to list of Path
        The files by stem; both are sorted.

    Raises
    ------
    DataError
        If the folder is not found or cannot be listed.
    """
    if not os.path.isdir(folder):
        what = "folder not found" if not os.path.lexists(folder) else "not a folder"
        if folder.is_symlink():
            what = "this link is broken"
        expected = f"a folder of {kind}: DIR/images/STEM.jpg, DIR/masks/STEM.png"
        raise DataError(what, where=folder, expected=expected)
    found: dict[str, list[Path]] = {}
    for name in sorted(entry.name for entry in entries(folder)):
        stem, suffix = os.path.splitext(composed(name))
        if not name.startswith(".") and suffix.lower() in suffixes:
            found.setdefault(stem, []).append(folder / name)
    return dict(sorted(found.items()))


def is_broken(path: Path) -> bool:
    """Return whether a path is a link that leads nowhere, or in a loop."""
    return path.is_symlink() and not os.path.exists(path)


def _unique(files: dict[str, list[Path]], kind: str, folder: Path) -> dict[str, Path]:
    for paths in files.values():
        for path in paths:
            if is_broken(path):
                raise DataError("this link is broken", where=path, hint="correct the link, or delete it")
        if len(paths) > 1:
            raise same_stem(kind, paths[0].name, paths[1].name, folder)
    return {stem: paths[0] for stem, paths in files.items()}


def same_stem(kind: str, first: str, second: str, folder: Path) -> DataError:
    """Return the error for two files of one stem.

    Parameters
    ----------
    kind : str
        "images", "masks" or "splits".
    first, second : str
        Their names.
    folder : Path
        The folder.

    Returns
    -------
    DataError
        The error, not raised.
    """
    forms = ", which differ only in the Unicode form of their letters" * (first != second)
    same = os.path.splitext(composed(first))[0] == os.path.splitext(composed(second))[0]
    different = os.path.splitext(first)[0] != os.path.splitext(second)[0]
    what = f"two {kind} with the same stem: {first} and {second}" + (forms if same and different else "")
    return DataError(what, where=folder, hint="rename or remove one of them")


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return what is in a folder; raise DataError if it cannot be listed."""
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError as e:
        raise DataError(f"cannot list the folder ({e.strerror})", where=folder) from e


def some(names: Sequence[str], limit: int = 5) -> str:
    """Return the first names, and the number of others."""
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")
