"""Write label images and overlays."""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import ConfigError, ShapeError
from lstm2d.io.atomic import write_bytes
from lstm2d.io.classes import ClassInfo
from lstm2d.io.georeference import Georeference

__all__ = [
    "LABEL_FORMATS",
    "encode_labels",
    "encode_overlay",
    "label_suffix",
    "write_image",
    "write_labels",
    "write_overlay",
]

LABEL_FORMATS = {"palette": ".png", "gray": ".png", "tiff": ".tif"}  # format -> ending of the files
_ROWS = 256  # of an overlay at a time: its floats take twelve times the bytes of the photograph

# Run-length encoding: labels are long runs of equal numbers. The compression level has no effect on it.
# At 12 megapixels labels take 22 to 31 ms and 27 to 150 kB; level 1 is as fast (60 to 244 kB), level 6 slower
# and larger (28 to 54 ms, 31 to 182 kB), level 9 up to 14 times slower (10 % smaller to 7 % larger).
# Overlays take 0.4 to 0.8 s; level 6 takes 1.7 to 2.4 s for the same size.
_PNG: dict[str, Any] = {"compress_type": zlib.Z_RLE}


def label_suffix(format: str) -> str:
    """Return the file name ending of a label format.

    Parameters
    ----------
    format : str
        "palette", "gray" or "tiff".

    Returns
    -------
    str
        ".png" or ".tif".

    Raises
    ------
    ConfigError
        If there is no such format.
    """
    if format not in LABEL_FORMATS:
        raise ConfigError(f"no label format {format!r}", expected=", ".join(LABEL_FORMATS))
    return LABEL_FORMATS[format]


def write_labels(
    path: str | os.PathLike[str],
    labels: NDArray[np.integer[Any]],
    palette: NDArray[np.uint8],
    *,
    format: str = "palette",
    georeference: Georeference | None = None,
) -> None:
    """Write a label image.

    Parameters
    ----------
    path : str or path
        File to write.
    labels : array of shape (H, W), integer
        Class numbers 0 to 255.
    palette : array of shape (K, 3), uint8
        Colours of the classes. Numbers from K on (ignored pixels) are black.
    format : str
        "palette": PNG with class colours; programs that keep palette indices read the class numbers. "gray":
        8-bit gray PNG. "tiff": single-band uint8 TIFF with Deflate compression. Every program reads class
        numbers from the last two, but they look black.
    georeference : Georeference, optional
        GeoTIFF tags of the image; for "tiff" only.

    Raises
    ------
    OutputError
        If the file cannot be written.
    ShapeError
        If the arrays have other shapes.
    ConfigError
        If there is no such format.
    """
    write_bytes(path, encode_labels(labels, palette, format=format, georeference=georeference))


def encode_labels(
    labels: NDArray[np.integer[Any]],
    palette: NDArray[np.uint8],
    *,
    format: str = "palette",
    georeference: Georeference | None = None,
) -> bytes:
    """Encode a label image as the bytes of a file.

    Parameters
    ----------
    labels : array of shape (H, W), integer
        As for `write_labels`.
    palette : array of shape (K, 3), uint8
        As for `write_labels`.
    format : str
        As for `write_labels`.
    georeference : Georeference, optional
        As for `write_labels`.

    Returns
    -------
    bytes
        The file. Equal labels give equal bytes.

    Raises
    ------
    ShapeError
        If the arrays have other shapes.
    ConfigError
        If there is no such format.
    """
    label_suffix(format)
    if labels.ndim != 2 or 0 in labels.shape:
        raise ShapeError("labels to write", where=labels.shape, expected="(H, W), not empty")
    numbers = np.ascontiguousarray(labels, dtype=np.uint8)
    if format == "tiff":
        return _tiff(numbers, georeference)
    from PIL import Image

    image = Image.fromarray(numbers)
    if format == "palette":
        image.putpalette(_full_palette(palette)[: max(len(palette), int(numbers.max()) + 1)].tobytes())
    buffer = BytesIO()
    image.save(buffer, format="PNG", bits=8, **_PNG)
    return buffer.getvalue()


def write_image(path: str | os.PathLike[str], image: NDArray[Any]) -> None:
    """Write a picture as PNG.

    Parameters
    ----------
    path : str or path
        File to write.
    image : array of shape (H, W, 3)
        Values 0..255; rounded and clipped.

    Raises
    ------
    OutputError
        If the file cannot be written.
    ShapeError
        If the array has another shape.
    """
    write_bytes(path, _encoded(image))


def write_overlay(
    path: str | os.PathLike[str],
    image: NDArray[Any],
    labels: NDArray[np.integer[Any]],
    palette: NDArray[np.uint8],
    *,
    opacity: float = 0.5,
    legend: Sequence[ClassInfo] | None = None,
) -> None:
    """Write a photograph overlaid with its labels, as PNG.

    Parameters
    ----------
    path : str or path
        File to write.
    image : array of shape (H, W, 3)
        Photograph, 0..255.
    labels : array of shape (H, W), integer
        Class numbers; pixels whose class has no colour are left unchanged.
    palette : array of shape (K, 3), uint8
        Colours of the classes.
    opacity : float
        Weight of the class colour, 0 to 1.
    legend : sequence of ClassInfo, optional
        The K classes. Those that occur are listed in a legend below the picture or to its right.

    Raises
    ------
    OutputError
        If the file cannot be written.
    ShapeError
        If image and labels differ in size.
    """
    write_bytes(path, encode_overlay(image, labels, palette, opacity=opacity, legend=legend))


def encode_overlay(
    image: NDArray[Any],
    labels: NDArray[np.integer[Any]],
    palette: NDArray[np.uint8],
    *,
    opacity: float = 0.5,
    legend: Sequence[ClassInfo] | None = None,
) -> bytes:
    """Encode a photograph overlaid with its labels as the bytes of a PNG file.

    Parameters
    ----------
    image : array of shape (H, W, 3)
        As for `write_overlay`.
    labels : array of shape (H, W), integer
        As for `write_overlay`.
    palette : array of shape (K, 3), uint8
        As for `write_overlay`.
    opacity : float
        As for `write_overlay`.
    legend : sequence of ClassInfo, optional
        As for `write_overlay`.

    Returns
    -------
    bytes
        The file.

    Raises
    ------
    ShapeError
        If image and labels differ in size.
    """
    if image.shape[:2] != labels.shape:
        raise ShapeError(
            "labels of another size than the image", where=labels.shape, expected=str(image.shape[:2])
        )
    picture = np.empty(image.shape, dtype=np.uint8)
    colors = _full_palette(palette)
    for top in range(0, len(image), _ROWS):
        rows = slice(top, top + _ROWS)
        share = np.where(labels[rows] < len(palette), np.float32(opacity), np.float32(0))[:, :, None]
        picture[rows] = _to_bytes(image[rows] * (1 - share) + colors[labels[rows]] * share)
    if legend is not None:
        from lstm2d.io.legend import with_legend

        picture = with_legend(picture, labels, legend)
    return _encoded(picture)


def _encoded(image: NDArray[Any]) -> bytes:
    from PIL import Image

    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ShapeError("image to write", where=image.shape, expected="(H, W, 3), not empty")
    buffer = BytesIO()
    Image.fromarray(_to_bytes(image)).save(buffer, format="PNG", **_PNG)
    return buffer.getvalue()


def _tiff(numbers: NDArray[np.uint8], georeference: Georeference | None) -> bytes:
    import tifffile

    buffer = BytesIO()
    tifffile.imwrite(
        buffer,
        numbers,
        photometric="minisblack",
        compression="zlib",  # no predictor: differences of class numbers do not compress better
        metadata=None,  # QGIS would show only tifffile's description of the array
        software="lstm2d",
        extratags=() if georeference is None else georeference.extratags(),
    )
    return buffer.getvalue()


def _full_palette(palette: NDArray[np.uint8]) -> NDArray[np.uint8]:
    full = np.zeros((256, 3), dtype=np.uint8)
    full[: len(palette)] = palette
    return full


def _to_bytes(image: NDArray[Any]) -> NDArray[np.uint8]:
    if image.dtype == np.uint8:
        return np.ascontiguousarray(image, dtype=np.uint8)
    return np.ascontiguousarray(np.clip(np.rint(image), 0, 255), dtype=np.uint8)
