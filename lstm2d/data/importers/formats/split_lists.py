"""Lists of images, such as train.txt, with names or pairs of paths."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lstm2d.data.layout import composed, some
from lstm2d.errors import DataError
from lstm2d.io.images import IMAGE_SUFFIXES
from lstm2d.io.safe_open import read_lines

SPLITS = ("train", "val", "test")
_BETWEEN = re.compile(r"[\s,;]+")
_BLANK = re.compile(r"\s")
_MASK_ENDING = re.compile(r"\.\w+$")
_ENDING = re.compile(rf"({'|'.join(map(re.escape, IMAGE_SUFFIXES))})$", re.IGNORECASE)
_FOLDERS = ("", "splits", "ImageSets/Segmentation", "ImageSets", "lists")


@dataclass(frozen=True)
class SplitLists:
    """Splits of images by lists.

    Parameters
    ----------
    splits : list of str
        Split of each image; "" for those that are in no list.
    notes : tuple of str
        Which lists were read, and what in them was not found.
    """

    splits: list[str]
    notes: tuple[str, ...]


def find_splits(src: Path, images: Sequence[Path]) -> SplitLists | None:
    """Read train.txt, val.txt and test.txt of a source.

    Parameters
    ----------
    src : Path
        The source; its folders splits/, ImageSets/Segmentation/, ImageSets/ and lists/ are searched too.
    images : sequence of Path
        The images.

    Returns
    -------
    SplitLists or None
        None if there are no lists that name any of the images.

    Raises
    ------
    DataError
        If a list cannot be read, or an image is in two of them.
    """
    folder = next((src / f for f in _FOLDERS if (src / f / "train.txt").is_file()), None)
    if folder is None:
        return None
    number = {composed(path.stem): k for k, path in enumerate(images)}
    splits = [""] * len(images)
    notes: list[str] = []
    for name in SPLITS:
        path = folder / f"{name}.txt"
        if not path.is_file():
            continue
        stems = read_list(path)
        missing = [stem for stem in stems if stem not in number]
        for stem in stems:
            if stem in number:
                _assign(splits, number[stem], name, stem, path)
        absent = (
            f"; {len(missing)} of its names have no image with a mask: {some(missing)}" if missing else ""
        )
        notes.append(
            f"split {name}: {len(stems) - len(missing)} images, from {path.relative_to(src)}{absent}"
        )
    if "" in splits:
        notes.append(f"{splits.count('')} images are in no list, and so in no split")
    return SplitLists(splits, tuple(notes)) if any(splits) else None


def read_list(path: Path) -> list[str]:
    """Read the images of a list.

    Parameters
    ----------
    path : Path
        A text file with a name or path per line, with or without ending, or with the paths of an image and
        its mask.

    Returns
    -------
    list of str
        Stems of the images, in file order, each once.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    stems: dict[str, None] = {}
    for line in read_lines(path):
        text = line.strip()
        if text:
            stems[stem_of(_image(text).replace("\\", "/"))] = None
    return list(stems)


def _image(text: str) -> str:
    """Return the image of a line, which may list the mask after it.

    Names may hold spaces and commas: only a word that is a path or has an ending starts the mask.
    """
    ending = _MASK_ENDING.search(text)
    last = -1 if ending is None else ending.start()
    word_end, slash = 0, -1  # of the word after a sign
    for sign in _BETWEEN.finditer(text):
        begin = sign.end()
        if begin >= word_end:
            blank = _BLANK.search(text, begin)
            word_end = len(text) if blank is None else blank.start()
            slash = text.rfind("/", begin, word_end)
        if slash >= begin or (word_end == len(text) and last >= begin):
            return text[: sign.start()]
    return text


def stem_of(path: str) -> str:
    """Return the stem of a path in a list, with or without the ending of an image file.

    Parameters
    ----------
    path : str
        The path.

    Returns
    -------
    str
        For example "a.b" for "train/a.b.png" and "train/a.b"; in Unicode's composed form.
    """
    return composed(_ENDING.sub("", PurePosixPath(path).name))


def _assign(splits: list[str], number: int, name: str, stem: str, path: Path) -> None:
    if splits[number] not in ("", name):
        what = f"{stem!r} is in the splits {splits[number]} and {name}"
        raise DataError(what, where=path, hint="remove it from one of the two lists")
    splits[number] = name
