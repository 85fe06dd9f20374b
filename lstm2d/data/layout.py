"""Find the images, masks, splits and scenes of a dataset folder; files outside it are refused."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lstm2d.errors import DataError
from lstm2d.io.images import IMAGE_SUFFIXES
from lstm2d.io.masks import MASK_SUFFIXES
from lstm2d.io.safe_open import inside, read_text

_REFUSED_SUFFIXES = (".jpg", ".jpeg", ".webp", ".gif")


@dataclass(frozen=True)
class Sample:
    """One image of a dataset and its mask.

    Parameters
    ----------
    stem : str
        File name without extension, in Unicode's composed form (NFC), whatever form the file system uses.
    image_path, mask_path : Path
        The two files.
    """

    stem: str
    image_path: Path
    mask_path: Path


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
        Name of the folder.

    Returns
    -------
    Path
        The folder; ``root / name`` if it is not found.
    """
    folder = root / name
    if name.isascii() or os.path.lexists(folder):
        return folder
    return next((root / e.name for e in _entries(root) if composed(e.name) == composed(name)), folder)


def index_images(folder: Path, root: Path) -> dict[str, Path]:
    """List the images of a folder by stem.

    Parameters
    ----------
    folder : Path
        The folder; hidden files and other file types are skipped.
    root : Path
        The dataset's folder; all files must lie inside.

    Returns
    -------
    dict of str to Path
        The images, sorted by stem.

    Raises
    ------
    DataError
        If the folder is not found or empty, if two files share a stem, or if a link leads outside.
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
        The dataset's folder; all files must lie inside.

    Returns
    -------
    dict of str to Path
        The masks, sorted by stem. A JPEG mask is listed if there is no other, so that reading it reports
        the problem.

    Raises
    ------
    DataError
        If the folder is not found, if two files share a stem, or if a link leads outside.
    """
    refused = _by_stem(folder, root, _REFUSED_SUFFIXES, "masks")
    return dict(sorted({**refused, **_by_stem(folder, root, MASK_SUFFIXES, "masks")}.items()))


def pair(stems: Iterable[str], images: dict[str, Path], masks: dict[str, Path], folder: Path) -> list[Sample]:
    """Pair images and masks.

    Parameters
    ----------
    stems : iterable of str
        Stems of the images to return, in order.
    images, masks : dict of str to Path
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
            f"{len(missing)} of {len(stems)} images have no mask ({_some(missing)})",
            where=folder,
            expected=f"a mask {missing[0]}.png"
            + (
                f" (found for example {min(masks.values()).name})"
                if masks and len(missing) == len(stems)
                else ""
            ),
            hint="add the masks, or list only images that have one in splits/",
        )
    return [Sample(s, images[s], masks[s]) for s in stems]


def without_image(images: dict[str, Path], masks: dict[str, Path]) -> str | None:
    """Return a note on the masks without an image.

    Parameters
    ----------
    images, masks : dict of str to Path
        Files by stem.

    Returns
    -------
    str or None
        Their number and the first names; None if every mask has an image.
    """
    unpaired = [path.name for stem, path in masks.items() if stem not in images]
    if not unpaired:
        return None
    return f"{len(unpaired)} of {len(masks)} masks have no image and are left out ({_some(unpaired)})"


def split_names(root: Path) -> tuple[str, ...]:
    """List the splits of a dataset.

    Parameters
    ----------
    root : Path
        The dataset's folder.

    Returns
    -------
    tuple of str
        Names of the files splits/NAME.txt, sorted; empty if there is no such folder.

    Raises
    ------
    DataError
        If the folder cannot be listed, or two names differ only in their Unicode form.
    """
    return tuple(_split_files(root))


def _split_files(root: Path) -> dict[str, Path]:
    folder = root / "splits"
    if not folder.is_dir():
        return {}
    found: dict[str, Path] = {}
    for entry in _entries(folder):
        if not entry.name.endswith(".txt") or entry.name.startswith("."):
            continue
        name = composed(entry.name[:-4])
        if name in found:
            raise _twice("splits", found[name].name, entry.name, folder)
        found[name] = folder / entry.name
    return dict(sorted(found.items()))


def read_split(root: Path, name: str, images: dict[str, Path]) -> list[str]:
    """Read the stems of a split.

    Parameters
    ----------
    root : Path
        The dataset's folder.
    name : str
        Name of the split.
    images : dict of str to Path
        Images of the dataset by stem.

    Returns
    -------
    list of str
        Stems, in file order.

    Raises
    ------
    DataError
        If the split is not found or empty, or if an image in it appears twice or is not found.
    """
    files = _split_files(root)
    path = files.get(composed(name), root / "splits" / f"{name}.txt")
    if composed(name) not in files:
        expected = f"one of {_some(list(files))}" if files else "a folder splits/ with train.txt and val.txt"
        raise DataError(f"no split {name!r}", where=path, expected=expected)
    if not inside(root, path):
        raise DataError("this link leads outside the dataset's folder", where=path, expected="a file inside")
    seen: dict[str, int] = {}
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        stem = composed(line.strip(" \t\r"))
        if not stem:
            continue
        if stem in seen:
            raise DataError(f"{stem!r} appears twice, in lines {seen[stem]} and {number}", where=path)
        if stem not in images:
            raise _missing_stem(stem, number, path, images)
        seen[stem] = number
    if not seen:
        expected = "one stem (file name without extension) per line"
        raise DataError("an empty split", where=path, expected=expected)
    return list(seen)


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
    if not path.exists():
        return scenes
    for number, line in enumerate(read_text(path).split("\n"), start=1):
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


def _missing_stem(stem: str, number: int, path: Path, images: dict[str, Path]) -> DataError:
    bare = stem.rpartition("/")[2].rpartition(".")[0]
    if "/" in stem or "\\" in stem or "\0" in stem:
        what, hint = f"line {number}: {stem!r} is not a stem", "write file names without folder and extension"
    elif bare in images:
        what, hint = f"line {number}: {stem!r} is not a stem", f"write {bare!r}, without the extension"
    else:
        what, hint = f"line {number}: there is no image {stem!r}", "add the image or delete the line"
    return DataError(what, where=path, expected="the stem of a file in images/, one per line", hint=hint)


def _by_stem(folder: Path, root: Path, suffixes: Sequence[str], kind: str) -> dict[str, Path]:
    if not folder.is_dir():
        what = "folder not found" if not os.path.lexists(folder) else "not a folder"
        expected = f"a folder of {kind}: DIR/images/STEM.jpg, DIR/masks/STEM.png"
        raise DataError(what, where=folder, expected=expected)
    if not inside(root, folder):
        raise DataError(
            "this link leads outside the dataset's folder", where=folder, expected="a folder inside"
        )
    found: dict[str, Path] = {}
    for entry in _entries(folder):
        stem, suffix = os.path.splitext(composed(entry.name))
        if entry.name.startswith(".") or suffix.lower() not in suffixes:
            continue
        path = folder / entry.name
        if entry.is_symlink() and not inside(root, path):
            hint = "copy the file into the folder"
            what = "this link leads outside the dataset's folder, or is broken"
            raise DataError(what, where=path, hint=hint)
        if stem in found:
            raise _twice(kind, found[stem].name, entry.name, folder)
        found[stem] = path
    return dict(sorted(found.items()))


def _twice(kind: str, first: str, second: str, folder: Path) -> DataError:
    forms = ", which differ only in the Unicode form of their letters" * (first != second)
    same = os.path.splitext(composed(first))[0] == os.path.splitext(composed(second))[0]
    different = os.path.splitext(first)[0] != os.path.splitext(second)[0]
    what = f"two {kind} with the same stem: {first} and {second}" + (forms if same and different else "")
    return DataError(what, where=folder, hint="rename or remove one of them")


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as e:
        raise DataError(f"cannot list the folder ({e.strerror})", where=folder) from e


def _some(names: Sequence[str], limit: int = 5) -> str:
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")
