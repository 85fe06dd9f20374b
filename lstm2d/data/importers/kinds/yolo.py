"""Kind `yolo`: polygons in labels/*.txt, data.yaml and images/."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.importers.formats.data_yaml import Value, read_data_yaml
from lstm2d.data.importers.formats.entries import BadEntry, Findings, check_classes, class_name, whole
from lstm2d.data.importers.formats.polygons import Outline
from lstm2d.data.importers.formats.shapes import Classes, Shape, classes_of, draw, small_on_top
from lstm2d.data.importers.named_files import files_in, image_stems, locate, no_images
from lstm2d.data.importers.source import Item, Options, Source
from lstm2d.errors import DataError
from lstm2d.io.decoding import read_header
from lstm2d.io.images import IMAGE_SUFFIXES
from lstm2d.io.safe_open import read_lines, read_text

KIND = "yolo"
_NAMES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_SPLITS = ("train", "val", "test")
_SLACK = 0.01  # beyond the edges of the image, in widths and heights: programs round
_Polygon = tuple[str, NDArray[np.float64]]  # class, and points in widths and heights of the image


@dataclass(frozen=True)
class _Listed:
    """An image, its file of labels, and its split."""

    image: Path
    labels: Path
    split: str


def recognise(src: Path) -> str | None:
    """Return why a folder is a YOLO data set.

    Parameters
    ----------
    src : Path
        The folder, or its data.yaml.

    Returns
    -------
    str or None
        The reason; None if it is not.
    """
    path = _data_yaml(src)
    return None if path is None else f"{path.name} with names, as in YOLO data sets"


def open_source(src: Path, options: Options) -> Source:
    """List the images and polygons of a YOLO data set.

    Parameters
    ----------
    src : Path
        The folder with data.yaml, or the file. The labels of images/train/STEM.jpg are in
        labels/train/STEM.txt.
    options : Options
        `uncovered` says what pixels outside of all polygons are: the class background by default.

    Returns
    -------
    Source
        The classes of data.yaml. Small polygons lie above large ones.

    Raises
    ------
    DataError
        If data.yaml is missing or too complicated, if the labels are boxes or wrong, or if there are no
        images.
    """
    path = _data_yaml(Path(os.path.abspath(src)))
    if path is None:
        expected = "data.yaml with names, train and val"
        raise DataError("no YOLO data set", where=src, expected=expected)
    root = path.parent
    content = read_data_yaml(path)
    names = _names(content, path)
    classes = classes_of(names, options.uncovered or "background")
    check_classes(classes.names, path)
    findings = Findings(root)
    listed, found = _images(content, path, findings)
    kept: list[tuple[_Listed, list[_Polygon]]] = []
    boxes: list[str] = []
    polygons = 0
    for one in listed:
        if not os.path.isfile(one.labels):
            findings.leave_out("images without a file of labels", one.image)
            continue
        shapes, boxed = _polygons(one.labels, names, findings)
        boxes += boxed
        polygons += len(shapes)
        kept.append((one, shapes))
    if boxes:
        what = (
            f"{len(boxes)} of {len(boxes) + polygons} labels are boxes, not polygons; the first: {boxes[0]}"
        )
        expected = "CLASS X1 Y1 X2 Y2 X3 Y3 ..., from 0 to 1"
        raise DataError(what, where=root, expected=expected, hint="export the data set for segmentation")
    findings.check()
    if not kept:
        raise no_images(
            root, "images/ and labels/", "put both into the folder, as data.yaml says", findings.left_out()
        )
    stems = image_stems([one.image for one, _ in kept], root)
    items = tuple(
        Item(stem, one.image, partial(_labels, one.image, shapes, classes), one.split)
        for stem, (one, shapes) in zip(stems, kept, strict=True)
    )
    found += [f"{len(items)} images with {polygons} polygons of {len(names)} classes"]
    found += ["small polygons lie above large ones", classes.said("a polygon")]
    return Source(KIND, root.name, classes.infos, items, tuple(found), findings.left_out())


def _data_yaml(src: Path) -> Path | None:
    paths = [src / name for name in _NAMES] if os.path.isdir(src) else [src]
    for path in paths:
        if path.suffix.lower() in (".yaml", ".yml") and os.path.isfile(path):
            try:
                text = read_text(path)
            except DataError:
                continue
            if any(line.startswith("names") for line in text.splitlines()):
                return path
    return None


def _names(content: dict[str, Value], path: Path) -> list[str]:
    names = content.get("names", "")
    if isinstance(names, dict):
        if sorted(names) != sorted(map(str, range(len(names)))):
            raise DataError("names with other keys than 0, 1, 2, ...", where=path)
        names = [names[str(k)] for k in range(len(names))]
    if isinstance(names, str):
        raise DataError("names is no list", where=path, expected="a list of class names")
    stated = content.get("nc", "")
    if stated not in ("", str(len(names))):
        raise DataError(f"nc is {stated}, but there are {len(names)} names", where=path)
    try:
        names = [class_name(name) for name in names]
    except BadEntry as e:
        raise DataError(str(e), where=path) from e
    check_classes(names, path)
    return names


def _images(content: dict[str, Value], path: Path, findings: Findings) -> tuple[list[_Listed], list[str]]:
    """Return the images of all splits, each once, and lines on where they are."""
    base = root = path.parent
    found: list[str] = []
    stated = content.get("path", "")
    if isinstance(stated, str) and stated not in ("", "."):
        inner = Path(os.path.abspath(root / stated))
        base = inner if inner.is_relative_to(root) and os.path.isdir(inner) else root
        if base == root:
            found.append(f"path: {stated} in {path.name} is not followed: the folder of {path.name} is taken")
    listed: dict[Path, _Listed] = {}
    for split in _SPLITS:
        stated = content.get(split, "")
        entries: Iterable[str] = [stated] if isinstance(stated, str) else stated
        for entry in entries:
            if entry in ("", "null", "~"):
                continue
            with findings.entry(path, split):
                for image in _listed_by(entry, base, root, path, findings):
                    first = listed.setdefault(image, _Listed(image, _labels_of(image, root), split))
                    if first.split != split:
                        findings.leave_out(f"images of {split} that another split has already", image)
    findings.check()
    if not listed and not any(split in content for split in _SPLITS):
        images = files_in(root / "images", IMAGE_SUFFIXES).values()
        listed = {image: _Listed(image, _labels_of(image, root), "") for image in images}
    return list(listed.values()), found


def _listed_by(entry: str, base: Path, root: Path, path: Path, findings: Findings) -> Iterator[Path]:
    """Yield the images of an entry: a folder, or a text file of paths."""
    folder = _folder(entry, base, root)
    if folder is not None:
        yield from files_in(folder, IMAGE_SUFFIXES).values()
        return
    file = locate(entry, root, (base,))
    if file is None:
        raise BadEntry(f"there is no folder or list {entry!r}")
    for number, line in enumerate(read_lines(file), start=1):
        if line.strip():
            with findings.entry(file, f"line {number}"):
                image = locate(line.strip(), root, (base, file.parent))
                if image is None:
                    raise BadEntry(f"there is no image {line.strip()!r}")
                yield image


def _folder(entry: str, base: Path, root: Path) -> Path | None:
    # Roboflow writes ../train/images for the folder beside data.yaml, and YOLO reads it so
    for name in (entry, entry.removeprefix("../")):
        folder = Path(os.path.abspath(base / name))
        if folder.is_relative_to(root) and os.path.isdir(folder):
            return folder
    return None


def _labels_of(image: Path, root: Path) -> Path:
    """Return where the labels of an image are: in labels/ for images/, else beside it."""
    parts = list(PurePosixPath(image.relative_to(root).as_posix()).parts)
    last = max((k for k, part in enumerate(parts[:-1]) if part == "images"), default=None)
    if last is not None:
        parts[last] = "labels"
    return root.joinpath(*parts).with_suffix(".txt")


def _polygons(path: Path, names: Sequence[str], findings: Findings) -> tuple[list[_Polygon], list[str]]:
    """Return the polygons of a file of labels, and where it has boxes."""
    polygons: list[_Polygon] = []
    boxes: list[str] = []
    with findings.entry(path):
        for number, line in enumerate(read_lines(path), start=1):
            words = line.split()
            if len(words) == 5:
                boxes.append(f"{path.name}, line {number}")
            elif words:
                with findings.entry(path, f"line {number}"):
                    polygons.append(_polygon(words, names))
    return polygons, boxes


def _polygon(words: Sequence[str], names: Sequence[str]) -> _Polygon:
    try:
        number, *values = map(float, words)
    except ValueError as e:
        raise BadEntry("something that is not a number") from e
    name = names[whole(number, "the class", 0, len(names) - 1)]
    if len(values) < 6 or len(values) % 2:
        raise BadEntry(f"{len(values)} coordinates, 3 or more pairs of x and y are expected")
    wrong = next((v for v in values if not -_SLACK <= v <= 1 + _SLACK), None)
    if wrong is not None:
        raise BadEntry(f"the coordinate {wrong:g}, shares of width and height from 0 to 1 are expected")
    return name, np.array(values).reshape(-1, 2)


def _labels(image: Path, polygons: Sequence[_Polygon], classes: Classes) -> NDArray[np.uint8]:
    rows, columns = read_header(image).size
    scale = np.array([columns, rows], dtype=np.float64)
    shapes = [Shape(name, Outline((points * scale,))) for name, points in polygons]
    return draw((rows, columns), small_on_top(shapes), classes)
