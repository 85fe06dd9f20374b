"""Decode untrusted image files: failures raise DataError, and the size is checked before decoding."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import DataError
from lstm2d.io.checksums import check_deflated_tiff, check_png
from lstm2d.io.claims import check_claims
from lstm2d.io.image_kinds import HEAD_BYTES, kind_not_read
from lstm2d.io.machine_memory import in_words
from lstm2d.io.photo import DEFAULT_MAX_PIXELS
from lstm2d.io.pillow_samples import from_pillow, orientation, quiet_pillow, raw_mode, transparent, upright
from lstm2d.io.safe_open import open_regular
from lstm2d.io.samples import Samples, check_pixels
from lstm2d.io.tiff_tags import has_further_pages, is_deep_planar, only_alpha, stated_depth

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

# Magic bytes, Pillow's format name, and its plug-in. Only these formats are opened: hostile files reach fewer
# decoders (one of Pillow's runs Ghostscript), and only one plug-in is imported.
_FORMATS = (
    (b"\xff\xd8\xff", "JPEG", "JpegImagePlugin"),
    (b"\x89PNG\r\n\x1a\n", "PNG", "PngImagePlugin"),
    (b"II*\0", "TIFF", "TiffImagePlugin"),
    (b"MM\0*", "TIFF", "TiffImagePlugin"),
    (b"II+\0", "TIFF", "TiffImagePlugin"),
    (b"MM\0+", "TIFF", "TiffImagePlugin"),
    (b"BM", "BMP", "BmpImagePlugin"),
    (b"GIF8", "GIF", "GifImagePlugin"),
    (b"RIFF", "WEBP", "WebPImagePlugin"),
    (b"P1", "PPM", "PpmImagePlugin"),
    (b"P2", "PPM", "PpmImagePlugin"),
    (b"P3", "PPM", "PpmImagePlugin"),
    (b"P4", "PPM", "PpmImagePlugin"),
    (b"P5", "PPM", "PpmImagePlugin"),
    (b"P6", "PPM", "PpmImagePlugin"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000", "Jpeg2KImagePlugin"),
)
_READABLE = "a complete PNG, JPEG, TIFF, BMP, GIF, WebP, PPM or JPEG 2000 file"
DECODER_BYTES = 12  # per pixel: the decoder's own picture, and two copies
_MP_ENTRIES = 45058  # tag that lists the pictures in a JPEG
_WIDTH, _HEIGHT = 256, 257  # tags of TIFF
_LOSSY = ("JPEG", "WEBP", "JPEG2000")
_SIXTEEN_BIT = re.compile("(RGB|RGBA|RGBX|RGBa|LA);16[BLN]")
_nowhere = logging.NullHandler()


@dataclass(frozen=True)
class Decoded:
    """A decoded image file.

    Parameters
    ----------
    samples : Samples
        Pixels as stored, and notes on what was left out.
    lossy : bool
        Whether the compression is lossy.
    format : str
        Name of the file format.
    """

    samples: Samples
    lossy: bool
    format: str


@dataclass(frozen=True)
class Header:
    """What the header of an image file says.

    Parameters
    ----------
    size : tuple of int
        Rows and columns of the upright image.
    orientation : int
        EXIF orientation, 1 to 8; 1 (upright) if it is not stated.
    lossy : bool
        Whether the compression is lossy.
    format : str
        Name of the file format.
    """

    size: tuple[int, int]
    orientation: int
    lossy: bool
    format: str


@dataclass(frozen=True)
class _Source:
    """An open image file and the limits for decoding it."""

    file: BinaryIO
    format: str
    path: object
    max_pixels: int
    max_memory: int | None = None


def decode(
    path: str | os.PathLike[str], *, max_pixels: int = DEFAULT_MAX_PIXELS, max_memory: int | None = None
) -> Decoded:
    """Read an image file completely.

    Parameters
    ----------
    path : str or path
        The file.
    max_pixels : int
        Maximum number of pixels, checked against the header before decoding.

    max_memory : int, optional
        Largest memory in bytes, checked in the same way.

    Returns
    -------
    Decoded
        The first image of the file.

    Raises
    ------
    DataError
        If the file is missing, not an image, damaged, truncated or too large.
    """
    with open_regular(path) as file, as_data_error(path):
        _quiet_loggers()
        name = _identify(file, path)
        check_claims(file, name, max_pixels, path)
        source = _Source(file, name, path, max_pixels, max_memory)
        try:
            image = _open(source)
        except OSError:
            if name != "TIFF":
                raise
            return Decoded(_with_tifffile(source), lossy=False, format=name)  # Pillow reads no float colour
        lossy = _is_lossy(image, name)
        if name == "TIFF" and is_deep_planar(image):
            samples = _with_tifffile(source)  # Pillow would decode them wrongly
        else:
            depth = check_png(file, path) if name == "PNG" else None
            if name == "TIFF":
                check_deflated_tiff(file, getattr(image, "tag_v2", {}), path)
            samples = _with_pillow(source, image, depth)
        return Decoded(samples, lossy, name)


def read_header(path: str | os.PathLike[str], *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Header:
    """Read the header of an image file.

    Parameters
    ----------
    path : str or path
        The file.
    max_pixels : int
        Maximum number of pixels.

    Returns
    -------
    Header
        Size and orientation of the first image of the file.

    Raises
    ------
    DataError
        If the file is missing, not an image or too large, or its header is damaged.
    """
    with open_regular(path) as file, as_data_error(path):
        _quiet_loggers()
        name = _identify(file, path)
        check_claims(file, name, max_pixels, path)
        source = _Source(file, name, path, max_pixels)
        try:
            image = _open(source)
        except OSError:
            if name != "TIFF":
                raise
            rows, columns = _with_tifffile(source).values.shape[:2]
            return Header((rows, columns), 1, lossy=False, format=name)
        # asking a PNG without EXIF data for it decodes the whole image
        turned = orientation(image) if name != "PNG" or "exif" in image.info else 1
        columns, rows = image.size
        if name == "TIFF":  # Pillow swaps the sides of some before they are loaded
            tags: Any = getattr(image, "tag_v2", {})
            columns, rows = int(tags[_WIDTH]), int(tags[_HEIGHT])
        size = (columns, rows) if turned >= 5 else (rows, columns)
        return Header(size, turned, _is_lossy(image, name), name)


def _is_lossy(image: ImageFile, name: str) -> bool:
    return name in _LOSSY or "jpeg" in str(image.info.get("compression", ""))


@contextmanager
def as_data_error(path: object) -> Iterator[None]:
    """Raise any exception of a decoder as a DataError.

    Parameters
    ----------
    path : object
        Name of the image, for messages.

    Yields
    ------
    None
        Control, for decoding.

    Raises
    ------
    DataError
        If the decoder fails.
    """
    try:
        yield
    except DataError:
        raise
    except Exception as e:  # decoders raise all kinds of exceptions for damaged files
        reason = str(e).splitlines()[0] if str(e) else type(e).__name__
        if type(e).__name__ == "UnidentifiedImageError":  # Pillow's message names the file object
            reason = "its header is damaged"
        elif "MAX_TEXT" in reason:  # names of Pillow's limits
            reason = "a text or colour profile in it expands to more than 1 MB"
        hint = "open it in an image viewer; if it shows, save it again as PNG"
        raise DataError(
            f"cannot decode the image ({reason})", where=path, expected=_READABLE, hint=hint
        ) from e


def _quiet_loggers() -> None:
    """Keep log messages of decoders off the terminal unless the program has configured logging."""
    for name in ("PIL", "tifffile"):
        logging.getLogger(name).addHandler(_nowhere)  # a handler is added only once


def format_of(head: bytes) -> str | None:
    """Return the name of a supported format, from the first bytes of a file.

    Parameters
    ----------
    head : bytes
        The first bytes of a file.

    Returns
    -------
    str or None
        None if the format is not supported.
    """
    return next((name for magic, name, _ in _FORMATS if head.startswith(magic)), None)


def _identify(file: BinaryIO, path: str | os.PathLike[str]) -> str:
    head = file.read(HEAD_BYTES)
    file.seek(0)
    if not head:
        raise DataError("the file is empty", where=path, expected=_READABLE)
    name = format_of(head)
    kind = kind_not_read(path, head, readable=name is not None)
    if kind is not None:
        what = f"files of this kind are not read ({kind.name})"
        raise DataError(what, where=path, expected=_READABLE, hint=kind.advice)
    if name is None:
        raise DataError("this is no image, or of a kind that is not read", where=path, expected=_READABLE)
    import_module("PIL." + next(plugin for _, known, plugin in _FORMATS if known == name))
    return name


def _open(source: _Source) -> ImageFile:
    from PIL import Image as pillow

    source.file.seek(0)
    with quiet_pillow():  # Pillow's limit is global to the process; ours is checked below
        limit, pillow.MAX_IMAGE_PIXELS = pillow.MAX_IMAGE_PIXELS, None
        try:
            image = pillow.open(source.file, formats=[source.format])
        finally:
            pillow.MAX_IMAGE_PIXELS = limit
    check_pixels(*image.size, source.max_pixels, source.path)
    needed = DECODER_BYTES * image.size[0] * image.size[1]
    if source.max_memory is not None and needed > source.max_memory:
        raise DataError(
            f"decoding {image.size[0]}x{image.size[1]} pixels takes about {in_words(needed)} of memory",
            where=source.path,
            expected=f"at most {in_words(source.max_memory)}",
            hint="use a smaller image, or a larger `max_memory`",
        )
    return image


def _with_tifffile(source: _Source) -> Samples:
    from lstm2d.io.tiff import read_with_tifffile  # loads tifffile

    source.file.seek(0)
    samples = read_with_tifffile(source.file, source.path, source.max_pixels)
    return _noted(samples, source, several=has_further_pages(source.file))


def _with_pillow(source: _Source, image: ImageFile, depth: int | None) -> Samples:
    """Decode an image that Pillow opened; `depth` is the bit depth stated in a PNG."""
    raw, size = raw_mode(image), image.size
    if _SIXTEEN_BIT.fullmatch(raw):
        samples = _sixteen_bits(source, raw)
    else:
        image.load()
        if image.size != size:
            what = "the image size differs from its header"
            raise DataError(what, where=source.path, expected=str(size))
        samples = from_pillow(image, raw, sixteen_bits=source.format in ("PNG", "PPM"))
    if source.format == "TIFF":
        tags = getattr(image, "tag_v2", {})
        samples = only_alpha(replace(samples, depth=stated_depth(tags)), tags)
    elif source.format in ("PPM", "JPEG2000"):
        samples = replace(samples, depth=16)  # their decoders scale samples to the full range
    elif depth is not None:
        samples = replace(samples, depth=_unless_spread(samples.values, depth))
    return _noted(samples, source, several=_has_further_frames(image, source))


def _noted(samples: Samples, source: _Source, *, several: bool) -> Samples:
    if not several:
        return samples
    note = (
        "several pages: only the first is read"
        if source.format == "TIFF"
        else ("several pictures: only the first is read")
    )
    return replace(samples, notes=(*samples.notes, note))


def _has_further_frames(image: ImageFile, source: _Source) -> bool:
    """Return whether a file holds further pictures besides previews of the first."""
    if source.format == "TIFF":
        return bool(getattr(image, "is_animated", True)) and has_further_pages(source.file)
    try:
        if source.format == "JPEG":  # phones append a preview or a gain map, stereo cameras a second view
            views = getattr(image, "mpinfo", {}).get(_MP_ENTRIES, [])[1:]
            return any(str(v["Attribute"]["MPType"]).startswith("Multi-Frame") for v in views)
        return bool(getattr(image, "is_animated", False))
    except Exception:  # the first picture is read regardless of what follows
        return False


def _unless_spread(values: NDArray[Any], depth: int) -> int:
    """Return the bits per sample of a PNG: 16 if samples are scaled to the full range, as in the standard."""
    spread = depth >= 16 or values.dtype != np.uint16 or not (values & np.uint16(2 ** (16 - depth) - 1)).any()
    return 16 if spread else depth


def _sixteen_bits(source: _Source, raw: str) -> Samples:
    """Return all 16 bits of a colour image; Pillow silently keeps only the upper 8.

    Unpacking as big-endian keeps the first byte of each sample, as little-endian the second, so two passes
    give both. Gray with alpha has as many bytes per pixel as 8-bit RGBA.
    """
    bands = raw.partition(";")[0]
    if bands == "LA":
        parts = _reload(source, "RGBA", "RGBA").astype(np.uint16)
        first, second = parts[..., 0::2], parts[..., 1::2]
    else:
        mode = "RGB" if bands == "RGB" else "RGBA"
        first = _reload(source, mode, f"{mode};16B").astype(np.uint16)
        second = _reload(source, mode, f"{mode};16L").astype(np.uint16)
    little = raw.endswith("L") or (raw.endswith("N") and sys.byteorder == "little")
    values = second << 8 | first if little else first << 8 | second
    image = _open(source)
    turned = 1 if source.format == "TIFF" else orientation(image)  # Pillow rotates TIFFs itself
    values = upright(values, turned)
    if bands == "LA":
        return Samples(values[..., 0], 65535, alpha=values[..., 1])
    colors = values[..., :3]
    alpha = transparent(colors, image.info.get("transparency")) if bands == "RGB" else values[..., 3]
    return Samples(colors, 65535, alpha=alpha, premultiplied=bands == "RGBa")


def _reload(source: _Source, mode: str, raw: str) -> NDArray[np.uint8]:
    image = _open(source)
    image._mode = mode
    for index, tile in enumerate(image.tile):
        arguments = (raw, *tile[3][1:]) if isinstance(tile[3], tuple) else raw
        make: Any = getattr(type(tile), "_make", tuple)  # a plain tuple before Pillow 11
        image.tile[index] = make((*tile[:3], arguments))
    image.load()
    return np.array(image)
