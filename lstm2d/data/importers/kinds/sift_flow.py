"""Kind `sift-flow`: SIFT Flow (Liu et al., 2009), with labels in .mat or text files."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.importers.formats.entries import BadEntry, check_classes, class_name
from lstm2d.data.importers.formats.matlab import read_matlab
from lstm2d.data.importers.formats.text_matrix import labels_of, read_matrix
from lstm2d.data.importers.named_files import files_in, stems_of, unpaired
from lstm2d.data.importers.source import Item, Options, Source
from lstm2d.data.layout import composed
from lstm2d.errors import DataError
from lstm2d.io.classes import ClassInfo, default_color
from lstm2d.io.images import IMAGE_SUFFIXES
from lstm2d.io.photo import DEFAULT_MAX_PIXELS
from lstm2d.io.safe_open import read_lines

KIND = "sift-flow"
SCENES = (
    "coast", "forest", "highway", "insidecity", "mountain", "opencountry", "street", "tallbuilding",
)  # fmt: skip
CLASSES = tuple(
    ClassInfo(name, color)
    for name, color in [
        ("awning", (242, 109, 109)), ("balcony", (53, 212, 99)), ("bird", (110, 9, 182)),
        ("boat", (153, 142, 68)), ("bridge", (60, 211, 242)), ("building", (212, 10, 119)),
        ("bus", (107, 182, 82)), ("car", (43, 38, 153)), ("cow", (242, 89, 12)),
        ("crosswalk", (95, 212, 168)), ("desert", (171, 45, 182)), ("door", (122, 153, 7)),
        ("fence", (109, 175, 242)), ("field", (212, 53, 86)), ("grass", (9, 182, 23)),
        ("moon", (100, 68, 153)), ("mountain", (242, 182, 60)), ("person", (10, 212, 204)),
        ("plant", (182, 82, 157)), ("pole", (90, 153, 38)), ("river", (12, 49, 242)),
        ("road", (212, 110, 95)), ("rock", (45, 182, 103)), ("sand", (111, 7, 153)),
        ("sea", (241, 242, 109)), ("sidewalk", (53, 165, 212)), ("sign", (182, 9, 80)),
        ("sky", (79, 153, 68)), ("staircase", (91, 60, 242)), ("streetlight", (212, 103, 10)),
        ("sun", (82, 182, 158)), ("tree", (153, 38, 147)), ("window", (164, 242, 12)),
    ]
)  # fmt: skip
_LABELS = (".mat", ".regions.txt", ".txt")


def recognise(src: Path) -> str | None:
    """Return why a folder holds a data set in the layout of SIFT Flow.

    Parameters
    ----------
    src : Path
        The folder.

    Returns
    -------
    str or None
        The reason; None if it does not.
    """
    return None if _root(src) is None else "Images/ and SemanticLabels/, as in the SIFT Flow data set"


def open_source(src: Path, options: Options) -> Source:
    """List the images and labels of a data set in the layout of SIFT Flow.

    Parameters
    ----------
    src : Path
        The folder with Images/ and SemanticLabels/, or the one above it.
    options : Options
        Not used.

    Returns
    -------
    Source
        Class numbers begin at 1, 0 is ignored. Classes are those of the cell array ``names`` in the first
        .mat file; for text files, the 33 of the published data set.

    Raises
    ------
    DataError
        If the folders are not found, no image has labels, or a list of a split is wrong.
    """
    root = _root(Path(os.path.abspath(src)))
    if root is None:
        expected = "Images/FOLDER/*.jpg and SemanticLabels/FOLDER/*.mat"
        raise DataError("no data set of this kind", where=src, expected=expected)
    images = files_in(root / "Images", IMAGE_SUFFIXES)
    labels = files_in(root / "SemanticLabels", _LABELS)
    names = [name for name in images if name in labels]
    if not names:
        expected = "Images/FOLDER/STEM.jpg and SemanticLabels/FOLDER/STEM.mat"
        raise DataError("no image has labels", where=root, expected=expected)
    first = labels[names[0]]
    classes = _classes(first)
    splits, lists = _splits(root, images)
    items = tuple(
        Item(stem, images[name], partial(_labels, labels[name], classes), splits[name], _scene(stem))
        for name, stem in zip(names, stems_of(names, root), strict=True)
    )
    whose = "the published names" if classes == CLASSES else f"their names in {first.name}"
    found = (
        f"{len(items)} images with class numbers in SemanticLabels/: 1 to {len(classes)}, 0 is no label",
        f"{len(classes)} classes with {whose}",
        *lists,
    )
    return Source(KIND, "sift_flow", classes, items, found, tuple(unpaired(images, labels, "labels")))


def _root(src: Path) -> Path | None:
    folders = (src, src / "SiftFlowDataset")
    return next((f for f in folders if (f / "Images").is_dir() and (f / "SemanticLabels").is_dir()), None)


def _is_matlab(path: Path) -> bool:
    return path.suffix.lower() == ".mat"


def _scene(stem: str) -> str:
    scene = stem.partition("_")[0]
    return scene if scene in SCENES else ""


def _classes(path: Path) -> tuple[ClassInfo, ...]:
    names = _names(read_matlab(path, ("names",)), path) if _is_matlab(path) else None
    if names is None or names == [info.name for info in CLASSES]:
        return CLASSES
    check_classes(names, path)
    return tuple(ClassInfo(name, default_color(k)) for k, name in enumerate(names))


def _names(variables: dict[str, NDArray[Any]], path: Path) -> list[str] | None:
    cells = variables.get("names")
    if cells is None:
        return None
    if cells.dtype != np.object_:
        raise DataError("names is no cell array of text", where=path)
    try:
        return [class_name("".join(map(str, cell.ravel()))) for cell in cells.ravel()]
    except BadEntry as e:
        raise DataError(str(e), where=path) from e


def _labels(path: Path, classes: tuple[ClassInfo, ...]) -> NDArray[np.uint8]:
    if not _is_matlab(path):
        values = read_matrix(path)
    else:
        variables = read_matlab(path, ("S", "names"))
        names = _names(variables, path)
        if names is not None and names != [info.name for info in classes]:
            raise DataError("other class names than in the first file", where=path)
        values = _whole(variables.get("S"), path)
    return labels_of(values, path, len(classes), first=1, unknown=(0,))


def _whole(values: NDArray[Any] | None, path: Path) -> NDArray[np.int64]:
    expected = "class numbers, one per pixel, in a variable S"
    if values is None or values.ndim != 2 or values.dtype.kind not in "iuf":
        raise DataError("no matrix of numbers with the name S", where=path, expected=expected)
    if not 1 <= values.size <= DEFAULT_MAX_PIXELS:
        raise DataError(
            f"a matrix of {values.shape[1]}x{values.shape[0]} pixels", where=path, expected=expected
        )
    with np.errstate(invalid="ignore"):
        whole = (values == np.rint(values)) & (np.abs(values.astype(np.float64)) <= 2**31)
    if not whole.all():
        raise DataError("S holds numbers that are not whole, or huge", where=path, expected=expected)
    return values.astype(np.int64)


def _splits(root: Path, images: dict[str, Path]) -> tuple[dict[str, str], list[str]]:
    """Return the split of each image, and a line per list that says so."""
    tests, trains = (sorted(root.glob(f"{kind}Set*.txt")) for kind in ("Test", "Train"))
    splits = dict.fromkeys(images, "train" if tests and not trains else "")
    said = []
    for split, files in (("test", tests), ("train", trains)):
        if not files:
            continue
        names = _listed(files[0], images)
        for name in names:
            if split == "train" and splits[name] == "test":
                raise DataError(f"{name} is in {tests[0].name} too", where=files[0])
            splits[name] = split
        said.append(f"{files[0].name}: {len(names)} images for {split}")
        if files[1:]:
            said.append(f"not used: {', '.join(file.name for file in files[1:])}")
    if tests and not trains:
        said.append("all other images are for train")
    return splits, said


def _listed(path: Path, images: dict[str, Path]) -> list[str]:
    names: dict[str, None] = {}
    for number, line in enumerate(read_lines(path), start=1):
        text = composed(line.strip().replace("\\", "/"))
        if not text:
            continue
        name = next((n for n in (text, os.path.splitext(text)[0]) if n in images), None)
        if name is None:
            what = f"line {number}: there is no image {text!r} in Images/"
            raise DataError(what, where=path, expected="FOLDER\\STEM.jpg, one per line")
        names[name] = None
    return list(names)
