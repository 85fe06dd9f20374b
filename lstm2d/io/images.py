"""Read photographs and masks, write label images."""

from __future__ import annotations

import os
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import ShapeError
from lstm2d.io.atomic import write_bytes
from lstm2d.io.decoding import decode
from lstm2d.io.masks import MASK_SUFFIXES, read_mask, read_mask_palette
from lstm2d.io.photo import DEFAULT_MAX_PIXELS, Photo, Reading
from lstm2d.io.samples import to_photo

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "IMAGE_SUFFIXES",
    "MASK_SUFFIXES",
    "read_mask",
    "read_mask_palette",
    "read_photo",
    "write_image",
    "write_labels",
    "write_overlay",
]

IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".pbm", ".jp2",
)  # fmt: skip


def read_photo(path: str | os.PathLike[str], reading: Reading | None = None) -> Photo:
    """Read a photograph.

    Parameters
    ----------
    path : str or path
        PNG, JPEG, TIFF, BMP, GIF, WebP, PPM or JPEG 2000 file. Of an animation or a file with several pages
        the first is read.
    reading : Reading, optional
        Limits and choices. The number of pixels is checked on the file's header, before any memory is taken.

    Returns
    -------
    Photo
        Its pixels are (H, W, 3), red, green, blue in 0..255, upright (EXIF orientation applied): uint8 for
        samples of up to 8 significant bits, float32 with fractions for deeper ones and for floats.

    Raises
    ------
    DataError
        If the file is missing, damaged, cut short, too large or no image, or if its values make none.

    Notes
    -----
    Gray becomes three equal channels. CMYK, YCbCr and LAB are converted to RGB. What the samples mean is
    written at `lstm2d.io.samples.to_photo`; arrays follow the same rules, see `lstm2d.io.given.photo_of`.
    """
    reading = reading or Reading()
    return to_photo(decode(path, max_pixels=reading.max_pixels).samples, reading, path)


def write_labels(
    path: str | os.PathLike[str], labels: NDArray[np.integer[Any]], palette: NDArray[np.uint8]
) -> None:
    """Write a label image as palette PNG: right as a picture and as data.

    Parameters
    ----------
    path : str or path
        File to write.
    labels : array of shape (H, W), integer
        Class numbers 0 to 255.
    palette : array of shape (K, 3), uint8
        Colours of the classes. Numbers from K on (ignored pixels) show black.

    Raises
    ------
    OutputError
        If the file cannot be written.
    ShapeError
        If the arrays have other shapes.
    """
    from PIL import Image

    if labels.ndim != 2 or 0 in labels.shape:
        raise ShapeError("labels to write", where=labels.shape, expected="(H, W), not empty")
    image = Image.fromarray(np.ascontiguousarray(labels, dtype=np.uint8))
    image.putpalette(_full_palette(palette)[: max(len(palette), int(labels.max()) + 1)].tobytes())
    buffer = BytesIO()
    image.save(buffer, format="PNG", bits=8)
    write_bytes(path, buffer.getvalue())


def write_image(path: str | os.PathLike[str], image: NDArray[Any]) -> None:
    """Write a picture as PNG.

    Parameters
    ----------
    path : str or path
        File to write.
    image : array of shape (H, W, 3)
        Values 0..255; fractions are rounded, values outside clipped.

    Raises
    ------
    OutputError
        If the file cannot be written.
    ShapeError
        If the array has another shape.
    """
    from PIL import Image

    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ShapeError("image to write", where=image.shape, expected="(H, W, 3), not empty")
    buffer = BytesIO()
    Image.fromarray(_to_bytes(image)).save(buffer, format="PNG")
    write_bytes(path, buffer.getvalue())


def write_overlay(
    path: str | os.PathLike[str],
    image: NDArray[Any],
    labels: NDArray[np.integer[Any]],
    palette: NDArray[np.uint8],
    *,
    opacity: float = 0.5,
) -> None:
    """Write a photograph with its labels laid over it, as PNG.

    Parameters
    ----------
    path : str or path
        File to write.
    image : array of shape (H, W, 3)
        Photograph, 0..255.
    labels : array of shape (H, W), integer
        Class numbers; those without a colour leave the photograph as it is.
    palette : array of shape (K, 3), uint8
        Colours of the classes.
    opacity : float
        Share of the class colour, 0 to 1.

    Raises
    ------
    OutputError
        If the file cannot be written.
    ShapeError
        If image and labels differ in size.
    """
    if image.shape[:2] != labels.shape:
        raise ShapeError(
            "labels of another size than the image", where=labels.shape, expected=str(image.shape[:2])
        )
    share = np.where(labels < len(palette), np.float32(opacity), np.float32(0))[:, :, None]
    colors = _full_palette(palette)[labels]
    write_image(path, image * (1 - share) + colors * share)


def _full_palette(palette: NDArray[np.uint8]) -> NDArray[np.uint8]:
    full = np.zeros((256, 3), dtype=np.uint8)
    full[: len(palette)] = palette
    return full


def _to_bytes(image: NDArray[Any]) -> NDArray[np.uint8]:
    if image.dtype == np.uint8:
        return np.ascontiguousarray(image, dtype=np.uint8)
    return np.ascontiguousarray(np.clip(np.rint(image), 0, 255), dtype=np.uint8)
