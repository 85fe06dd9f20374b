"""Read photographs and masks."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import DataError
from lstm2d.io.decoding import DEFAULT_MAX_PIXELS, Decoded, decode, first_pixel
from lstm2d.io.photo import Photo, Reading

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "IMAGE_SUFFIXES",
    "MASK_SUFFIXES",
    "read_image",
    "read_mask",
    "read_mask_palette",
    "read_photo",
]

IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".pbm", ".jp2",
)  # fmt: skip
MASK_SUFFIXES = (".png", ".tif", ".tiff", ".bmp")

_MASK = "an index or palette PNG or TIFF, one class number a pixel"


def read_image(
    path: str | os.PathLike[str], *, max_pixels: int = DEFAULT_MAX_PIXELS
) -> NDArray[np.uint8] | NDArray[np.float32]:
    """Read a photograph.

    Parameters
    ----------
    path : str or path
        PNG, JPEG, TIFF, BMP, GIF, WebP, PPM or JPEG 2000 file. Of an animation or a file with several pages
        the first.
    max_pixels : int
        Most pixels to decode; checked on the file's header, before any memory is taken.

    Returns
    -------
    array of shape (H, W, 3), uint8 or float32
        Red, green, blue in 0..255, upright (EXIF orientation applied). uint8 for files of up to 8 bits a
        sample; float32 with fractions for 16-bit files (divided by 257) and floats.

    Raises
    ------
    DataError
        If the file is missing, damaged, cut short, too large or no image; if a float is NaN, infinite or
        negative.

    Notes
    -----
    Gray becomes three equal channels. Alpha is dropped, not composited over a background colour: the network
    then sees the camera's pixels, and where alpha hides them it sees what lies below. CMYK, YCbCr and LAB are
    converted to RGB. Floats of a file up to 1 count as 0..1, else up to 255 as 0..255, else up to 65535 as
    16-bit values; 32-bit integers likewise, without the first case.
    """
    image = decode(path, max_pixels=max_pixels)
    values = image.values
    if image.palette is not None:
        return np.asarray(image.palette[values])
    if image.white == 0:
        values = _to_byte_range(values, path)
    elif image.white < 255:
        values = values * np.uint8(255 // image.white)
    elif image.white > 255:
        values = values * np.float32(255 / image.white)
    if values.ndim == 2:
        values = np.repeat(values[:, :, None], 3, axis=2)
    return np.ascontiguousarray(values)


def read_photo(path: str | os.PathLike[str], reading: Reading | None = None) -> Photo:
    """Read a photograph, with notes on what was guessed or left out.

    Parameters
    ----------
    path : str or path
        As for `read_image`.
    reading : Reading, optional
        Limits and choices.

    Returns
    -------
    Photo
        Its pixels are as `read_image` returns them.

    Raises
    ------
    DataError
        As `read_image` raises it.
    """
    reading = reading or Reading()
    return Photo(read_image(path, max_pixels=reading.max_pixels))


def photo_of(image: object, reading: Reading) -> Photo:
    """Stand in until the branch of values is merged."""
    if isinstance(image, str | os.PathLike):
        return read_photo(image, reading)
    from lstm2d.predict.old import _to_bytes_range

    return Photo(_to_bytes_range(np.asarray(image)))


def read_mask(path: str | os.PathLike[str], *, max_pixels: int = DEFAULT_MAX_PIXELS) -> NDArray[np.uint8]:
    """Read a mask: one class number a pixel.

    Parameters
    ----------
    path : str or path
        PNG, TIFF or BMP file with indices: gray of any depth, or palette.
    max_pixels : int
        Most pixels to decode.

    Returns
    -------
    array of shape (H, W), uint8
        The numbers as stored: palette indices, or gray samples unscaled (a white pixel of a 1-bit file is 1,
        of a 4-bit file 15). Upright, as images.

    Raises
    ------
    DataError
        If the file cannot be read, holds colours, fractions or numbers over 255, or is of a format that does
        not keep numbers (JPEG changes them, GIF renumbers them).
    """
    image = decode(path, max_pixels=max_pixels)
    _refuse_pictures(image, path)
    values = image.values
    wrong = (values < 0) | (values > 255)
    if wrong.any():
        row, column = first_pixel(wrong)
        what = f"mask value {values[row, column]} at row {row}, column {column}"
        raise DataError(what, where=path, expected="class numbers 0 to 255")
    return values.astype(np.uint8, copy=False)


def read_mask_palette(path: str | os.PathLike[str]) -> NDArray[np.uint8] | None:
    """Read the colours of a palette mask.

    Parameters
    ----------
    path : str or path
        The mask.

    Returns
    -------
    array of shape (256, 3), uint8, or None
        Colour of each index, black after the palette's end; None where the file has no palette.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    return decode(path).palette


def _to_byte_range(values: NDArray[Any], path: object) -> NDArray[np.float32]:
    """Bring samples of unknown range to 0..255."""
    fractions = values.dtype.kind == "f"
    slack = 0.01 if fractions else 0.0  # resampling overshoots
    flat = values if values.ndim == 2 else values.reshape(len(values), -1)
    if fractions and not np.isfinite(flat).all():
        row, column = first_pixel(~np.isfinite(flat))
        column //= flat.shape[1] // values.shape[1]
        raise DataError(
            f"NaN or infinite value at row {row}, column {column}", where=path, expected="finite values"
        )
    low, high = float(values.min()), float(values.max())
    if low < -slack or high > 65535:
        expected = "0..1, 0..255 or 0..65535" if fractions else "0..255 or 0..65535"
        raise DataError(f"image values from {low:g} to {high:g}", where=path, expected=expected)
    if fractions and high <= 1 + slack:
        values, scale = np.clip(values, 0, 1), 255.0
    else:
        scale = 1.0 if high <= 255 else 1 / 257
    result: NDArray[np.float32] = np.maximum(values, 0).astype(np.float32)
    result *= np.float32(scale)
    return result


def _refuse_pictures(image: Decoded, path: object) -> None:
    if image.lossy or image.format not in ("PNG", "TIFF", "BMP"):
        what = f"a mask in a format that does not keep class numbers ({image.format})"
        hint = "export it again from the program that drew it, as PNG"
        raise DataError(what, where=path, expected=_MASK, hint=hint)
    if image.values.ndim == 3:
        hint = "export it with indices, or replace each colour by the number of its class"
        raise DataError("a mask of colours, not of class numbers", where=path, expected=_MASK, hint=hint)
    if image.values.dtype.kind == "f":
        raise DataError(
            "a mask of fractions (float TIFF)", where=path, expected=_MASK, hint="save it as integers"
        )
