"""Kind `voc`: PASCAL VOC (Everingham et al., 2010)."""

from __future__ import annotations

import os
import tomllib
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.colors import LABELMAP
from lstm2d.data.conventions import convention
from lstm2d.data.description import Description, parse
from lstm2d.data.importers.files import image_files, subfolder_named
from lstm2d.data.importers.formats.mask_readers import ReadMask, color_reader, number_reader
from lstm2d.data.importers.formats.split_lists import SPLITS, read_list
from lstm2d.data.importers.source import Item, Options, Source
from lstm2d.data.layout import some
from lstm2d.data.mapping import IGNORE
from lstm2d.errors import DataError
from lstm2d.io.masks import MASK_SUFFIXES, open_mask

KIND = "voc"
_FOLDERS = ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation")
_VOID = (224, 224, 192)  # the colour of the palette for 255
_HINT = "for other classes than the 20 of VOC: lstm2d data import pairs"


def recognise(src: Path) -> str | None:
    """Return which folders of VOC there are.

    Parameters
    ----------
    src : Path
        A folder such as VOC2012, VOCdevkit, or the one that holds VOCdevkit.

    Returns
    -------
    str or None
        None if a folder is missing, or if there is a labelmap.txt, which states other classes.
    """
    root = _root(src)
    if root is None:
        return None
    below = root.relative_to(src).as_posix()
    return ", ".join(f"{f}/" for f in _FOLDERS) + (f" in {below}/" if below != "." else "")


def open_source(src: Path, options: Options) -> Source:
    """List the images of the splits train and val.

    Parameters
    ----------
    src : Path
        As for `recognise`.
    options : Options
        Not used.

    Returns
    -------
    Source
        Images with 21 classes. Images in no list, and images without a mask, are left out.

    Raises
    ------
    DataError
        If a folder is missing, or a list cannot be read.
    """
    root = _root(src)
    if root is None:
        raise DataError("not PASCAL VOC", where=src, expected=", ".join(f"{f}/" for f in _FOLDERS))
    images, masks = image_files(root / _FOLDERS[0]), image_files(root / _FOLDERS[1], MASK_SUFFIXES)
    description = parse(tomllib.loads(convention("voc")), root / "dataset.toml")
    read = _reader(description)
    items: list[Item] = []
    found: list[str] = []
    left_out: list[str] = []
    for split in SPLITS:
        path = root / _FOLDERS[2] / f"{split}.txt"
        if not os.path.isfile(path):
            continue
        stems = read_list(path)
        complete = [s for s in stems if s in images and s in masks]
        if complete:
            found.append(f"{split}: {len(complete)} images, from {_FOLDERS[2]}/{path.name}")
        if len(complete) < len(stems):
            missing = [s for s in stems if s not in images or s not in masks]
            left_out.append(f"{split}, without image or mask: {len(missing)} ({some(missing)})")
        items += [Item(s, images[s], partial(read, masks[s]), split) for s in complete]
    unlisted = sorted(masks.keys() - {item.stem for item in items})
    if unlisted:
        left_out.append(f"masks in no split: {len(unlisted)} ({some(unlisted)})")
    found.append("masks: 0 background, 1 to 20 objects, 255 is unlabelled")
    return Source(KIND, description.name, description.classes, tuple(items), tuple(found), tuple(left_out))


def _root(src: Path) -> Path | None:
    """Return the folder with the images of VOC, for example VOCdevkit/VOC2012."""
    kits = [src, subfolder_named(src, "VOCdevkit")]
    for kit in kits:
        if kit is None:
            continue
        years = [subfolder_named(kit, f"VOC{year}") for year in range(2012, 2006, -1)]
        for root in (kit, *years):
            if root is not None and all(os.path.isdir(root / folder) for folder in _FOLDERS):
                return None if os.path.exists(root / LABELMAP) else root
    return None


def _reader(description: Description) -> ReadMask:
    """Return a reader of masks by number, and of copies that were saved in colours by colour."""
    by_number = number_reader(description.label_of_value().tolist(), hint=_HINT)
    by_color = color_reader([*description.label_of_color(), (_VOID, IGNORE)], description.classes)

    def read(path: Path) -> NDArray[np.uint8]:
        return (by_color if open_mask(path).numbers is None else by_number)(path)

    return read
