"""Colour-coded masks, and CVAT's labelmap.txt."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import DataError
from lstm2d.io.classes import MAX_CLASSES, ClassInfo, default_color, wrong_name
from lstm2d.io.safe_open import MAX_LIST_BYTES, read_lines

Color = tuple[int, int, int]

LABELMAP = "labelmap.txt"
_EXPECTED = "NAME:RED,GREEN,BLUE:PARTS:ACTIONS, for example road:128,64,128::"


class ColorTable:
    """Labels of mask colours.

    Parameters
    ----------
    labels : iterable of (Color, int)
        Colours (red, green, blue in 0..255) and their labels, 0 to 255. A colour with two different labels
        is dropped.
    """

    def __init__(self, labels: Iterable[tuple[Color, int]]) -> None:
        self.labels: dict[Color, int] = {}
        ambiguous = set()
        for color, label in labels:
            if self.labels.setdefault(color, label) != label:
                ambiguous.add(color)
        for color in ambiguous:
            del self.labels[color]

    def labels_of(self, colors: NDArray[np.uint8]) -> NDArray[np.int16]:
        """Return the label of each pixel.

        Parameters
        ----------
        colors : array of shape (H, W, 3), uint8
            Red, green, blue.

        Returns
        -------
        array of shape (H, W), int16
            Labels; -1 for an unknown colour.
        """
        labels: NDArray[np.int16] = self._label_of_code[color_codes(colors)]
        return labels

    @cached_property
    def _label_of_code(self) -> NDArray[np.int16]:
        table = np.full(1 << 24, -1, dtype=np.int16)
        for (red, green, blue), label in self.labels.items():
            table[red << 16 | green << 8 | blue] = label
        return table


def color_codes(colors: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Pack the colour of each pixel into one number.

    Parameters
    ----------
    colors : array of shape (H, W, 3), uint8
        Red, green, blue.

    Returns
    -------
    array of shape (H, W), int32
        The bits of red, green and blue in this order, 8 each.
    """
    codes = colors[..., 0].astype(np.int32) << 16
    codes |= colors[..., 1].astype(np.int32) << 8
    codes |= colors[..., 2]
    return codes


def read_labelmap(path: Path) -> list[tuple[str, Color | None]]:
    """Read the classes from CVAT's labelmap.txt.

    Parameters
    ----------
    path : Path
        Path of labelmap.txt.

    Returns
    -------
    list of (str, Color or None)
        Names and colours, in file order.

    Raises
    ------
    DataError
        If the file cannot be read, a line is malformed, or a name appears twice.
    """
    found: dict[str, Color | None] = {}
    for number, line in enumerate(read_lines(path, MAX_LIST_BYTES), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, *rest = text.split(":")
        color = _color(rest[0]) if rest else None
        if not name or not rest or (rest[0].strip() and color is None):
            raise DataError(f"line {number} is not a class", where=path, expected=_EXPECTED)
        if reason := wrong_name(name):
            raise DataError(f"line {number}: {reason}", where=path, expected=_EXPECTED)
        if name in found:
            raise DataError(f"line {number}: {name!r} appears twice", where=path)
        found[name] = color
    if not 1 <= len(found) <= MAX_CLASSES:
        raise DataError(f"{len(found)} classes", where=path, expected=f"1 to {MAX_CLASSES}, {_EXPECTED}")
    return list(found.items())


def classes_of(labelmap: list[tuple[str, Color | None]]) -> tuple[ClassInfo, ...]:
    """Return the classes of a labelmap.

    Parameters
    ----------
    labelmap : list of (str, Color or None)
        Names and colours.

    Returns
    -------
    tuple of ClassInfo
        The classes; those without a colour get a default one.
    """
    return tuple(ClassInfo(name, color or default_color(k)) for k, (name, color) in enumerate(labelmap))


def _color(text: str) -> Color | None:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 3 or not all(p.isascii() and p.isdecimal() and len(p) <= 3 for p in parts):
        return None
    if max(map(int, parts)) > 255:
        return None
    return int(parts[0]), int(parts[1]), int(parts[2])
