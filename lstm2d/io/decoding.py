"""Decode image files that may be hostile: every failure is one DataError; size is checked before decoding."""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import DataError
from lstm2d.io.regular import open_regular
from lstm2d.kernels import forks

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

DEFAULT_MAX_PIXELS = 100_000_000

# First bytes, Pillow's format, the plug-in that reads it. Nothing else is ever opened: fewer decoders for
# hostile files to reach (Pillow's list has one that runs Ghostscript), and only one plug-in to import.
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
_ORIENTATION = 274  # number of the tag, in EXIF and TIFF alike
_BITS_PER_SAMPLE = 258
_PLANAR_CONFIGURATION = 284
_LOSSY = ("JPEG", "WEBP", "JPEG2000")
_SIXTEEN_BIT = re.compile("(RGB|RGBA|RGBX|RGBa|LA);16[BLN]")
_TIFFFILE_COMPRESSIONS = (1, 8, 32946, 34925)  # none, Deflate twice, LZMA: what tifffile reads on its own
_nowhere = logging.NullHandler()
_pillow_state = threading.Lock()
forks.hold(_pillow_state)


@dataclass(frozen=True)
class Decoded:
    """What an image file holds.

    Parameters
    ----------
    values : array of shape (H, W) or (H, W, 3)
        Pixels, turned upright, alpha dropped: of an indexed file the indices, of all others the samples as
        stored.
    palette : array of shape (256, 3), uint8, optional
        Colours of an indexed file.
    white : int
        Value of a white sample: 1, 3, 15, 255, 4095 or 65535; 0 where the file does not say (floats, 32-bit
        integers).
    lossy : bool
        Whether the file's compression changes values.
    format : str
        Name of the file format.
    """

    values: NDArray[Any]
    palette: NDArray[np.uint8] | None
    white: int
    lossy: bool
    format: str


@dataclass(frozen=True)
class _Source:
    """An open file on its way through the decoders."""

    file: BinaryIO
    format: str
    path: object
    max_pixels: int


def decode(path: str | os.PathLike[str], *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Decoded:
    """Read an image file completely.

    Parameters
    ----------
    path : str or path
        The file.
    max_pixels : int
        Most pixels to decode; the file's header is asked before anything is decoded.

    Returns
    -------
    Decoded
        The first image of the file.

    Raises
    ------
    DataError
        If the file is missing, is not an image, is damaged or cut short, or is too large.
    """
    with open_regular(path) as file, _as_data_error(path):
        _quiet_loggers()
        name = _identify(file, path)
        source = _Source(file, name, path, max_pixels)
        try:
            image = _open(source)
        except OSError:
            if name != "TIFF":
                raise
            return _decode_with_tifffile(source)  # Pillow knows no float colour, for example
        raw = _raw_mode(image)
        if name == "TIFF" and _is_deep_planar(image):
            return _decode_with_tifffile(source)  # Pillow would take the bytes apart wrongly
        if _SIXTEEN_BIT.fullmatch(raw):
            return _decode_sixteen_bit(source, raw)
        lossy = name in _LOSSY or "jpeg" in str(image.info.get("compression", ""))
        size = image.size
        image.load()
        if image.size != size:
            raise DataError("the image is not of the size its header says", where=path, expected=str(size))
        return _from_pillow(image, raw, lossy, name)


def first_pixel(wrong: NDArray[np.bool_]) -> tuple[int, int]:
    """Return row and column of the first pixel that is set.

    Parameters
    ----------
    wrong : array of shape (H, W), bool
        At least one value is true.

    Returns
    -------
    tuple of int
        Row and column, in reading order.
    """
    row, column = divmod(int(np.argmax(wrong)), wrong.shape[1])
    return row, column


@contextmanager
def _as_data_error(path: str | os.PathLike[str]) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except Exception as e:  # decoders raise whatever comes to their minds over a broken file
        reason = str(e).splitlines()[0] if str(e) else type(e).__name__
        hint = "open it in an image viewer; if it shows, save it again as PNG"
        raise DataError(
            f"cannot decode the image ({reason})", where=path, expected=_READABLE, hint=hint
        ) from e


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    """Keep remarks on broken metadata off the terminal; locked, as filters and Pillow's limit are global."""
    with _pillow_state, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _quiet_loggers() -> None:
    """Keep the same off the terminal where it comes through logging and the program has set up no handler."""
    for name in ("PIL", "tifffile"):
        logging.getLogger(name).addHandler(_nowhere)  # once, however often it is called


def _identify(file: BinaryIO, path: object) -> str:
    head = file.read(16)
    file.seek(0)
    if not head:
        raise DataError("the file is empty", where=path, expected=_READABLE)
    for magic, name, plugin in _FORMATS:
        if head.startswith(magic):
            import_module(f"PIL.{plugin}")
            return name
    raise DataError("this is no image, or of a kind that is not read", where=path, expected=_READABLE)


def _open(source: _Source) -> ImageFile:
    from PIL import Image as pillow

    source.file.seek(0)
    with _quiet_pillow():  # our limit is checked below, on the same header; Pillow's is for the whole process
        limit, pillow.MAX_IMAGE_PIXELS = pillow.MAX_IMAGE_PIXELS, None
        try:
            image = pillow.open(source.file, formats=[source.format])
        finally:
            pillow.MAX_IMAGE_PIXELS = limit
    _check_pixels(*image.size, source)
    return image


def _check_pixels(width: int, height: int, source: _Source) -> None:
    if width < 1 or height < 1:
        raise DataError(f"an image of {width}x{height} pixels", where=source.path, expected="at least 1x1")
    if width * height > source.max_pixels:
        raise DataError(
            f"image too large ({width}x{height} = {width * height} pixels)",
            where=source.path,
            expected=f"{source.max_pixels} pixels at the most",
            hint="raise the limit (--max-pixels) if the file is what it should be",
        )


def _raw_mode(image: Image) -> str:
    """Return Pillow's name for how the samples lie in the file, for example RGB;16B."""
    tile = getattr(image, "tile", None)
    if not tile:
        return str(image.mode)
    arguments = tile[0][3]
    raw = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return raw if isinstance(raw, str) else str(image.mode)


def _is_deep_planar(image: ImageFile) -> bool:
    """Say whether a TIFF holds one channel after the other, with more than 8 bits a sample."""
    tags = getattr(image, "tag_v2", {})
    return tags.get(_PLANAR_CONFIGURATION) == 2 and max(tags.get(_BITS_PER_SAMPLE, (8,))) > 8


def _orientation(image: Image) -> int:
    try:
        with _quiet_pillow():
            value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # a camera's broken EXIF block must not make the photo unreadable
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright(values: NDArray[Any], orientation: int) -> NDArray[Any]:
    if orientation in (2, 3, 7, 8):
        values = values[:, ::-1]
    if orientation in (3, 4, 6, 7):
        values = values[::-1]
    if orientation >= 5:
        values = values.swapaxes(0, 1)
    return np.ascontiguousarray(values)


def _from_pillow(image: Image, raw: str, lossy: bool, name: str) -> Decoded:
    orientation = _orientation(image)
    image.info.pop("transparency", None)  # the conversions below would act on it, or warn about it
    palette = None
    white = 255
    if image.mode in ("P", "PA"):
        palette = np.zeros((256, 3), dtype=np.uint8)
        colors = np.array(image.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
        palette[: len(colors)] = colors
        image = image.getchannel(0)
    elif image.mode in ("LA", "La"):
        image = image.getchannel(0)
    elif image.mode == "LAB":
        image = _lab_to_rgb(image)
    elif image.mode not in ("1", "L", "F") and not image.mode.startswith("I"):
        image = image.convert("RGB")
    values = np.array(image)
    if image.mode == "1":
        values, white = values.astype(np.uint8), 1
    elif raw.startswith(("L;2", "L;4")):  # Pillow spreads 0..3 and 0..15 over 0..255
        white = 3 if raw.startswith("L;2") else 15
        values //= 255 // white
    elif image.mode.startswith("I;16") or (image.mode == "I" and name == "PPM"):
        values, white = values.astype(np.uint16), 4095 if raw.startswith("I;12") else 65535
    elif image.mode in ("I", "F"):
        white = 0
    return Decoded(_upright(values, orientation), palette, white, lossy, name)


def _lab_to_rgb(image: Image) -> Image:
    from PIL import ImageCms

    converted = ImageCms.profileToProfile(
        image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    assert converted is not None  # None is for in-place conversion only
    return converted


def _decode_sixteen_bit(source: _Source, raw: str) -> Decoded:
    """Get all 16 bits of a colour file, of which Pillow keeps the upper 8 without a word.

    Pillow unpacks the decompressed samples by a name. Asked for big-endian samples it keeps the first byte of
    each, asked for little-endian ones the second: two passes give both. Gray with alpha is as wide as RGBA of
    8 bits.
    """
    bands = raw.partition(";")[0]
    if bands == "LA":
        parts = _reload(source, "RGBA", "RGBA").astype(np.uint16)
        first, second = parts[..., 0], parts[..., 1]
    else:
        mode = "RGB" if bands == "RGB" else "RGBA"
        first = _reload(source, mode, f"{mode};16B")[..., :3].astype(np.uint16)
        second = _reload(source, mode, f"{mode};16L")[..., :3].astype(np.uint16)
    little = raw.endswith("L") or (raw.endswith("N") and sys.byteorder == "little")
    values = second << 8 | first if little else first << 8 | second
    image = _open(source)
    orientation = 1 if source.format == "TIFF" else _orientation(image)  # Pillow has turned a TIFF
    return Decoded(_upright(values, orientation), None, 65535, False, source.format)


def _reload(source: _Source, mode: str, raw: str) -> NDArray[np.uint8]:
    image = _open(source)
    image._mode = mode
    for index, tile in enumerate(image.tile):
        arguments = (raw, *tile[3][1:]) if isinstance(tile[3], tuple) else raw
        make: Any = getattr(type(tile), "_make", tuple)  # a plain tuple before Pillow 11
        image.tile[index] = make((*tile[:3], arguments))
    image.load()
    return np.array(image)


def _decode_with_tifffile(source: _Source) -> Decoded:
    import tifffile

    path = source.path
    source.file.seek(0)
    with tifffile.TiffFile(source.file) as tiff:
        page = tiff.pages.first
        _check_pixels(page.imagewidth, page.imagelength, source)
        if page.compression not in _TIFFFILE_COMPRESSIONS:
            name = tifffile.COMPRESSION(page.compression).name
            what = f"a TIFF of {name} compression with an unusual kind of pixel"
            raise DataError(what, where=path, hint="save it uncompressed, or with Deflate compression")
        if page.photometric not in (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.RGB):
            name = tifffile.PHOTOMETRIC(page.photometric).name
            raise DataError(f"a TIFF of kind {name}", where=path, expected="gray or RGB")
        values = np.asarray(page.asarray())
        axes = page.axes
        tag = page.tags.get(_ORIENTATION)
    if axes == "SYX":
        values = np.moveaxis(values, 0, -1)
    elif axes not in ("YX", "YXS"):
        raise DataError(f"a TIFF with axes {axes}", where=path, expected="one gray or RGB image a page")
    if values.ndim == 3:
        if values.shape[2] not in (1, 2, 3, 4):
            raise DataError(f"an image of {values.shape[2]} channels", where=path, expected="gray or RGB")
        values = values[..., 0] if values.shape[2] < 3 else values[..., :3]
    if values.shape[:2] != (page.imagelength, page.imagewidth):
        raise DataError("the image is not of the size its header says", where=path)
    if values.dtype.kind not in "uif":
        raise DataError(f"an image of {values.dtype} values", where=path, expected="integers or floats")
    white = {"uint8": 255, "uint16": 65535}.get(values.dtype.name, 0)
    orientation = tag.value if tag is not None and isinstance(tag.value, int) else 1
    return Decoded(_upright(values, orientation), None, white, False, "TIFF")
