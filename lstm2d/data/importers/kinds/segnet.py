"""Kind `segnet`: CamVid as in the SegNet tutorial (Badrinarayanan, Kendall and Cipolla, 2017)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath

from lstm2d.data.importers.files import image_files, subfolder_named
from lstm2d.data.importers.formats.mask_readers import number_reader
from lstm2d.data.importers.formats.split_lists import SPLITS, stem_of
from lstm2d.data.importers.source import Item, Options, Source
from lstm2d.data.layout import some
from lstm2d.data.mapping import IGNORE
from lstm2d.errors import DataError
from lstm2d.io.classes import ClassInfo
from lstm2d.io.masks import MASK_SUFFIXES, open_mask
from lstm2d.io.safe_open import read_lines

KIND = "segnet"
CLASSES = (
    ClassInfo("sky", (128, 128, 128)),
    ClassInfo("building", (128, 0, 0)),
    ClassInfo("column_pole", (192, 192, 128)),
    ClassInfo("road", (128, 64, 128)),
    ClassInfo("sidewalk", (60, 40, 222)),
    ClassInfo("tree", (128, 128, 0)),
    ClassInfo("sign_symbol", (192, 128, 128)),
    ClassInfo("fence", (64, 64, 128)),
    ClassInfo("car", (64, 0, 128)),
    ClassInfo("pedestrian", (64, 64, 0)),
    ClassInfo("bicyclist", (0, 128, 192)),
)
VOID = 11  # the number of unlabelled pixels in the masks

_CAMVID = re.compile(r"(0001TP|0006R0|0016E5|Seq05VD)_")  # the four films of CamVid
_HINT = "for other classes than the 11 of CamVid: lstm2d data import pairs"


def recognise(src: Path) -> str | None:
    """Return which folders and lists of the tutorial there are.

    Parameters
    ----------
    src : Path
        A folder, or one with the folder CamVid.

    Returns
    -------
    str or None
        None unless there are train/ and trainannot/, with lists of paths or the names of CamVid, and the
        first mask holds numbers up to 11.
    """
    root = _root(src)
    if root is None:
        return None
    masks = image_files(root / "trainannot", MASK_SUFFIXES)
    first = next(iter(masks), "")
    lists = [s for s in SPLITS if any(len(words) == 2 for words in _lines(root / f"{s}.txt"))]
    if not masks or not (lists or _CAMVID.match(first)) or not _has_numbers(masks[first]):
        return None
    how = f"pairs of paths in {', '.join(f'{s}.txt' for s in lists)}" if lists else f"names such as {first}"
    return f"train/ and trainannot/ with {how}, numbers up to {VOID}"


def open_source(src: Path, options: Options) -> Source:
    """List the images of train/, val/ and test/.

    Parameters
    ----------
    src : Path
        A folder, or one with the folder CamVid.
    options : Options
        Not used.

    Returns
    -------
    Source
        Images with 11 classes and their splits. Lists such as train.txt decide what is in a split; without a
        list it is the folder of that name.

    Raises
    ------
    DataError
        If there are no such folders, or a path in a list has a part "..".
    """
    root = _root(src)
    if root is None:
        raise DataError("not CamVid of SegNet", where=src, expected="train/ and trainannot/")
    read = number_reader([*range(VOID), IGNORE, *[-1] * (254 - VOID), IGNORE], hint=_HINT)
    items: list[Item] = []
    found: list[str] = []
    left_out: list[str] = []
    for split in SPLITS:
        listed = root / f"{split}.txt"
        pairs = list(_listed(root, split)) if os.path.isfile(listed) else list(_by_stem(root, split).values())
        complete = [(i, m) for i, m in pairs if i is not None and m is not None]
        if pairs:
            origin = listed.name if os.path.isfile(listed) else f"{split}/ and {split}annot/"
            found.append(f"{split}: {len(complete)} images, from {origin}")
        if len(complete) < len(pairs):
            names = [p.name for i, m in pairs if i is None or m is None for p in (i, m) if p is not None]
            shown = f" ({some(names)})" if names else ""
            left_out.append(f"{split}, without image or mask: {len(pairs) - len(complete)}{shown}")
        items += [Item(i.stem, i, partial(read, m), split) for i, m in complete]
    found.append(f"masks: class numbers 0 to {VOID - 1}, {VOID} is unlabelled")
    return Source(KIND, "camvid", CLASSES, tuple(items), tuple(found), tuple(left_out))


def _root(src: Path) -> Path | None:
    for root in (src, subfolder_named(src, "CamVid")):
        if root is not None and os.path.isdir(root / "train") and os.path.isdir(root / "trainannot"):
            return root
    return None


def _has_numbers(mask: Path) -> bool:
    try:
        numbers = open_mask(mask).numbers
    except DataError:
        return True  # opening it reports the reason
    return numbers is not None and int(numbers.max()) <= VOID


def _lines(path: Path) -> list[list[str]]:
    """Return the words of the lines of a list; none if there is no such file."""
    if not os.path.isfile(path):
        return []
    return [words for line in read_lines(path) if (words := line.replace("\\", "/").split())]


def _listed(root: Path, split: str) -> Iterator[tuple[Path | None, Path | None]]:
    """Yield image and mask of each line of a list; None for files that are not there."""
    where = root / f"{split}.txt"
    lines = _lines(where)
    in_folders = _by_stem(root, split) if any(len(words) == 1 for words in lines) else {}
    for words in lines:
        if len(words) == 1:
            yield in_folders.get(stem_of(words[0]), (None, None))
        else:
            yield _inside(root, words[0], where), _inside(root, words[1], where)


def _inside(root: Path, name: str, where: Path) -> Path | None:
    """Return the file below `root` that a path means: the lists begin with the authors' own folders."""
    parts = [part for part in PurePosixPath(name).parts if part != "/"]
    if ".." in parts or "\0" in name:
        what = f"a path that leads outside the folder: {name!r}"
        raise DataError(what, where=where, expected="paths such as train/NAME.png")
    paths = (root.joinpath(*parts[start:]) for start in range(len(parts)))
    return next((path for path in paths if os.path.isfile(path)), None)


def _by_stem(root: Path, split: str) -> dict[str, tuple[Path | None, Path | None]]:
    """Return image and mask of each stem in the folders of a split."""
    folders = root / split, root / f"{split}annot"
    if not all(os.path.isdir(folder) for folder in folders):
        return {}
    images, masks = image_files(folders[0]), image_files(folders[1], MASK_SUFFIXES)
    return {stem: (images.get(stem), masks.get(stem)) for stem in sorted(images.keys() | masks.keys())}
