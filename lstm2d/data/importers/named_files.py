"""Find the files that annotations name; names that lead out of the folder are refused."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from lstm2d.data.importers.formats.entries import BadEntry, shown
from lstm2d.data.layout import composed, some
from lstm2d.errors import DataError

_DRIVE = re.compile(r"[A-Za-z]:")
_SPLITS = {
    "train": "train",
    "training": "train",
    "trainset": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
    "testset": "test",
}


def locate(name: object, root: Path, folders: Iterable[Path]) -> Path | None:
    """Find a file named in an annotation.

    Parameters
    ----------
    name : object
        The name in the file: a path relative to one of the folders, with slashes or backslashes.
    root : Path
        The folder that is imported.
    folders : iterable of Path
        Folders inside of it, in which the file may be, in this order.

    Returns
    -------
    Path or None
        The first that exists; None if there is none.

    Raises
    ------
    BadEntry
        If the name is no text, or leads out of `root` from one of the folders. Links made by the user may.
    """
    if not isinstance(name, str) or not name.strip():
        raise BadEntry(f"the file name {shown(name)}, text is expected")
    text = name.replace("\\", "/")
    if "\0" in text or text.startswith("/") or _DRIVE.match(text):
        raise BadEntry(f"the file name {shown(name)}, a path inside of the folder is expected")
    paths = [Path(os.path.abspath(folder / text)) for folder in folders]  # ".." is resolved, links are not
    if not all(path.is_relative_to(os.path.abspath(root)) for path in paths):
        raise BadEntry(f"the file name {shown(name)} leads out of the folder")
    return next((found for path in paths if (found := _on_disk(path)) is not None), None)


def files_in(folder: Path, endings: tuple[str, ...]) -> dict[str, Path]:
    """List the files of a folder and its sub-folders by their paths without ending.

    Parameters
    ----------
    folder : Path
        The folder; it need not exist. Hidden files and folders are skipped. Links are followed, each folder
        once.
    endings : tuple of str
        Endings of the files in lower case, such as ".regions.txt".

    Returns
    -------
    dict of str to Path
        The files, sorted. Keys are relative, with slashes, in Unicode's composed form.

    Raises
    ------
    DataError
        If two files differ only in their ending, or a folder cannot be listed.
    """

    def refuse(error: OSError) -> None:
        raise DataError(f"cannot list the folder ({error.strerror})", where=error.filename) from error

    found: dict[str, Path] = {}
    if not os.path.isdir(folder):
        return found
    seen = set()
    for place, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        real = os.path.realpath(place)
        folders[:] = [] if real in seen else sorted(name for name in folders if not name.startswith("."))
        if real in seen:
            continue
        seen.add(real)
        for name in sorted(names):
            ending = next((e for e in endings if name.lower().endswith(e)), None)
            if ending is None or name.startswith("."):
                continue
            path = Path(place, name)
            stem = composed(path.relative_to(folder).as_posix()[: -len(ending)])
            if stem in found:
                what = f"two files with the same stem: {found[stem].name} and {name}"
                raise DataError(what, where=place, hint="rename or remove one of them")
            found[stem] = path
    return dict(sorted(found.items()))


def stems_of(names: Sequence[str], where: Path) -> list[str]:
    """Return names for the images of a new dataset, which has a single folder of them.

    Parameters
    ----------
    names : sequence of str
        Relative paths of the images, with slashes, without endings.
    where : Path
        The folder, for messages.

    Returns
    -------
    list of str
        The last part of each path, or all parts joined by "_" if two images share the last one.

    Raises
    ------
    DataError
        If two names are still equal.
    """
    last = [composed(name.rpartition("/")[2]) for name in names]
    often = Counter(last)
    stems = [
        stem if often[stem] == 1 else composed(name.replace("/", "_"))
        for stem, name in zip(last, names, strict=True)
    ]
    twice = next((stem for stem, count in Counter(stems).items() if count > 1), None)
    if twice is not None:
        raise DataError(f"two images with the name {twice!r}", where=where, hint="rename one of them")
    return stems


def image_stems(images: Sequence[Path], root: Path) -> list[str]:
    """Return names for images as `stems_of` does.

    Parameters
    ----------
    images : sequence of Path
        The images, inside of `root`.
    root : Path
        The folder that is imported.

    Returns
    -------
    list of str
        A name for each.

    Raises
    ------
    DataError
        If two names are equal.
    """
    return stems_of([image.relative_to(root).with_suffix("").as_posix() for image in images], root)


def split_of(name: str) -> str:
    """Return the split that the name of a file or folder stands for.

    Parameters
    ----------
    name : str
        Such as "train2017", "Validation", "instances_test.json".

    Returns
    -------
    str
        "train", "val" or "test"; "" if it names none of them.
    """
    return next((_SPLITS[word] for word in re.split(r"[^a-z]+", name.lower()) if word in _SPLITS), "")


def no_images(where: Path, folder: str, hint: str, left_out: Sequence[str] = ()) -> DataError:
    """Return the error for annotations without images.

    Parameters
    ----------
    where : Path
        The folder or file that was opened.
    folder : str
        Where the images should be.
    hint : str
        What to do.
    left_out : sequence of str
        What was left out, one line each.

    Returns
    -------
    DataError
        The error, not raised.
    """
    lines = "".join(f"\n    {line}" for line in left_out)
    what = "annotations without their images"
    return DataError(what, where=f"{where}{lines}", expected=f"images in {folder}", hint=hint)


def unpaired(images: dict[str, Path], labels: dict[str, Path], kind: str) -> list[str]:
    """Return lines on the images without labels, and on the labels without an image.

    Parameters
    ----------
    images, labels : dict of str to Path
        Files by stem.
    kind : str
        What the labels are called.

    Returns
    -------
    list of str
        At most two lines.
    """
    lines = []
    for here, there, what in (
        (images, labels, f"images without {kind}"),
        (labels, images, f"{kind} without an image"),
    ):
        missing = [path.name for stem, path in here.items() if stem not in there]
        if missing:
            lines.append(f"{len(missing)} {what}: {some(missing)}")
    return lines


def _on_disk(path: Path) -> Path | None:
    """Return a file, whatever the Unicode form of its name; None if it does not exist."""
    if os.path.isfile(path):
        return path
    if path.name.isascii() or not os.path.isdir(path.parent):
        return None
    name = composed(path.name)
    return next((p for p in path.parent.iterdir() if composed(p.name) == name and os.path.isfile(p)), None)
