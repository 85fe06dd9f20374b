"""List the files of a source."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lstm2d.data.layout import composed
from lstm2d.errors import DataError
from lstm2d.io.images import IMAGE_SUFFIXES

MAX_DEPTH = 8
_SKIPPED = ("__MACOSX",)  # copies of metadata in archives from macOS


@dataclass(frozen=True)
class Folder:
    """A folder of a source that holds image files.

    Parameters
    ----------
    parts : tuple of str
        Its path below the source.
    files : tuple of Path
        Its image files, sorted by name.
    """

    parts: tuple[str, ...]
    files: tuple[Path, ...]

    @property
    def shown(self) -> str:
        """Its path below the source, for messages."""
        return "/".join(self.parts) + "/" if self.parts else "./"


def folders_below(src: Path) -> list[Folder]:
    """List all folders of a source that hold image files.

    Parameters
    ----------
    src : Path
        A folder. Links are followed, each folder once; hidden files and folders are skipped.

    Returns
    -------
    list of Folder
        Sorted by path.

    Raises
    ------
    DataError
        If a folder cannot be listed.
    """
    return list(_walk(src, (), set()))


def image_files(folder: Path, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> dict[str, Path]:
    """List the image files of one folder by stem.

    Parameters
    ----------
    folder : Path
        The folder; hidden files and other types are skipped.
    suffixes : sequence of str
        File name endings in lower case.

    Returns
    -------
    dict of str to Path
        Sorted by stem, in Unicode's composed form.

    Raises
    ------
    DataError
        If the folder cannot be listed, or two files share a stem.
    """
    found: dict[str, Path] = {}
    for name in _names(folder)[1]:
        stem, suffix = os.path.splitext(composed(name))
        if suffix.lower() not in suffixes:
            continue
        if stem in found:
            what = f"two images with the same stem: {found[stem].name} and {name}"
            raise DataError(what, where=folder, hint="rename or remove one of them")
        found[stem] = folder / name
    return dict(sorted(found.items()))


def subfolder_named(src: Path, *names: str) -> Path | None:
    """Find a folder by its name, in any case of letters.

    Parameters
    ----------
    src : Path
        The folder to look in.
    *names : str
        Possible names, in order of preference.

    Returns
    -------
    Path or None
        The folder; None if there is none.
    """
    if not os.path.isdir(src):
        return None
    present = {name.lower(): name for name in reversed(_names(src)[0])}
    return next((src / present[n.lower()] for n in names if n.lower() in present), None)


def _walk(folder: Path, parts: tuple[str, ...], seen: set[str]) -> Iterator[Folder]:
    real = os.path.realpath(folder)
    if real in seen or len(parts) > MAX_DEPTH:
        return
    seen.add(real)
    folders, names = _names(folder)
    files = tuple(folder / n for n in names if os.path.splitext(n)[1].lower() in IMAGE_SUFFIXES)
    if files:
        yield Folder(parts, files)
    for name in folders:
        yield from _walk(folder / name, (*parts, name), seen)


def _names(folder: Path) -> tuple[list[str], list[str]]:
    """Return the names of the folders and of the other entries, sorted."""
    folders: list[str] = []
    files: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith(".") and entry.name not in _SKIPPED:
                    (folders if _is_folder(entry) else files).append(entry.name)
    except OSError as e:
        raise DataError(f"cannot list the folder ({e.strerror})", where=folder) from e
    return sorted(folders), sorted(files)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links: reading it as a file reports it
        return False
