"""Read TIFF files that Pillow cannot decode: float colour, planar 16-bit samples."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np
import tifffile
from numpy.typing import NDArray

from lstm2d.errors import DataError
from lstm2d.io.checksums import check_expansion
from lstm2d.io.pillow_samples import ORIENTATION, upright
from lstm2d.io.samples import Samples, check_pixels
from lstm2d.io.tiff_tags import ASSOCIATED, DEPTH_TAGS, FURTHER_BAND, UNASSOCIATED, stated_depth

_COMPRESSIONS = (1, 8, 32946, 34925)  # none, Deflate (two codes), LZMA: tifffile needs no further package


def read_with_tifffile(file: BinaryIO, path: object, max_pixels: int) -> Samples:
    """Read the first page of a TIFF.

    Parameters
    ----------
    file : BinaryIO
        The open file, at its beginning.
    path : object
        File name, for messages.
    max_pixels : int
        Maximum number of pixels to decode.

    Returns
    -------
    Samples
        The page, upright.

    Raises
    ------
    DataError
        If the page is too large, or neither gray nor RGB.
    """
    with tifffile.TiffFile(file) as tiff:
        page = tiff.pages.first
        check_pixels(page.imagewidth, page.imagelength, max_pixels, path)
        if page.compression not in _COMPRESSIONS:
            name = tifffile.COMPRESSION(page.compression).name
            what = f"a TIFF with {name} compression and an unusual pixel format"
            raise DataError(what, where=path, hint="save it uncompressed, or with Deflate compression")
        if page.photometric not in (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.RGB):
            name = tifffile.PHOTOMETRIC(page.photometric).name
            raise DataError(f"a TIFF of kind {name}", where=path, expected="gray or RGB")
        _check_bands(page.samplesperpixel, path)
        check_parts(file, page, path)
        values = np.asarray(page.asarray())
        tags = {code: tag.value for code in (ORIENTATION, *DEPTH_TAGS) if (tag := page.tags.get(code))}
        extras, axes = tuple(map(int, page.extrasamples)), page.axes
    if axes == "SYX":
        values = np.moveaxis(values, 0, -1)
    elif axes not in ("YX", "YXS"):
        raise DataError(f"a TIFF with axes {axes}", where=path, expected="one gray or RGB image per page")
    if values.shape[:2] != (page.imagelength, page.imagewidth):
        raise DataError("the image size differs from its header", where=path)
    if values.dtype.kind not in "uif":
        raise DataError(f"an image of {values.dtype} values", where=path, expected="integers or floats")
    turned = tags.get(ORIENTATION)
    return bands(upright(values, turned if isinstance(turned, int) else 1), extras, tags, path)


def check_parts(file: BinaryIO, page: tifffile.TiffPage, path: object) -> None:
    """Refuse strips and tiles that expand beyond their pixels: tifffile decompresses them completely.

    Parameters
    ----------
    file : BinaryIO
        The open file.
    page : tifffile.TiffPage
        Its page.
    path : object
        File name, for messages.

    Raises
    ------
    DataError
        If one does, or is damaged.
    """
    rows, columns = min(page.rowsperstrip, page.imagelength), page.imagewidth
    if page.is_tiled:
        rows, columns = page.tilelength, page.tilewidth
    samples = 1 if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE else page.samplesperpixel
    size = rows * (columns * samples * page.bitspersample + 7) // 8
    for begin, length in zip(page.dataoffsets, page.databytecounts, strict=False):
        check_expansion(file, begin, length, size, page.compression, path)


def _check_bands(channels: int, path: object) -> None:
    if channels not in (1, 2, 3, 4):
        raise DataError(f"an image of {channels} channels", where=path, expected="gray or RGB")


def bands(values: NDArray[Any], extras: tuple[int, ...], tags: dict[int, Any], path: object) -> Samples:
    """Split bands into colours and opacity; leave others out.

    Parameters
    ----------
    values : array of shape (H, W) or (H, W, bands)
        An image, or rows of it.
    extras : tuple of int
        Meaning of the bands after the colours, as in the tag ExtraSamples.
    tags : dict of int to object
        Values of the tags that state the depth of samples.
    path : object
        File name, for messages.

    Returns
    -------
    Samples
        Colours and opacity.

    Raises
    ------
    DataError
        If there are more than four bands.
    """
    channels = values.shape[2] if values.ndim == 3 else 1
    _check_bands(channels, path)
    kind = extras[-1] if extras else None
    alpha: NDArray[Any] | None = None
    notes: tuple[str, ...] = ()
    if values.ndim == 3 and channels in (2, 4):
        if kind in (ASSOCIATED, UNASSOCIATED):
            alpha = values[..., -1]
        else:
            notes = (FURTHER_BAND,)
    if values.ndim == 3:
        values = values[..., 0] if channels < 3 else values[..., :3]
    return Samples(
        values,
        white={"uint8": 255, "uint16": 65535}.get(values.dtype.name, 0),
        depth=stated_depth(tags),
        alpha=alpha,
        premultiplied=kind == ASSOCIATED,
        notes=notes,
    )
