"""Read masks as class numbers: by number, by colour, or by a threshold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.colors import Color, ColorTable
from lstm2d.data.mapping import IGNORE
from lstm2d.errors import DataError
from lstm2d.io.classes import ClassInfo
from lstm2d.io.masks import Mask, open_mask
from lstm2d.io.samples import first_pixel

ReadMask = Callable[[Path], NDArray[np.uint8]]

NEARLY_GRAY = 40  # difference of red, green and blue that JPEG causes in gray pictures
_BLOCK = 1 << 15  # colours that are compared with all classes at once


def number_reader(values: Sequence[int], *, hint: str | None = None) -> ReadMask:
    """Return a reader of masks of numbers.

    Parameters
    ----------
    values : sequence of int
        Label of each of the 256 mask values, -1 for values that are an error.
    hint : str, optional
        What to do about such a value.

    Returns
    -------
    callable
        Reads a mask as labels of shape (H, W), uint8.
    """
    table = np.asarray(values, dtype=np.int16)

    def read(path: Path) -> NDArray[np.uint8]:
        mask = open_mask(path)
        if mask.numbers is None:
            raise DataError("a mask of colours", where=path, expected="a mask of class numbers", hint=hint)
        labels = table[mask.numbers]
        wrong = labels < 0
        if wrong.any():
            row, column = first_pixel(wrong)
            what = f"mask value {mask.numbers[row, column]} at row {row}, column {column}"
            known = _ranges(np.flatnonzero(table >= 0))
            raise DataError(f"{what} ({int(wrong.sum())} such pixels)", where=path, expected=known, hint=hint)
        return labels.astype(np.uint8)

    return read


def color_reader(
    colors: Iterable[tuple[Color, int]], classes: Sequence[ClassInfo], *, nearest: bool = False
) -> ReadMask:
    """Return a reader of masks of colours.

    Parameters
    ----------
    colors : iterable of (Color, int)
        Colours and their labels; 255 for ignored pixels.
    classes : sequence of ClassInfo
        The classes, for messages.
    nearest : bool, default False
        Take the class with the nearest colour (Euclidean distance of red, green and blue; ties go to the
        first), and read lossy formats too.

    Returns
    -------
    callable
        Reads a mask of colours, of gray levels or with a palette as labels of shape (H, W), uint8.
    """
    table = ColorTable(colors)

    def read(path: Path) -> NDArray[np.uint8]:
        pixels = colors_of(open_mask(path, lossy=nearest))
        labels = table.labels_of(pixels)
        unknown = labels < 0
        if not unknown.any():
            return labels.astype(np.uint8)
        if nearest:
            labels[unknown] = _nearest(pixels[unknown], table)
            return labels.astype(np.uint8)
        row, column = first_pixel(unknown)
        color = tuple(pixels[row, column].tolist())
        known = [f"{c} {'ignored' if k == IGNORE else classes[k].name}" for c, k in table.labels.items()]
        count = int(unknown.sum())
        raise DataError(
            f"colour {color} at row {row}, column {column} ({count} pixels have no class's colour)",
            where=path,
            expected=", ".join(known[:8]) + (", ..." if len(known) > 8 else ""),
            hint="add the colour to the file of `colors`; `jpeg_masks=True` takes the nearest colour",
        )

    return read


def threshold_reader(threshold: int, *, lossy: bool = False) -> ReadMask:
    """Return a reader of masks of gray levels with two classes.

    Parameters
    ----------
    threshold : int
        Levels from this one up have label 1, those below 0.
    lossy : bool, default False
        Read lossy formats too.

    Returns
    -------
    callable
        Reads a mask as labels of shape (H, W), uint8.
    """

    def read(path: Path) -> NDArray[np.uint8]:
        levels = _levels(open_mask(path, lossy=lossy), path)
        return (levels >= threshold).astype(np.uint8)

    return read


def colors_of(mask: Mask) -> NDArray[np.uint8]:
    """Return the colours of a mask: as stored, of the palette, or equal red, green and blue for gray levels.

    Parameters
    ----------
    mask : Mask
        Contents of a mask file.

    Returns
    -------
    array of shape (H, W, 3), uint8
        Red, green and blue.
    """
    if mask.colors is not None:
        return mask.colors
    assert mask.numbers is not None
    if mask.palette is not None:
        return mask.palette[mask.numbers]
    return np.repeat(mask.numbers[:, :, None], 3, axis=2)


def _levels(mask: Mask, path: Path) -> NDArray[np.uint8]:
    """Return gray levels; palettes of colours count by their numbers."""
    if mask.numbers is not None:
        if mask.palette is None:
            return mask.numbers
        used = mask.palette[np.unique(mask.numbers)]
        gray = (used == used[:, :1]).all()
        return mask.palette[:, 0][mask.numbers] if gray else mask.numbers
    assert mask.colors is not None
    spread = np.ptp(mask.colors.astype(np.int16), axis=2)
    if spread.max() > NEARLY_GRAY:
        row, column = first_pixel(spread > NEARLY_GRAY)
        what = f"a mask of colours, {tuple(mask.colors[row, column].tolist())} at row {row}, column {column}"
        hint = "give the colours of the classes, `colors`, instead of `threshold`"
        raise DataError(what, where=path, expected="gray levels", hint=hint)
    weights = np.array([299, 587, 114])  # ITU-R BT.601
    levels: NDArray[np.uint8] = ((mask.colors @ weights + 500) // 1000).astype(np.uint8)
    return levels


def _nearest(pixels: NDArray[np.uint8], table: ColorTable) -> NDArray[np.int16]:
    """Return the label of the nearest colour of each pixel; pixels of shape (N, 3)."""
    known = np.array(list(table.labels), dtype=np.int32)
    labels = np.array(list(table.labels.values()), dtype=np.int16)
    unique, inverse = np.unique(pixels, axis=0, return_inverse=True)
    found = np.empty(len(unique), dtype=np.int16)
    for start in range(0, len(unique), _BLOCK):
        block = unique[start : start + _BLOCK, None].astype(np.int32)
        found[start : start + _BLOCK] = labels[((block - known) ** 2).sum(axis=2).argmin(axis=1)]
    return found[inverse.reshape(-1)]


def _ranges(values: NDArray[np.intp]) -> str:
    """Return numbers as text, such as "0 to 11, 255"."""
    runs = np.split(values, np.flatnonzero(np.diff(values) > 1) + 1)
    return ", ".join(str(r[0]) if len(r) == 1 else f"{r[0]} to {r[-1]}" for r in runs)
