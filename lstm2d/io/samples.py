"""Range, depth and transparency of image samples, by the same rules for files and arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import DataError
from lstm2d.io.claims import too_large
from lstm2d.io.photo import WHITE, Photo, Reading

DEPTHS = (8, 10, 12, 14, 16)  # bits per sample of cameras and scanners
FRACTIONS = 2.0  # floats up to this value are read as 0..1: resampling may overshoot 1
BELOW = 0.5  # such floats may be as low as -BELOW
OVERSHOOT = 1e-3  # share of white: larger distances from the range are reported as clipped

WIDER = "integers up to 255 or 65535"


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples of an image as stored, with their range and meaning.

    Parameters
    ----------
    values : array of shape (H, W) or (H, W, 3)
        Gray or RGB, upright; palette indices for an indexed image.
    white : int
        Largest value of the storage type: 1, 3, 15, 255, 4095 or 65535; 0 if unknown (floats, integers of 32
        bits or more).
    depth : int, optional
        Significant bits per sample stated by the file, if it may differ from `white`.
    palette : array of shape (256, 3), uint8, optional
        Colours of an indexed image.
    alpha : array of shape (H, W), optional
        Opacity in the range of the values; bool if a single value or colour is transparent.
    premultiplied : bool
        Whether the values are already multiplied by the opacity.
    exact : bool
        Whether the colours are stored as RGB, not converted from another colour space.
    notes : tuple of str
        Notes on what was left out.
    """

    values: NDArray[Any]
    white: int = 0
    depth: int | None = None
    palette: NDArray[np.uint8] | None = None
    alpha: NDArray[Any] | None = None
    premultiplied: bool = False
    exact: bool = True
    notes: tuple[str, ...] = ()


def first_pixel(wrong: NDArray[np.bool_]) -> tuple[int, int]:
    """Return row and column of the first True pixel.

    Parameters
    ----------
    wrong : array of shape (H, W) or (H, W, C), bool
        At least one value is True.

    Returns
    -------
    tuple of int
        Row and column, in reading order.
    """
    place = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
    return int(place[0]), int(place[1])


def check_pixels(width: int, height: int, max_pixels: int, path: object) -> None:
    """Refuse images that are empty or too large.

    Parameters
    ----------
    width, height : int
        Size from the header.
    max_pixels : int
        Maximum number of pixels.
    path : object
        Name of the image, for messages.

    Raises
    ------
    DataError
        If the image is empty or too large.
    """
    if width < 1 or height < 1:
        raise DataError(f"an image of {width}x{height} pixels", where=path, expected="at least 1x1")
    if width * height > max_pixels:
        raise too_large(f"{width}x{height}", width * height, max_pixels, path)


def to_photo(samples: Samples, reading: Reading, where: object = None) -> Photo:
    """Convert samples to RGB in 0..255.

    Parameters
    ----------
    samples : Samples
        The image as stored.
    reading : Reading
        Depth and background.
    where : object, optional
        Name of the image, for messages.

    Returns
    -------
    Photo
        Pixels are uint8 if the values are integers of up to 8 significant bits, else float32.

    Raises
    ------
    DataError
        If the values are not those of an image.

    Notes
    -----
    Floats from -0.5 to 2 are read as 0..1, up to 510 as 0..255; larger ones have the smallest of 10, 12, 14
    and 16 bits that holds them all. Values outside the range are clipped; this is reported if they exceed it
    by more than 0.001 of white. 8-bit integers are read unchanged. For wider integers the significant bits
    are taken from `reading`, else from the file, else they are the smallest of 8, 10, 12, 14 and 16 that
    holds the largest value. Transparent pixels are composited on the background.
    """
    notes = list(samples.notes)
    if samples.palette is not None:
        pixels: NDArray[Any] = samples.palette[samples.values]
        white = 255.0
    elif samples.values.dtype.kind == "f":
        white = _white_of_floats(samples.values, reading.bits, where, notes)
        pixels = _floats_to_bytes(samples.values, white)
    else:
        values = samples.values
        if values.dtype == np.bool_:
            values = values.astype(np.uint8)
        white = white_of(replace(samples, values=values), reading.bits, where, notes)
        pixels = _integers_to_bytes(values, int(white))
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    if samples.alpha is not None:
        opacity = _opacity(samples.alpha, white, where)
        if opacity.min() < 1:
            pixels = _composite(pixels, opacity, samples.premultiplied, reading.background)
            shown = "white" if reading.background == WHITE else str(reading.background)
            notes.append(f"transparent pixels are composited on {shown}")
    return Photo(np.ascontiguousarray(pixels), tuple(notes))


def _white_of_floats(values: NDArray[Any], bits: int | None, where: object, notes: list[str]) -> float:
    """Return the value of white; add notes on clipping and guesses."""
    low, high = float(values.min()), float(values.max())
    if not np.isfinite(low) or not np.isfinite(high):
        row, column = first_pixel(~np.isfinite(values))
        what = f"image with a NaN or infinite value at row {row}, column {column}"
        raise DataError(what, where=where, expected="finite values")
    if high <= FRACTIONS:
        white, lowest = 1.0, -BELOW
    elif bits is not None:
        white = float(2**bits - 1)
        lowest = -white / 4
    else:
        white = next((2.0**d - 1 for d in DEPTHS if high <= (2 if d == 8 else 1) * (2.0**d - 1)), 0.0)
        lowest = -high / 4
    if low < lowest or white == 0 or high > 2 * white:
        hint = "undo the normalisation: values 0..1 or 0..255 are expected" if low < 0 else None
        raise DataError(
            f"image values from {low:g} to {high:g}",
            where=where,
            expected="floats in 0..1, 0..255 or 0..65535",
            hint=hint,
        )
    if white > 255 and bits is None:
        notes.append(_guessed(round(np.log2(white + 1))))
    if low < -OVERSHOOT * white or high > white * (1 + OVERSHOOT):
        notes.append(f"floats outside 0..{white:g} are clipped")
    return white


def white_of(samples: Samples, bits: int | None, where: object, notes: list[str]) -> float:
    """Return the value of white of integers.

    Parameters
    ----------
    samples : Samples
        An image of integers.
    bits : int or None
        Significant bits, if they are known.
    where : object
        Name of the image, for messages.
    notes : list of str
        Gets a note if the value is guessed.

    Returns
    -------
    float
        The value of white.

    Raises
    ------
    DataError
        If the values are not those of an image.
    """
    values = samples.values
    if values.dtype == np.uint8 and samples.white == 255 and (bits is None or bits >= 8):
        return 255.0
    low, high = int(values.min()), int(values.max())
    if low < 0:
        row, column = first_pixel(values < 0)
        what = f"image with the value {low}; the first below 0 is at row {row}, column {column}"
        raise DataError(what, where=where, expected="integers from 0")
    room = samples.white or 65535
    if high > room:
        raise DataError(f"image with the value {high}", where=where, expected=WIDER)
    if bits is not None and 2**bits - 1 < room:
        if high > 2**bits - 1:
            what = f"image with the value {high}, which is more than {bits} bits hold"
            hint = "give the bits that the samples have, or none"
            raise DataError(what, where=where, expected=f"0 to {2**bits - 1}", hint=hint)
        return float(2**bits - 1)
    if bits is not None or room < 65535 or high == 0:
        return float(room)
    if samples.depth is not None:
        return float(2**samples.depth - 1 if high < 2**samples.depth else room)
    depth = next(d for d in DEPTHS if high < 2**d)
    expected = 16 if samples.white else 8  # not a guess: the full range, or bytes
    if depth != expected:
        notes.append(_guessed(depth))
    return float(2**depth - 1)


def _guessed(depth: int) -> str:
    white = 2**depth - 1
    return f"guessed from the largest value: {depth} significant bits, so {white} is white (option: bits)"


def _floats_to_bytes(values: NDArray[Any], white: float) -> NDArray[np.float32]:
    result = values.astype(np.float32)
    np.clip(result, 0, np.float32(white), out=result)
    result *= np.float32(255 / white)
    return result


def _integers_to_bytes(values: NDArray[Any], white: int) -> NDArray[np.uint8] | NDArray[np.float32]:
    if white <= 255:
        values = values.astype(np.uint8, copy=False)
        if 255 % white == 0:
            return values if white == 255 else values * np.uint8(255 // white)
    result: NDArray[np.float32] = values.astype(np.float32)
    result *= np.float32(255 / white)
    return result


def _opacity(alpha: NDArray[Any], white: float, where: object) -> NDArray[np.float32]:
    """Return opacities in 0..1."""
    if alpha.dtype == np.bool_:
        return alpha.astype(np.float32)
    high = float(alpha.max())
    if not np.isfinite(high) or not np.isfinite(float(alpha.min())):
        row, column = first_pixel(~np.isfinite(alpha))
        what = f"opacity that is NaN or infinite at row {row}, column {column}"
        raise DataError(what, where=where, expected="finite values")
    if alpha.dtype.kind == "f" and high <= FRACTIONS:
        white = 1.0
    elif high > white:
        white = 255.0 if high <= 255 else 65535.0
    opacity: NDArray[np.float32] = alpha.astype(np.float32)
    opacity /= np.float32(white)
    return np.clip(opacity, 0, 1, out=opacity)


def _composite(
    pixels: NDArray[Any], opacity: NDArray[np.float32], premultiplied: bool, background: tuple[int, int, int]
) -> NDArray[Any]:
    holes = opacity < 1  # opaque pixels stay bit-identical
    share = opacity[holes][:, None]
    colors = pixels[holes].astype(np.float32)
    if not premultiplied:
        colors *= share
    colors += (1 - share) * np.array(background, dtype=np.float32)
    np.clip(colors, 0, 255, out=colors)
    result = pixels.copy()
    result[holes] = np.rint(colors) if result.dtype == np.uint8 else colors
    return result
