"""Text files that list images: splits and scenes; their lines name no files outside of the dataset."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from lstm2d.data.layout import composed, entries, same_stem
from lstm2d.errors import DataError
from lstm2d.io.safe_open import read_lines


def split_files(root: Path) -> dict[str, Path]:
    """List the splits of a dataset.

    Parameters
    ----------
    root : Path
        The dataset's folder.

    Returns
    -------
    dict of str to Path
        The files splits/NAME.txt by name, sorted; empty if there is no such folder.

    Raises
    ------
    DataError
        If the folder cannot be listed, or two names differ only in their Unicode form.
    """
    folder = root / "splits"
    if not os.path.lexists(folder):
        return {}
    found: dict[str, Path] = {}
    for entry in entries(folder):
        if not entry.name.endswith(".txt") or entry.name.startswith("."):
            continue
        name = composed(entry.name[:-4])
        if name in found:
            raise same_stem("splits", found[name].name, entry.name, folder)
        found[name] = folder / entry.name
    return dict(sorted(found.items()))


def split_lines(path: Path) -> list[tuple[int, str]]:
    """Read the lines of a split.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    list of (int, str)
        Line number, from 1, and stem of each line that is not empty.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    lines = enumerate(read_lines(path), start=1)
    stems = ((number, composed(line.strip(" \t\r"))) for number, line in lines)
    return [(number, stem) for number, stem in stems if stem]


def read_split(path: Path, images: Mapping[str, Path]) -> list[str]:
    """Read the stems of a split.

    Parameters
    ----------
    path : Path
        The file.
    images : mapping of str to Path
        Images of the dataset by stem.

    Returns
    -------
    list of str
        Stems, in file order.

    Raises
    ------
    DataError
        If the split is empty, or if an image in it appears twice or is not found.
    """
    seen: dict[str, int] = {}
    for number, stem in split_lines(path):
        if stem in seen:
            raise DataError(f"{stem!r} appears twice, in lines {seen[stem]} and {number}", where=path)
        if stem not in images:
            raise missing_stem(stem, number, path, images)
        seen[stem] = number
    if not seen:
        raise empty_split(path)
    return list(seen)


def empty_split(path: Path) -> DataError:
    """Return the error for a split without images."""
    return DataError("an empty split", where=path, expected="one stem (file name without extension) per line")


def read_scenes(path: Path) -> dict[str, str]:
    """Read scenes.txt.

    Parameters
    ----------
    path : Path
        The file; each line has a stem and the name of a scene.

    Returns
    -------
    dict of str to str
        Scene of each stem; empty if the file does not exist.

    Raises
    ------
    DataError
        If a line has no scene, or an image has two.
    """
    scenes: dict[str, str] = {}
    if not os.path.lexists(path):
        return scenes
    for number, line in enumerate(read_lines(path), start=1):
        words, _, scene = line.strip(" \t\r").rpartition(" ")
        stem = composed(words.strip())
        if not stem and scene:
            raise DataError(f"line {number} names no scene", where=path, expected="STEM SCENE")
        if scenes.get(stem, scene) != scene:
            what = f"line {number} gives {stem!r} another scene: {scene}, before {scenes[stem]}"
            raise DataError(what, where=path, expected="one scene per image")
        if stem:
            scenes[stem] = scene
    return scenes


def missing_stem(stem: str, number: int, path: Path, images: Mapping[str, Path]) -> DataError:
    """Return the error for a line of a split that names no image.

    Parameters
    ----------
    stem : str
        The line.
    number : int
        Its number, from 1.
    path : Path
        The file of the split.
    images : mapping of str to Path
        Images of the dataset by stem.

    Returns
    -------
    DataError
        The error, not raised.
    """
    bare = stem.rpartition("/")[2].rpartition(".")[0]
    if "/" in stem or "\\" in stem or "\0" in stem:
        what, hint = f"line {number}: {stem!r} is not a stem", "write file names without folder and extension"
    elif bare in images:
        what, hint = f"line {number}: {stem!r} is not a stem", f"write {bare!r}, without the extension"
    else:
        what, hint = f"line {number}: there is no image {stem!r}", "add the image or delete the line"
    return DataError(what, where=path, expected="the stem of a file in images/, one per line", hint=hint)
