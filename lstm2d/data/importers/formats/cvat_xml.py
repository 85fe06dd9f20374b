"""Annotations of CVAT in XML: polygons, masks, boxes and ellipses (kind `cvat`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser, parse

from lstm2d.data.importers.formats.entries import (
    BadEntry,
    Findings,
    check_classes,
    class_name,
    points_of,
    size_of,
)
from lstm2d.data.importers.formats.polygons import Ellipse, Outline, rectangle
from lstm2d.data.importers.formats.runs import runs_of
from lstm2d.data.importers.formats.shapes import Region, Shape, classes_of, draw
from lstm2d.data.importers.named_files import image_stems, locate, no_images, split_of
from lstm2d.data.importers.source import Item, Source
from lstm2d.errors import DataError
from lstm2d.io.parse import MAX_DEPTH
from lstm2d.io.safe_open import open_regular

XML = "annotations.xml"
_COLOR = re.compile(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")
_NO_REGION = ("polyline", "points", "cuboid", "skeleton")
_REGIONS = ("polygon", "mask", "box", "ellipse")
_Size = tuple[int, int]


def is_cvat_xml(path: Path) -> bool:
    """Return whether a file begins as annotations of CVAT do.

    Parameters
    ----------
    path : Path
        The file; it need not exist.

    Returns
    -------
    bool
        Whether its root element is ``<annotations>``.
    """
    if path.suffix.lower() != ".xml":
        return False
    try:
        with open_regular(path) as file:
            return b"<annotations>" in file.read(1024)
    except (DataError, OSError):
        return False


def open_xml(path: Path, uncovered: str, save_images: str) -> Source:
    """List the images and labels of annotations.xml.

    Parameters
    ----------
    path : Path
        The file.
    uncovered : str
        "background" or "ignore": what pixels outside of all shapes are.
    save_images : str
        What to do if the export has no images.

    Returns
    -------
    Source
        The classes in the order of the file, after "background".

    Raises
    ------
    DataError
        If the file is damaged, annotations are wrong, or there are no images.
    """
    tree = _parse(path)
    if tree.find("track") is not None:
        hint = 'export it as "CVAT for images"'
        raise DataError("tracks of a video", where=path, expected="annotations of images", hint=hint)
    findings = Findings(path.parent)
    names, colors = _declared(tree, path, findings)
    check_classes(names, path)
    classes = classes_of(names, uncovered, colors=colors)
    images = path.parent / "images"
    read: list[tuple[Path, _Size, list[Shape], str]] = []
    for number, element in enumerate(tree.iterfind("image")):
        here = f"image {element.get('name', number)!r}"
        with findings.entry(path, here):
            size = size_of(_number(element, "height"), _number(element, "width"))
            shapes = list(_shapes(element, size, (path, here), findings, names))
            subset = element.get("subset", "")
            folders = (images, images / subset, path.parent)
            image = locate(element.get("name"), path.parent, folders)
            if image is None:
                findings.leave_out("annotations without their image", path, here)
            else:
                read.append((image, size, shapes, split_of(subset)))
    findings.check()
    if not read:
        raise no_images(path, "images/", save_images, findings.left_out())
    stems = image_stems([image for image, *_ in read], path.parent)
    items = tuple(
        Item(stem, image, partial(draw, size, tuple(shapes), classes), split)
        for stem, (image, size, shapes, split) in zip(stems, read, strict=True)
    )
    count = sum(len(shapes) for _, _, shapes, _ in read)
    found = (f"{path.name}: {len(items)} images with {count} shapes", classes.said("a shape"))
    return Source("cvat", path.parent.name, classes.infos, items, found, findings.left_out())


class _Builder(TreeBuilder):
    """Refuses document types, whose entities can name other files or grow without limit, and deep nesting."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0

    def start(self, tag: str, attrs: dict[str, str], /) -> Element:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise BadEntry(f"XML nested more than {MAX_DEPTH} deep")
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> Element:
        self._depth -= 1
        return super().end(tag)

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise BadEntry("XML with a document type")


def _parse(path: Path) -> Element:
    with open_regular(path) as file:
        try:
            return parse(file, XMLParser(target=_Builder())).getroot()
        except OSError as e:
            raise DataError(f"cannot read the file ({e.strerror})", where=path) from e
        except BadEntry as e:
            raise DataError(str(e), where=path, expected="annotations as CVAT exports them") from e
        except (ParseError, LookupError, ValueError, RecursionError) as e:
            raise DataError(f"not valid XML ({e})", where=path, hint="export it again") from e


def _declared(
    tree: Element, path: Path, findings: Findings
) -> tuple[list[str], list[tuple[int, int, int]] | None]:
    """Return the names of the classes, and their colours if all have one."""
    names: list[str] = []
    colors: list[tuple[int, int, int]] = []
    for label in tree.iterfind("meta//label"):
        if label.find("parent") is not None:  # a point of a skeleton
            continue
        with findings.entry(path, f"label {len(names)}"):
            names.append(class_name(label.findtext("name")))
        found = _COLOR.fullmatch(label.findtext("color", "").strip())
        if found:
            colors.append((int(found[1], 16), int(found[2], 16), int(found[3], 16)))
    findings.check()
    return names, colors if len(colors) == len(names) else None


def _shapes(
    image: Element, size: _Size, place: tuple[Path, str], findings: Findings, names: list[str]
) -> Iterator[Shape]:
    """Yield the shapes of an image, lower ones first."""
    path, here = place
    elements = [element for element in image if element.tag in (*_REGIONS, *_NO_REGION)]
    depths = []
    for number, element in enumerate(elements):
        with findings.entry(path, here, f"shape {number}"):
            depths.append((_number(element, "z_order", 0), number))
    for _, number in sorted(depths):
        element = elements[number]
        if element.tag in _NO_REGION:
            findings.leave_out("shapes without an inside (polylines, points)", path, here, f"shape {number}")
            continue
        with findings.entry(path, here, f"shape {number}"):
            name = class_name(element.get("label"))
            if name not in names:
                raise BadEntry(f"the label {name!r} is not declared in <meta>")
            region = _region(element, size)
            if region is None:
                findings.leave_out("polygons of fewer than 3 points", path, here, f"shape {number}")
            else:
                yield Shape(name, region)


def _region(element: Element, size: _Size) -> Region | None:
    """Return the region of a shape; None for a polygon without an area."""
    if element.tag == "polygon":
        points = points_of(_numbers(element, "points"), size)
        return Outline((points,)) if len(points) >= 3 else None
    if element.tag == "mask":
        left, top, width, height = (int(_number(element, key)) for key in ("left", "top", "width", "height"))
        points_of((left, top), size)
        return runs_of(_counts(element.get("rle", "")), (height, width), corner=(top, left))
    degrees = _number(element, "rotation", 0)
    if element.tag == "box":
        corners = points_of([_number(element, key) for key in ("xtl", "ytl", "xbr", "ybr")], size)
        (x0, y0), (x1, y1) = corners.tolist()
        return Outline((rectangle(x0, y0, x1, y1, degrees),))
    ((x, y),) = points_of([_number(element, key) for key in ("cx", "cy")], size).tolist()
    rx, ry = (_number(element, key) for key in ("rx", "ry"))
    if not (0 < rx <= 2 * max(size) and 0 < ry <= 2 * max(size)):
        raise BadEntry(f"an ellipse with the radii {rx:g} and {ry:g}")
    return Ellipse(x, y, rx, ry, degrees)


def _number(element: Element, key: str, default: float | None = None) -> float:
    text = element.get(key)
    if text is None and default is not None:
        return default
    try:
        value = float(text or "")
    except ValueError:
        value = float("nan")
    if not -1e9 < value < 1e9:
        raise BadEntry(f"{key} is {(text or '')[:20]!r}, a number is expected")
    return value


def _numbers(element: Element, key: str) -> list[float]:
    words = re.split("[,;]", element.get(key, "").strip(" ;,"))
    try:
        return [float(word) for word in words if word.strip()]
    except ValueError as e:
        raise BadEntry(f"{key} holds something that is not a number") from e


def _counts(text: str) -> list[int]:
    try:
        return list(map(int, text.split(",")))
    except ValueError as e:
        raise BadEntry("run lengths that are not whole numbers") from e
