"""Find the files of a dataset folder: images, masks, splits, scenes. Nothing outside it is ever named."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lstm2d.errors import DataError
from lstm2d.io.images import IMAGE_SUFFIXES, MASK_SUFFIXES
from lstm2d.io.regular import inside, read_text

_REFUSED_SUFFIXES = (".jpg", ".jpeg", ".webp", ".gif")


@dataclass(frozen=True)
class Sample:
    """One image of a dataset and its mask.

    Parameters
    ----------
    stem : str
        File name without ending.
    image_path, mask_path : Path
        The two files.
    """

    stem: str
    image_path: Path
    mask_path: Path


def index_images(folder: Path, root: Path) -> dict[str, Path]:
    """List the images of a folder by stem.

    Parameters
    ----------
    folder : Path
        The folder; hidden files and files of other kinds are passed over.
    root : Path
        The dataset's folder, outside which no file may lie.

    Returns
    -------
    dict of str to Path
        The images, sorted by stem.

    Raises
    ------
    DataError
        If the folder is missing or empty, if two files share a stem or a link leads outside.
    """
    found = _by_stem(folder, root, IMAGE_SUFFIXES, "images")
    if not found:
        expected = "at least one file " + ", ".join(f"STEM{s}" for s in IMAGE_SUFFIXES[:4])
        raise DataError("a folder without images", where=folder, expected=expected)
    return found


def index_masks(folder: Path, root: Path) -> dict[str, Path]:
    """List the masks of a folder by stem.

    Parameters
    ----------
    folder : Path
        The folder.
    root : Path
        The dataset's folder, outside which no file may lie.

    Returns
    -------
    dict of str to Path
        The masks, sorted by stem. A mask saved as JPEG is listed where there is no other, so that reading it
        says what is wrong with it.

    Raises
    ------
    DataError
        If the folder is missing, if two files share a stem or a link leads outside.
    """
    refused = _by_stem(folder, root, _REFUSED_SUFFIXES, "masks")
    return dict(sorted({**refused, **_by_stem(folder, root, MASK_SUFFIXES, "masks")}.items()))


def pair(stems: Iterable[str], images: dict[str, Path], masks: dict[str, Path], folder: Path) -> list[Sample]:
    """Put images and masks together.

    Parameters
    ----------
    stems : iterable of str
        Which images, in which order.
    images, masks : dict of str to Path
        Files by stem.
    folder : Path
        Where masks are expected, for messages.

    Returns
    -------
    list of Sample
        One for each stem.

    Raises
    ------
    DataError
        If some images have no mask.
    """
    stems = list(stems)
    missing = [s for s in stems if s not in masks]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(stems)} images have no mask ({_some(missing)})",
            where=folder,
            expected=f"a mask {missing[0]}.png"
            + (
                f" (there is {min(masks.values()).name}, for one)"
                if masks and len(missing) == len(stems)
                else ""
            ),
            hint="add the masks, or list only images that have one in splits/",
        )
    return [Sample(s, images[s], masks[s]) for s in stems]


def split_names(root: Path) -> tuple[str, ...]:
    """List the splits of a dataset.

    Parameters
    ----------
    root : Path
        The dataset's folder.

    Returns
    -------
    tuple of str
        Names of the files splits/NAME.txt, sorted; none where there is no such folder.

    Raises
    ------
    DataError
        If the folder cannot be listed.
    """
    folder = root / "splits"
    if not folder.is_dir():
        return ()
    return tuple(
        sorted(e.name[:-4] for e in _entries(folder) if e.name.endswith(".txt") and e.name[0] != ".")
    )


def read_split(root: Path, name: str, images: dict[str, Path]) -> list[str]:
    """Read the stems of a split.

    Parameters
    ----------
    root : Path
        The dataset's folder.
    name : str
        Name of the split.
    images : dict of str to Path
        The images that there are.

    Returns
    -------
    list of str
        Stems, in the order of the file.

    Raises
    ------
    DataError
        If there is no such split, if it is empty, or names an image twice or one that is not there.
    """
    path = root / "splits" / f"{name}.txt"
    names = split_names(root)
    if name not in names:
        there = f"one of {_some(names)}" if names else "a folder splits/ with train.txt and val.txt"
        raise DataError(f"no split {name!r}", where=path, expected=there)
    if not inside(root, path):
        raise DataError("this link leads outside the dataset's folder", where=path, expected="a file inside")
    seen: dict[str, int] = {}
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        stem = line.strip(" \t\r")
        if not stem:
            continue
        if stem in seen:
            raise DataError(f"{stem!r} stands twice, in lines {seen[stem]} and {number}", where=path)
        if stem not in images:
            raise _missing_stem(stem, number, path, images)
        seen[stem] = number
    if not seen:
        raise DataError("an empty split", where=path, expected="one stem (file name without ending) a line")
    return list(seen)


def read_scenes(path: Path) -> dict[str, str]:
    """Read scenes.txt.

    Parameters
    ----------
    path : Path
        The file: a stem and a scene's name a line.

    Returns
    -------
    dict of str to str
        Scene of each stem; empty where there is no such file.

    Raises
    ------
    DataError
        If a line has no scene.
    """
    scenes: dict[str, str] = {}
    if not path.exists():
        return scenes
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        stem, _, scene = line.strip(" \t\r").rpartition(" ")
        if stem:
            scenes[stem.strip()] = scene
        elif scene:
            raise DataError(f"line {number} names no scene", where=path, expected="STEM SCENE")
    return scenes


def _missing_stem(stem: str, number: int, path: Path, images: dict[str, Path]) -> DataError:
    bare = stem.rpartition("/")[2].rpartition(".")[0]
    if "/" in stem or "\\" in stem or "\0" in stem:
        what, hint = f"line {number}: {stem!r} is no stem", "write file names without folder and ending"
    elif bare in images:
        what, hint = f"line {number}: {stem!r} is no stem", f"write {bare!r}, without the ending"
    else:
        what, hint = f"line {number}: there is no image {stem!r}", "add the image or delete the line"
    return DataError(what, where=path, expected="the stem of a file in images/, one a line", hint=hint)


def _by_stem(folder: Path, root: Path, suffixes: Sequence[str], kind: str) -> dict[str, Path]:
    if not folder.is_dir():
        what = "folder not found" if not os.path.lexists(folder) else "this is no folder"
        expected = f"a folder of {kind}: DIR/images/STEM.jpg, DIR/masks/STEM.png"
        raise DataError(what, where=folder, expected=expected)
    if not inside(root, folder):
        raise DataError(
            "this link leads outside the dataset's folder", where=folder, expected="a folder inside"
        )
    found: dict[str, Path] = {}
    for entry in _entries(folder):
        stem, suffix = os.path.splitext(entry.name)
        if entry.name.startswith(".") or suffix.lower() not in suffixes:
            continue
        path = folder / entry.name
        if entry.is_symlink() and not inside(root, path):
            hint = "copy the file into the folder"
            raise DataError("this link leads outside the dataset's folder, or nowhere", where=path, hint=hint)
        if stem in found:
            hint = "rename or remove one of them"
            raise DataError(
                f"two {kind} of one stem: {found[stem].name} and {entry.name}", where=folder, hint=hint
            )
        found[stem] = path
    return dict(sorted(found.items()))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as e:
        raise DataError(f"cannot list the folder ({e.strerror})", where=folder) from e


def _some(names: Sequence[str], most: int = 5) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
