"""Read masks of class numbers or class colours."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import DataError
from lstm2d.io.decoding import Decoded, decode
from lstm2d.io.photo import DEFAULT_MAX_PIXELS
from lstm2d.io.samples import first_pixel

MASK_SUFFIXES = (".png", ".tif", ".tiff", ".bmp")
GRAY_AS_COLOURS = "equal red, green and blue are read as one class number"
FLOATS = "whole numbers stored as floats are read as class numbers"

_MASK = "a gray or palette PNG or TIFF with a class number per pixel"
LOSSLESS = ("PNG", "TIFF", "BMP")


@dataclass(frozen=True, slots=True)
class Mask:
    """The contents of a mask file: numbers, colours, or both if red, green and blue are equal everywhere.

    Parameters
    ----------
    numbers : array of shape (H, W), uint8, or None
        Numbers as stored: palette indices, or unscaled gray samples (white is 1 in a 1-bit file, 15 in a
        4-bit file). None if the pixels have colours.
    colors : array of shape (H, W, 3), uint8, or None
        Red, green and blue. None if the pixels are numbers.
    palette : array of shape (256, 3), uint8, or None
        Colour of each index, padded with black; None if the file has no palette.
    notes : tuple of str
        What was converted or left out.
    lossy : bool, default False
        Whether the format does not preserve numbers; gray levels and colours are then approximate.
    """

    numbers: NDArray[np.uint8] | None
    colors: NDArray[np.uint8] | None
    palette: NDArray[np.uint8] | None
    notes: tuple[str, ...]
    lossy: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        values = self.colors if self.numbers is None else self.numbers
        assert values is not None
        return values.shape[0], values.shape[1]


def open_mask(
    path: str | os.PathLike[str], *, max_pixels: int = DEFAULT_MAX_PIXELS, lossy: bool = False
) -> Mask:
    """Read a mask of numbers or colours.

    Parameters
    ----------
    path : str or path
        PNG, TIFF or BMP file: gray of any depth, palette, or red, green and blue.
    max_pixels : int
        Maximum number of pixels to decode.
    lossy : bool, default False
        Also read formats that do not preserve numbers, such as JPEG. Their palettes are read as colours.

    Returns
    -------
    Mask
        Upright, as for images.

    Raises
    ------
    DataError
        If the file cannot be read, holds fractions, numbers above 255 or transparent pixels, or has a format
        that does not preserve numbers (JPEG is lossy, GIF reorders palettes).
    """
    image = decode(path, max_pixels=max_pixels)
    changed = image.lossy or image.format not in LOSSLESS
    if changed and not lossy:
        what = f"a mask in a format that does not keep class numbers ({image.format})"
        hint = "export it again from the program that drew it, as PNG"
        raise DataError(what, where=path, expected=_MASK, hint=hint)
    _refuse_transparent(image, path)
    samples = image.samples
    values, notes = samples.values, samples.notes
    if changed and samples.palette is not None:
        return Mask(None, samples.palette[values], None, notes, lossy=True)
    if values.ndim == 2:
        if values.dtype.kind == "f":
            notes = (*notes, FLOATS)
        return Mask(_numbers(values, path), None, samples.palette, notes, changed)
    exact = samples.exact or changed
    gray = exact and (values == values[..., :1]).all()
    colors = _colors(values) if exact else None
    if not gray and colors is None:
        raise colours_error(path)
    return Mask(_numbers(values[..., 0], path) if gray else None, colors, None, notes, changed)


def read_mask(path: str | os.PathLike[str], *, max_pixels: int = DEFAULT_MAX_PIXELS) -> NDArray[np.uint8]:
    """Read a mask of class numbers.

    Parameters
    ----------
    path : str or path
        PNG, TIFF or BMP file, see `open_mask`.
    max_pixels : int
        Maximum number of pixels to decode.

    Returns
    -------
    array of shape (H, W), uint8
        The numbers as stored, see `Mask`.

    Raises
    ------
    DataError
        If the file cannot be read or holds colours.
    """
    numbers = open_mask(path, max_pixels=max_pixels).numbers
    if numbers is None:
        raise colours_error(path)
    return numbers


def read_mask_palette(path: str | os.PathLike[str]) -> NDArray[np.uint8] | None:
    """Read the colours of a palette mask.

    Parameters
    ----------
    path : str or path
        The mask.

    Returns
    -------
    array of shape (256, 3), uint8, or None
        Colour of each index, padded with black; None if the file has no palette.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    return decode(path).samples.palette


def colours_error(path: object) -> DataError:
    """Return the error for a mask whose colours are not assigned to classes.

    Parameters
    ----------
    path : object
        The mask.

    Returns
    -------
    DataError
        The error, not raised.
    """
    hint = (
        "give each class its color in dataset.toml, put CVAT's labelmap.txt into the dataset's folder, "
        "or replace each colour by the number of its class"
    )
    return DataError("a mask of colours, not of class numbers", where=path, expected=_MASK, hint=hint)


def _refuse_transparent(image: Decoded, path: object) -> None:
    """Refuse transparent pixels, which have no label; a transparent palette index is allowed."""
    alpha = image.samples.alpha
    if alpha is None or image.samples.palette is not None or alpha.dtype == np.bool_:
        return
    full = np.iinfo(alpha.dtype).max if alpha.dtype.kind in "iu" else 1
    holes = alpha < full
    if holes.any():
        row, column = first_pixel(holes)
        what = f"a mask with transparent pixels, the first at row {row}, column {column}"
        hint = "fill them with the colour of their class"
        raise DataError(what, where=path, expected=_MASK, hint=hint).at(row, column)


def _numbers(values: NDArray[Any], path: object) -> NDArray[np.uint8]:
    with np.errstate(invalid="ignore"):
        fractions = values != np.rint(values) if values.dtype.kind == "f" else np.zeros((), np.bool_)
    if fractions.any():
        row, column = first_pixel(fractions)
        what = f"a mask of fractions, {values[row, column]:g} at row {row}, column {column}"
        raise DataError(what, where=path, expected=_MASK, hint="save it as integers").at(row, column)
    wrong = ~((values >= 0) & (values <= 255))
    if wrong.any():
        row, column = first_pixel(wrong)
        what = f"mask value {values[row, column]:g} at row {row}, column {column}"
        raise DataError(what, where=path, expected="class numbers 0 to 255").at(row, column)
    return values.astype(np.uint8, copy=False)


def _colors(values: NDArray[Any]) -> NDArray[np.uint8] | None:
    """Return the colours as bytes; None if they do not fit in bytes."""
    if values.dtype == np.uint16 and not (values % 257).any():  # bytes scaled to 16 bits
        values = values // np.uint16(257)
    if values.dtype.kind not in "iu" or values.min() < 0 or values.max() > 255:
        return None
    return values.astype(np.uint8, copy=False)
