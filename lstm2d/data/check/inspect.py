"""Read one image and its mask, and list everything that is wrong with them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.check.finding import Finding, shown
from lstm2d.data.check.listing import Pair
from lstm2d.data.check.prints import Print, print_of
from lstm2d.data.description import Description
from lstm2d.data.folder import other_size
from lstm2d.data.labels import LabelReader
from lstm2d.data.layout import Sample, is_broken
from lstm2d.data.mapping import IGNORE
from lstm2d.errors import DataError
from lstm2d.io.decoding import read_header
from lstm2d.io.images import read_photo
from lstm2d.io.masks import LOSSLESS, Mask, colours_error, open_mask

SMALLEST = 16  # pixels of a side
EVEN = 3  # gray levels: an image whose channels vary less shows nothing


@dataclass
class Inspected:
    """What is known about an image and its mask.

    Parameters
    ----------
    name : str
        Name of the image.
    findings : list of Finding
        What is wrong with them.
    size : tuple of int or None
        Rows and columns of the image; None if it cannot be read.
    mark : Print or None
        To compare the image with others; None if it cannot be read or shows nothing.
    labels : array of shape (256,), int64, or None
        Number of pixels with each label, of those that have a valid one; with each value if the classes are
        not known. None if the mask was not read.
    palette : array of shape (256, 3), uint8, or None
        Palette of the mask.
    """

    name: str
    findings: list[Finding] = field(default_factory=list)
    size: tuple[int, int] | None = None
    mark: Print | None = None
    labels: NDArray[np.int64] | None = None
    palette: NDArray[np.uint8] | None = None


class Inspector:
    """Reads images and masks; may be called from several threads.

    Parameters
    ----------
    root : Path
        The dataset's folder.
    description : Description or None
        Classes and mask encoding; None if they are not known.
    """

    def __init__(self, root: Path, description: Description | None) -> None:
        self.root = root
        self._reader = None if description is None else LabelReader(description)
        self._valid = None if description is None else description.label_of_value()

    def read(self, pair: Pair) -> Inspected:
        """Read an image and its mask completely."""
        return self._inspect(pair, self._whole_image, self._whole_mask)

    def glance(self, pair: Pair) -> Inspected:
        """Read the headers of an image and its mask."""
        return self._inspect(pair, self._image_header, self._mask_header)

    def glance_and_read_mask(self, pair: Pair) -> Inspected:
        """Read the header of an image, and its mask completely."""
        return self._inspect(pair, self._image_header, self._whole_mask)

    def _inspect(
        self,
        pair: Pair,
        look_at_image: Callable[[Path, Inspected], int],
        look_at_mask: Callable[[Path, Inspected], tuple[int, int] | None],
    ) -> Inspected:
        found = Inspected(pair.name)
        turned = 1
        if pair.image is not None and self._has_bytes(pair.image, found):
            turned = look_at_image(pair.image, found)
        for path in pair.extra:
            if self._has_bytes(path, found):
                look_at_image(path, Inspected(pair.name, found.findings))
        mask_size = None
        if pair.mask is not None and self._has_bytes(pair.mask, found):
            mask_size = look_at_mask(pair.mask, found)
        self._compare(pair, found, turned, mask_size)
        return found

    def _has_bytes(self, path: Path, found: Inspected) -> bool:
        if is_broken(path):
            found.findings.append(Finding("broken-link", self._name(path), f"leads to {path.readlink()}"))
            return False
        try:
            empty = os.path.isfile(path) and path.stat().st_size == 0
        except OSError:  # reported when it is read
            return True
        if empty:
            found.findings.append(Finding("empty-file", self._name(path), "0 bytes"))
        return not empty

    def _image_header(self, path: Path, found: Inspected) -> int:
        """Look at the header of an image; return its EXIF orientation."""
        try:
            header = read_header(path)
        except DataError as error:
            found.findings.append(Finding("unreadable-image", self._name(path), error.what))
            return 1
        found.size = header.size
        if min(header.size) < SMALLEST:
            text = f"{_shape(header.size)} pixels"
            found.findings.append(Finding("tiny-image", self._name(path), text))
        return header.orientation

    def _whole_image(self, path: Path, found: Inspected) -> int:
        turned = self._image_header(path, found)
        if found.size is None:
            return turned
        try:
            pixels = read_photo(path).pixels
        except DataError as error:
            found.size = None
            found.findings = [one for one in found.findings if one.file != self._name(path)]
            found.findings.append(Finding("unreadable-image", self._name(path), error.what))
            return turned
        low, high = pixels.min(axis=(0, 1)), pixels.max(axis=(0, 1))
        if (high - low <= EVEN).all():
            text = f"all pixels are {_colour(high)}" + ("" if (high == low).all() else ", or nearly so")
            found.findings.append(Finding("one-colour", self._name(path), text))
        else:
            found.mark = print_of(pixels)
        return turned

    def _mask_header(self, path: Path, found: Inspected) -> tuple[int, int] | None:
        """Look at the header of a mask; return its size."""
        try:
            header = read_header(path)
        except DataError as error:
            found.findings.append(Finding("unreadable-mask", self._name(path), error.what))
            return None
        if header.lossy or header.format not in LOSSLESS:
            kind = "lossy" if header.lossy else "renumbered"
            found.findings.append(Finding("jpeg-mask", self._name(path), f"a {kind} {header.format} file"))
        return header.size

    def _whole_mask(self, path: Path, found: Inspected) -> tuple[int, int] | None:
        """Read a mask; return its size."""
        before = len(found.findings)
        size = self._mask_header(path, found)
        if len(found.findings) > before:
            return size
        try:
            mask = open_mask(path)
        except DataError as error:
            kind = "unreadable-mask" if error.place is None else "mask-value"
            found.findings.append(Finding(kind, self._name(path), error.what, _place(error)))
            return size
        found.palette = mask.palette
        self._labels(mask, path, found)
        return size

    def _labels(self, mask: Mask, path: Path, found: Inspected) -> None:
        """Count the labels of a mask, and look for values and colours that are not defined."""
        name = self._name(path)
        if self._reader is None or self._valid is None:
            if mask.numbers is None:
                found.findings.append(Finding("mask-colour", name, colours_error(path).what))
                return
            labels = mask.numbers
        else:
            try:
                labels, _ = self._reader.labels_of(mask, path)
            except DataError as error:
                kind = "mask-colour" if mask.numbers is None else "mask-value"
                found.findings.append(Finding(kind, name, error.what, _place(error)))
                if mask.numbers is not None:
                    valid = self._valid[mask.numbers]
                    found.labels = np.bincount(valid[valid >= 0], minlength=256)
                return
        found.labels = np.bincount(labels.ravel(), minlength=256)
        present = np.flatnonzero(found.labels)
        if present.size == 1:
            kind = "ignored-mask" if present[0] == IGNORE else "one-class-mask"
            text = "all pixels are ignored" if present[0] == IGNORE else f"all pixels are class {present[0]}"
            found.findings.append(Finding(kind, name, text))

    def _compare(self, pair: Pair, found: Inspected, turned: int, mask: tuple[int, int] | None) -> None:
        """Compare the sizes of image and mask."""
        if pair.image is None or found.size is None:
            return
        if pair.mask is not None and mask is not None and mask != found.size:
            error = other_size(Sample(pair.name, pair.image, pair.mask), found.size, mask)
            transposed = "; it is transposed" if mask == found.size[::-1] else ""
            stated = f", EXIF turns the image (orientation {turned})" if turned > 1 else ""
            text = error.what + transposed + stated
            others = (self._name(pair.image),)
            found.findings.append(Finding("mask-size", self._name(pair.mask), text, others=others))
        elif turned > 1 and not _is_turned(pair.mask, turned):
            text = f"EXIF orientation {turned}"
            found.findings.append(Finding("exif-rotation", self._name(pair.image), text))

    def _name(self, path: Path) -> str:
        return shown(path, self.root)


def _is_turned(mask: Path | None, orientation: int) -> bool:
    """Return whether a mask states the orientation of its image."""
    try:
        return mask is not None and read_header(mask).orientation == orientation
    except DataError:
        return False


def _place(error: DataError) -> dict[str, int] | None:
    return None if error.place is None else {"row": error.place[0], "column": error.place[1]}


def _shape(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"


def _colour(values: NDArray[Any]) -> str:
    red, green, blue = (round(float(value)) for value in values)
    names = {(0, 0, 0): "black", (255, 255, 255): "white"}
    return names.get((red, green, blue), f"({red}, {green}, {blue})")
