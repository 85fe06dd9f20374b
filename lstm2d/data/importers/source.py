"""What an importer finds, and the options of an import."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lstm2d.io.classes import ClassInfo


@dataclass(frozen=True)
class Item:
    """An image to import, with its labels.

    Parameters
    ----------
    stem : str
        Name in the new dataset: unique, without ending and folder.
    image : Path
        The image file.
    labels : callable
        Reads the class numbers: an array of shape (H, W), uint8, 255 where there is no label, as large as the
        mask. May raise `DataError`.
    split : str
        "train", "val", "test", or another name of a split; "" if the source has no splits.
    scene : str
        Name of the scene; "" if unknown.
    """

    stem: str
    image: Path
    labels: Callable[[], NDArray[np.uint8]]
    split: str = ""
    scene: str = ""


@dataclass(frozen=True)
class Source:
    """Images, labels and classes that an importer found.

    Parameters
    ----------
    kind : str
        Name of the importer.
    name : str
        Name of the dataset.
    classes : tuple of ClassInfo
        The classes, by number.
    items : tuple of Item
        The images to import.
    found : tuple of str
        Lines that say what was found, and why it was read so.
    left_out : tuple of str
        What is not imported, such as images without a mask, one line each.
    """

    kind: str
    name: str
    classes: tuple[ClassInfo, ...]
    items: tuple[Item, ...]
    found: tuple[str, ...]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Options:
    """Options of an import.

    Parameters
    ----------
    threshold : int, optional
        Mask values from this one up, 1 to 255, are foreground, those below background.
    resize_masks : bool, default False
        Resize masks to the size of their images, by nearest neighbour.
    colors : Path, optional
        File of class names and colours.
    jpeg_masks : bool, default False
        Accept masks with lossy compression: each pixel gets the class with the nearest colour, or is compared
        with `threshold`.
    uncovered : str, optional
        What pixels outside of all outlines are: "background", a class, or "ignore". By default the kind
        decides.
    """

    threshold: int | None = None
    resize_masks: bool = False
    colors: Path | None = None
    jpeg_masks: bool = False
    uncovered: str | None = None
