"""Kind `labelme`: annotations of labelme, STEM.json beside the images."""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.importers.formats.entries import (
    BadEntry,
    Findings,
    check_classes,
    class_name,
    ends_of,
    objects_in,
    points_of,
    read_json,
    shown,
    size_of,
)
from lstm2d.data.importers.formats.polygons import Ellipse, Outline, rectangle
from lstm2d.data.importers.formats.runs import Runs, runs_of_mask
from lstm2d.data.importers.formats.shapes import Region, Shape, background_of, classes_of, draw
from lstm2d.data.importers.named_files import files_in, image_stems, locate, no_images, split_of
from lstm2d.data.importers.source import Item, Options, Source
from lstm2d.errors import DataError
from lstm2d.io.decoding import read_header
from lstm2d.io.photo import DEFAULT_MAX_PIXELS
from lstm2d.io.pillow_samples import quiet_pillow
from lstm2d.io.safe_open import read_lines

KIND = "labelme"
LABELS = "labels.txt"
BACKGROUND = "_background_"
_IGNORED = "__ignore__"
_POLYGONS = ("polygon", "oriented_rectangle")
_LOOKED_AT = 20  # files without annotations, before a folder is given up
_Size = tuple[int, int]


@dataclass(frozen=True)
class _Annotated:
    """An image and its shapes."""

    image: Path
    size: _Size
    shapes: tuple[Shape, ...]
    split: str


def recognise(src: Path) -> str | None:
    """Return why a folder holds annotations of labelme.

    Parameters
    ----------
    src : Path
        The folder.

    Returns
    -------
    str or None
        The reason; None if it does not.
    """
    if not os.path.isdir(src):
        return None
    try:
        paths = list(files_in(src, (".json",)).values())
    except DataError:  # an error of the import, if the user names this kind
        return None
    path = next((path for path in paths[:_LOOKED_AT] if b'"shapes"' in ends_of(path)), None)
    return None if path is None else f"{path.name} has shapes, as in the files of labelme"


def open_source(src: Path, options: Options) -> Source:
    """List the images and shapes of a folder of labelme.

    Parameters
    ----------
    src : Path
        The folder, with files STEM.json in it or in sub-folders, and the images that they name. Folders named
        train, val and test are splits.
    options : Options
        `uncovered` says what pixels outside of all shapes are. By default they are the class _background_, or
        ignored if labels.txt has no such class.

    Returns
    -------
    Source
        The classes of labels.txt, if there is one; else all labels sorted by name, after _background_. Later
        shapes of a file lie above earlier ones. Shapes labelled __ignore__ are ignored pixels.

    Raises
    ------
    DataError
        If there are no such files, annotations are wrong, or there are no images.
    """
    root = Path(os.path.abspath(src))
    listed = _listed(root / LABELS) if os.path.isfile(root / LABELS) else None
    findings = Findings(root)
    reader = _Reader(root, listed, findings)
    paths = files_in(root, (".json",)).values()
    read = [one for path in paths if (one := reader.read(path)) is not None]
    findings.check()
    if not read:
        raise no_images(
            root, "the folder", "put each image where the imagePath of its file says", findings.left_out()
        )
    names = listed or sorted({shape.name for one in read for shape in one.shapes} - {""})
    check_classes(names, root)
    default = "background" if listed is None or background_of(names) is not None else "ignore"
    classes = classes_of(names, options.uncovered or default, background=BACKGROUND)
    stems = image_stems([one.image for one in read], root)
    items = tuple(
        Item(stem, one.image, partial(draw, one.size, one.shapes, classes), one.split)
        for stem, one in zip(stems, read, strict=True)
    )
    count = sum(len(one.shapes) for one in read)
    found = (
        f"{len(items)} files of labelme with {count} shapes",
        f"{len(names)} labels, " + ("sorted by name" if listed is None else f"from {LABELS}"),
        classes.said("a shape"),
    )
    return Source(KIND, root.name, classes.infos, items, found, findings.left_out())


def _listed(path: Path) -> list[str]:
    """Return the classes in labels.txt."""
    lines = [line.strip() for line in read_lines(path)]
    names = [line for line in lines if line and line != _IGNORED]
    check_classes(names, path)
    return names


@dataclass(frozen=True)
class _Reader:
    """Reads files of labelme, and notes what is wrong with them."""

    root: Path
    listed: list[str] | None
    findings: Findings

    def read(self, path: Path) -> _Annotated | None:
        """Return the image of a file with its shapes; None if it has none."""
        with self.findings.entry(path):
            content = read_json(path)
            if "shapes" not in content:
                self.findings.leave_out("JSON files without shapes", path)
                return None
            entries = objects_in(content, "shapes")
            image = locate(content.get("imagePath"), self.root, (path.parent,))
            if image is None:
                self.findings.leave_out("files without their image", path)
                return None
            size = _size(content, image)
            shapes = [self._shape(entry, size, path, number) for number, entry in enumerate(entries)]
            split = split_of(path.parent.relative_to(self.root).as_posix())
            return _Annotated(image, size, tuple(shape for shape in shapes if shape is not None), split)
        return None

    def _shape(self, entry: dict[str, Any], size: _Size, path: Path, number: int) -> Shape | None:
        with self.findings.entry(path, f"shape {number}"):
            name = class_name(entry.get("label"))
            if self.listed is not None and name not in (*self.listed, _IGNORED):
                raise BadEntry(f"the label {name!r} is not in {LABELS}")
            region = _region(entry, size)
            if not isinstance(region, str):
                return Shape("" if name == _IGNORED else name, region)
            self.findings.leave_out(region, path, f"shape {number}")
        return None


def _size(content: dict[str, Any], image: Path) -> _Size:
    height, width = content.get("imageHeight"), content.get("imageWidth")
    if height is None and width is None:  # labelme wrote no sizes before version 3.5
        return read_header(image).size
    return size_of(height, width)


def _region(entry: dict[str, Any], size: _Size) -> Region | str:
    """Return the region of a shape, or what it is if it has no inside."""
    kind = entry.get("shape_type") or "polygon"
    pairs = entry.get("points")
    if not isinstance(pairs, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise BadEntry("points that are no pairs of x and y")
    points = points_of([value for pair in pairs for value in pair], size)
    if kind in _POLYGONS:
        return Outline((points,)) if len(points) >= 3 else "polygons of fewer than 3 points"
    if kind == "rectangle" and len(points) == 4:  # drawn by newer versions
        return Outline((points,))
    if kind not in ("rectangle", "circle", "mask"):
        return f"shapes of the type {shown(kind)}"
    if len(points) != 2:
        raise BadEntry(f"a {kind} of {len(points)} points, 2 are expected")
    (x0, y0), (x1, y1) = points.tolist()
    if kind == "rectangle":
        return Outline((rectangle(x0, y0, x1, y1),))
    if kind == "mask":
        return _mask(entry.get("mask"), points, size)
    radius = float(np.hypot(x1 - x0, y1 - y0))
    return Ellipse(x0, y0, radius, radius) if radius else "circles without a radius"


def _mask(text: Any, points: NDArray[np.float64], image: _Size) -> Runs:
    """Return the region of an embedded PNG, whose corners are the first and the last pixel.

    Corners may lie one pixel outside of the image; the PNG then ends with the image.
    """
    (left, top), (right, bottom) = np.floor(points).astype(int).tolist()
    size = min(bottom + 1, image[0]) - top, min(right + 1, image[1]) - left
    if size[0] * size[1] > DEFAULT_MAX_PIXELS:
        raise BadEntry(f"a mask of {size[1]}x{size[0]} pixels, at most {DEFAULT_MAX_PIXELS} are expected")
    try:
        data = base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error) as e:
        raise BadEntry("a mask that is no base64 text") from e
    from PIL import Image

    try:
        with quiet_pillow(), Image.open(BytesIO(data), formats=["PNG"]) as picture:
            if picture.size != size[::-1]:
                expected = f"its corners state {size[1]}x{size[0]}"
                raise BadEntry(f"a mask of {picture.size[0]}x{picture.size[1]} pixels, {expected}")
            values = np.array(picture)
    except BadEntry:
        raise
    except Exception as e:  # decoders raise all kinds of exceptions for damaged data
        raise BadEntry("a mask that is no PNG, or a damaged one") from e
    if values.ndim != 2:
        raise BadEntry("a mask with several channels, one is expected")
    return runs_of_mask(values != 0, (top, left))
