"""Kind `cvat`: exports of CVAT, "Segmentation mask" and "CVAT for images"."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.colors import LABELMAP, classes_of, read_labelmap
from lstm2d.data.description import Description
from lstm2d.data.importers.formats.cvat_xml import XML, is_cvat_xml, open_xml
from lstm2d.data.importers.named_files import files_in, no_images, split_of, stems_of, unpaired
from lstm2d.data.importers.source import Item, Options, Source
from lstm2d.data.labels import LabelReader
from lstm2d.data.layout import composed
from lstm2d.data.mapping import IGNORE
from lstm2d.errors import DataError
from lstm2d.io.images import IMAGE_SUFFIXES
from lstm2d.io.masks import MASK_SUFFIXES, open_mask
from lstm2d.io.safe_open import read_lines

KIND = "cvat"
_BACKGROUND = "background"
_SAVE_IMAGES = 'export it from CVAT again with "Save images" switched on, or put the photographs into {}'


def recognise(src: Path) -> str | None:
    """Return why a folder or file is an export of CVAT.

    Parameters
    ----------
    src : Path
        The folder, or annotations.xml.

    Returns
    -------
    str or None
        The reason; None if it is not.
    """
    if os.path.isfile(src / LABELMAP) and os.path.isdir(src / "SegmentationClass"):
        return f'{LABELMAP} and SegmentationClass/, as in the export "Segmentation mask" of CVAT'
    if is_cvat_xml(src / XML if os.path.isdir(src) else src):
        return 'annotations in XML, as in the export "CVAT for images"'
    return None


def open_source(src: Path, options: Options) -> Source:
    """List the images and labels of an export of CVAT.

    Parameters
    ----------
    src : Path
        A folder with labelmap.txt, SegmentationClass/ and JPEGImages/, or with annotations.xml and images/,
        or annotations.xml itself.
    options : Options
        With ``uncovered="ignore"`` the class "background" of CVAT is ignored.

    Returns
    -------
    Source
        The classes of labelmap.txt or annotations.xml.

    Raises
    ------
    DataError
        If it is no such export, if it has no images, or if annotations are wrong.
    """
    root = Path(os.path.abspath(src))
    if os.path.isfile(root / LABELMAP):
        return _open_masks(root, options)
    path = root / XML if os.path.isdir(root) else root
    if is_cvat_xml(path):
        return open_xml(path, options.uncovered or _BACKGROUND, _SAVE_IMAGES.format("images/"))
    expected = f"{LABELMAP} and SegmentationClass/, or {XML}"
    raise DataError("no export of CVAT", where=src, expected=expected)


def _open_masks(root: Path, options: Options) -> Source:
    description = _description(root, options.uncovered or _BACKGROUND)
    masks = files_in(root / "SegmentationClass", MASK_SUFFIXES)
    images = files_in(root / "JPEGImages", IMAGE_SUFFIXES)
    splits, lists = _splits(root, masks)
    names = [name for name in masks if name in images]
    if not names:
        raise no_images(
            root, "JPEGImages/", _SAVE_IMAGES.format("JPEGImages/"), unpaired(images, masks, "masks")
        )
    reader = LabelReader(description)
    items = tuple(
        Item(stem, images[name], partial(_labels, masks[name], reader), splits.get(name, ""))
        for name, stem in zip(names, stems_of(names, root), strict=True)
    )
    found = [f"{len(items)} images with masks in SegmentationClass/, by the colours of {LABELMAP}", *lists]
    if options.uncovered == "ignore":
        ignored = description.ignore_color is not None
        found.append(f"CVAT's class {_BACKGROUND!r} is {'ignored' if ignored else 'not there'}")
    left_out = tuple(unpaired(images, masks, "masks"))
    return Source(KIND, root.name, description.classes, items, tuple(found), left_out)


def _description(root: Path, uncovered: str) -> Description:
    labelmap = read_labelmap(root / LABELMAP)
    colors = dict(labelmap)
    ignored = colors.get(_BACKGROUND) if uncovered == "ignore" else None
    kept = [row for row in labelmap if ignored is None or row[0] != _BACKGROUND]
    if not kept:
        raise DataError(f"no class besides {_BACKGROUND!r}", where=root / LABELMAP)
    return Description(
        root.name,
        classes_of(kept),
        tuple(range(len(kept))),
        IGNORE,
        uncolored=frozenset(k for k, (_, color) in enumerate(kept) if color is None),
        ignore_color=ignored,
    )


def _splits(root: Path, masks: dict[str, Path]) -> tuple[dict[str, str], list[str]]:
    """Return the split of each name in ImageSets/Segmentation, and a line per list that says so."""
    splits: dict[str, str] = {}
    said = []
    for path in sorted((root / "ImageSets" / "Segmentation").glob("*.txt")):
        names: list[str] = []
        for number, line in enumerate(read_lines(path), start=1):
            name = composed(line.strip())
            if name and name not in masks:
                what = f"line {number}: there is no mask {name!r} in SegmentationClass/"
                raise DataError(what, where=path, hint="export it again, or delete the line")
            names += [name] if name else []
        splits |= {name: split_of(path.stem) for name in names if not splits.get(name)}
        if split_of(path.stem):
            said.append(f"{path.name}: {len(names)} images for {split_of(path.stem)}")
    return splits, said


def _labels(path: Path, reader: LabelReader) -> NDArray[np.uint8]:
    mask = open_mask(path)
    if mask.palette is not None and mask.numbers is not None:
        mask = replace(mask, numbers=None, colors=mask.palette[mask.numbers])
    elif mask.colors is not None:
        mask = replace(mask, numbers=None)  # gray pixels are colours too: CVAT writes no class numbers
    return reader.labels_of(mask, path)[0]
