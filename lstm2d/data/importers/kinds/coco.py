"""Kind `coco`: outlines of instances and of stuff, and panoptic segments (Lin et al., 2014)."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.importers.formats.coco_files import (
    INSTANCES,
    PANOPTIC,
    CocoFile,
    Listed,
    check_same_categories,
    choose_files,
    identity,
    read_file,
)
from lstm2d.data.importers.formats.entries import (
    BadEntry,
    Findings,
    check_classes,
    objects_in,
    points_of,
    shown,
    whole,
)
from lstm2d.data.importers.formats.polygons import Outline
from lstm2d.data.importers.formats.runs import decode_counts, runs_of
from lstm2d.data.importers.formats.shapes import Classes, Region, Shape, classes_of, draw, small_on_top
from lstm2d.data.importers.named_files import image_stems, locate, no_images
from lstm2d.data.importers.source import Item, Options, Source
from lstm2d.data.layout import some
from lstm2d.errors import DataError
from lstm2d.io.masks import open_mask
from lstm2d.io.samples import first_pixel

KIND = "coco"
_MAX_SEGMENT = 2**24 - 1


@dataclass(frozen=True)
class _Annotated:
    """An image, and what reads its labels once the classes are known."""

    image: Path
    split: str
    labels: Callable[[Classes], NDArray[np.uint8]]
    empty: bool = False


def recognise(src: Path) -> str | None:
    """Return why a folder or file is a COCO data set.

    Parameters
    ----------
    src : Path
        A folder, or one of its JSON files.

    Returns
    -------
    str or None
        The reason; None if it is not.
    """
    _, files, _ = choose_files(src)
    return f"{files[0].name} has images, annotations and categories, as in COCO" if files else None


def open_source(src: Path, options: Options) -> Source:
    """List the images and labels of a COCO data set.

    Parameters
    ----------
    src : Path
        A folder with JSON files in it or one folder below; or one JSON file. Images are looked for beside
        the file, and in the folders that its name stands for: train2017/ and images/train2017/ for
        instances_train2017.json.
    options : Options
        `uncovered` says what pixels outside of all outlines and segments are: for instances the class
        background by default, for stuff and panoptic segments ignored.

    Returns
    -------
    Source
        One class per category, in order of their ids. Small instances lie above large ones.

    Raises
    ------
    DataError
        If there is no such file, annotations are wrong, or there are no images.
    """
    root, paths, others = choose_files(Path(os.path.abspath(src)))
    if not paths:
        expected = "a JSON file with images, annotations and categories"
        raise DataError("no COCO data set", where=src, expected=expected)
    findings = Findings(root)
    files: list[CocoFile] = []
    read: list[_Annotated] = []
    found: list[str] = []
    for path in paths:
        file = read_file(path, root, findings)
        found.append(f"{path.name}: {len(file.images)} images with {len(file.annotations)} annotations")
        if file.form == PANOPTIC:
            read += _panoptic(file, root, findings)
        else:
            read += _outlined(file, findings, _uncovered(file, options))
        file.annotations.clear()
        files.append(file)
    findings.check()
    check_same_categories(files)
    classes = _classes(files[0], _uncovered(files[0], options))
    if not read:
        raise no_images(
            root,
            "train2017/, images/ or beside the JSON file",
            "put the photographs there",
            findings.left_out(),
        )
    stems = image_stems([one.image for one in read], root)
    items = tuple(
        Item(stem, one.image, partial(one.labels, classes), one.split)
        for stem, one in zip(stems, read, strict=True)
    )
    found += [f"{len(files[0].categories)} categories as classes, in order of their ids"]
    found += [classes.said("a segment" if files[0].form == PANOPTIC else "an outline")]
    empty = sum(one.empty for one in read)
    found += [f"{empty} images without annotations are background only"] if empty else []
    unused = (f"files that are not used: {some([path.name for path in others])}",) if others else ()
    return Source(KIND, root.name, classes.infos, items, tuple(found), (*findings.left_out(), *unused))


def _uncovered(file: CocoFile, options: Options) -> str:
    return options.uncovered or ("background" if file.form == INSTANCES else "ignore")


def _classes(file: CocoFile, uncovered: str) -> Classes:
    names = [category.name for category in file.categories.values()]
    check_classes(names, file.path)
    colors = [category.color for category in file.categories.values() if category.color is not None]
    classes = classes_of(names, uncovered, colors=colors if len(colors) == len(names) else None)
    check_classes(classes.names, file.path)
    return classes


def _outlined(file: CocoFile, findings: Findings, uncovered: str) -> list[_Annotated]:
    """Return the images of a file with outlines."""
    if file.annotations and not any(entry.get("segmentation") for entry in file.annotations):
        hint = "export outlines (segmentation)"
        raise DataError("boxes, not outlines", where=file.path, expected="polygons or runs", hint=hint)
    shapes: dict[int | str, list[Shape]] = {key: [] for key in file.images}
    for k, entry in enumerate(file.annotations):
        here = f"annotation {shown(entry.get('id', k))}"
        with findings.entry(file.path, here):
            key, image = _image(entry, file)
            name = _category(entry, file)
            region, left_out = _region(entry.get("segmentation"), image.size)
            if left_out:
                findings.leave_out(left_out, file.path, here)
            if region is not None:
                shapes[key].append(Shape(name, region))
    read = []
    for key, image in file.images.items():
        ordered = tuple(small_on_top(shapes[key]))
        if image.path is None:
            findings.leave_out("listed images that are not there", file.path, f"image {shown(key)}")
        elif not ordered and uncovered == "ignore":
            findings.leave_out("images without annotations", file.path, f"image {shown(key)}")
        else:
            read.append(_Annotated(image.path, file.split, partial(draw, image.size, ordered), not ordered))
    return read


def _region(value: Any, size: tuple[int, int]) -> tuple[Region | None, str]:
    """Return the region of an annotation, and what is left out of it."""
    if isinstance(value, dict):
        stated = value.get("size")
        if stated != list(size):
            raise BadEntry(f"runs for the size {shown(stated)}, the image has {list(size)}")
        counts = value.get("counts")
        lengths = decode_counts(counts) if isinstance(counts, str) else _listed(counts)
        return runs_of(lengths, size, by_column=True), ""
    if value is None or value == []:
        return None, "annotations without an outline"
    parts = [points_of(part, size) for part in _listed(value)]
    kept = tuple(points for points in parts if len(points) >= 3)
    left_out = "polygons of fewer than 3 points" if len(kept) < len(parts) else ""
    return (Outline(kept) if kept else None), left_out


def _panoptic(file: CocoFile, root: Path, findings: Findings) -> list[_Annotated]:
    """Return the images of a file with panoptic segments."""
    folders = (file.path.with_suffix(""), root / file.path.stem, file.path.parent)
    read = []
    without = dict(file.images)
    for k, entry in enumerate(file.annotations):
        here = f"annotation {k}"
        with findings.entry(file.path, here):
            key, image = _image(entry, file)
            without.pop(key, None)
            names = {}
            for segment in objects_in(entry, "segments_info"):
                number = whole(segment.get("id"), "the id of a segment", 1, _MAX_SEGMENT)
                names[number] = _category(segment, file)
            mask = locate(entry.get("file_name"), root, folders)
            if mask is None:
                findings.leave_out(f"annotations without their PNG in {file.path.stem}/", file.path, here)
            elif image.path is None:
                findings.leave_out("listed images that are not there", file.path, f"image {shown(key)}")
            else:
                read.append(_Annotated(image.path, file.split, partial(_segments, mask, names)))
    for key in without:
        findings.leave_out("images without annotations", file.path, f"image {shown(key)}")
    return read


def _segments(path: Path, names: dict[int, str], classes: Classes) -> NDArray[np.uint8]:
    """Read a PNG of segment ids: red + 256 green + 65536 blue."""
    mask = open_mask(path)
    colors = (
        mask.palette[mask.numbers] if mask.palette is not None and mask.numbers is not None else mask.colors
    )
    if colors is not None:
        ids = colors.astype(np.int32) @ np.array([1, 256, 65536], dtype=np.int32)
    else:
        assert mask.numbers is not None
        ids = mask.numbers.astype(np.int32)
    known = np.array(sorted({0, *names}), dtype=np.int32)
    labels = [classes.rest if k == 0 else classes.names.index(names[k]) for k in known.tolist()]
    at = np.minimum(np.searchsorted(known, ids), len(known) - 1)
    wrong = known[at] != ids
    if wrong.any():
        row, column = first_pixel(wrong)
        what = f"segment {ids[row, column]} at row {row}, column {column} ({int(wrong.sum())} such pixels)"
        raise DataError(what, where=path, expected="segments of the JSON file, or 0")
    return np.array(labels, dtype=np.uint8)[at]


def _image(entry: dict[str, Any], file: CocoFile) -> tuple[int | str, Listed]:
    key = identity(entry.get("image_id"))
    if key not in file.images:
        raise BadEntry(f"there is no image with the id {shown(key)}")
    return key, file.images[key]


def _category(entry: dict[str, Any], file: CocoFile) -> str:
    number = entry.get("category_id")
    if not isinstance(number, int) or number not in file.categories:
        raise BadEntry(f"there is no category with the id {shown(number)}")
    return file.categories[number].name


def _listed(value: object) -> Sequence[Any]:
    if not isinstance(value, list | array):
        raise BadEntry("a segmentation that is neither polygons nor runs")
    return value
