"""Choose and read the JSON files of a COCO data set."""

from __future__ import annotations

import os
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lstm2d.data.importers.formats.entries import (
    BadEntry,
    Findings,
    class_name,
    ends_of,
    list_of,
    read_json,
    shown,
    size_of,
    whole,
)
from lstm2d.data.importers.named_files import locate, split_of
from lstm2d.errors import DataError

PANOPTIC, INSTANCES, STUFF = "panoptic", "instances", "stuff"  # in the order of preference
_NOT_READ = ("captions", "person_keypoints", "image_info")
_KEYS = (b'"images"', b'"annotations"', b'"categories"')

Color = tuple[int, int, int]
Identity = int | str


@dataclass(frozen=True)
class Category:
    """A class of a file.

    Parameters
    ----------
    name : str
        Its name.
    color : tuple of int or None
        Its colour, in panoptic files.
    """

    name: str
    color: Color | None


@dataclass(frozen=True)
class Listed:
    """An image that a file lists.

    Parameters
    ----------
    path : Path or None
        The image; None if it is not there.
    size : tuple of int
        Rows and columns.
    """

    path: Path | None
    size: tuple[int, int]


@dataclass(frozen=True)
class CocoFile:
    """What a JSON file holds.

    Parameters
    ----------
    path : Path
        The file.
    form : str
        "panoptic", "instances" or "stuff".
    split : str
        "train", "val" or "test", by its name or that of its folder; "" if neither says so.
    categories : dict of int to Category
        The classes, in order of their ids.
    images : dict
        The images by id.
    annotations : list of dict
        The annotations; numbers of outlines and runs are packed in arrays.
    """

    path: Path
    form: str
    split: str
    categories: dict[int, Category]
    images: dict[Identity, Listed]
    annotations: list[dict[str, Any]]


def choose_files(src: Path) -> tuple[Path, list[Path], list[Path]]:
    """Find the JSON files of a data set.

    Parameters
    ----------
    src : Path
        A folder, or one JSON file.

    Returns
    -------
    root : Path
        The folder that holds everything: above a folder named annotations.
    files : list of Path
        The files to read: the panoptic ones, else those of instances, else those of stuff.
    others : list of Path
        The other files of the format.
    """
    if os.path.isfile(src):
        root = src.parent.parent if src.parent.name == "annotations" else src.parent
        return root, [src] if _is_coco(src) else [], []
    paths = [
        path for pattern in ("*.json", "*/*.json") for path in sorted(src.glob(pattern)) if _is_coco(path)
    ]
    for form in (PANOPTIC, INSTANCES, STUFF):
        chosen = [path for path in paths if form_of(path) == form]
        if chosen:
            return src, chosen, [path for path in paths if path not in chosen]
    return src, [], []


def form_of(path: Path) -> str:
    """Return what a file holds by its name; "instances" if the name does not say."""
    return next((form for form in (PANOPTIC, STUFF) if path.name.startswith(form)), INSTANCES)


def read_file(path: Path, root: Path, findings: Findings) -> CocoFile:
    """Read a JSON file once.

    Parameters
    ----------
    path : Path
        The file.
    root : Path
        The folder that holds everything.
    findings : Findings
        Gets what is wrong with categories and images.

    Returns
    -------
    CocoFile
        Its contents.

    Raises
    ------
    DataError
        If it is not of this format.
    """
    content = read_json(path, _packed_outlines)
    annotations = list_of(content, "annotations", path)
    categories: dict[int, Category] = {}
    for k, entry in enumerate(list_of(content, "categories", path)):
        with findings.entry(path, f"category {k}"):
            number = whole(entry.get("id"), "id", 0, 2**31)
            if number in categories:
                raise BadEntry(f"the id {number} appears twice")
            categories[number] = Category(class_name(entry.get("name")), _color(entry.get("color")))
    images: dict[Identity, Listed] = {}
    folders = _image_folders(path, root)
    for k, entry in enumerate(list_of(content, "images", path)):
        with findings.entry(path, f"image {k}"):
            key = identity(entry.get("id"))
            if key in images:
                raise BadEntry(f"the id {shown(key)} appears twice")
            size = size_of(entry.get("height"), entry.get("width"))
            images[key] = Listed(locate(entry.get("file_name"), root, folders), size)
    panoptic = any("segments_info" in entry for entry in annotations[:1])
    form = PANOPTIC if panoptic else form_of(path)
    split = split_of(path.stem) or (split_of(path.parent.name) if path.parent != root else "")
    return CocoFile(path, form, split, dict(sorted(categories.items())), images, annotations)


def check_same_categories(files: Sequence[CocoFile]) -> None:
    """Refuse files whose categories differ.

    Parameters
    ----------
    files : sequence of CocoFile
        The files of one data set.

    Raises
    ------
    DataError
        If ids or names are not the same in all files.
    """
    first = {number: category.name for number, category in files[0].categories.items()}
    for file in files[1:]:
        if {number: category.name for number, category in file.categories.items()} != first:
            what = f"other categories than in {files[0].path.name}"
            raise DataError(what, where=file.path, hint="import one file at a time")


def identity(value: object) -> Identity:
    """Return the id of an image.

    Parameters
    ----------
    value : object
        The id in an entry.

    Returns
    -------
    int or str
        The id.

    Raises
    ------
    BadEntry
        If it is neither a whole number nor text.
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise BadEntry(f"the id of an image is {shown(value)}, a whole number is expected")
    return value


def _is_coco(path: Path) -> bool:
    if not path.name.lower().endswith(".json") or path.name.startswith(_NOT_READ):
        return False
    ends = ends_of(path)
    return sum(key in ends for key in _KEYS) >= 2


def _image_folders(path: Path, root: Path) -> list[Path]:
    """Return the folders in which the images of a file may be."""
    name = path.stem.partition("_")[2] or path.stem  # train2017 of instances_train2017
    names = [] if os.sep in name or name in ("", ".", "..") else [name]
    return [
        path.parent,
        *(root / n for n in names),
        *(root / "images" / n for n in names),
        root / "images",
        root / "data",
        root,
    ]


def _packed_outlines(entry: dict[str, Any]) -> dict[str, Any]:
    """Pack the numbers of outlines and runs: as objects they take several times the size of the file."""
    parts, counts = entry.get("segmentation"), entry.get("counts")
    if isinstance(parts, list):
        entry["segmentation"] = [_packed("d", part) for part in parts]
    if isinstance(counts, list):
        entry["counts"] = _packed("q", counts)
    return entry


def _packed(code: str, values: Any) -> Any:
    try:
        return array(code, values)
    except (TypeError, ValueError, OverflowError):
        return values  # reported when the entry is read


def _color(value: object) -> Color | None:
    if not isinstance(value, list) or len(value) != 3:
        return None
    if not all(isinstance(v, int) and 0 <= v <= 255 for v in value):
        return None
    return int(value[0]), int(value[1]), int(value[2])
