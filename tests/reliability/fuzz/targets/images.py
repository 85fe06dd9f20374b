"""Readers of photographs and masks."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from lstm2d.errors import Lstm2dError
from lstm2d.io.classes import ClassInfo
from lstm2d.io.decoding import read_header
from lstm2d.io.georeference import read_georeference
from lstm2d.io.images import read_photo
from lstm2d.io.label_images import encode_labels
from lstm2d.io.legend import encode_legend
from lstm2d.io.masks import open_mask
from lstm2d.io.photo import Reading
from tests.reliability.fuzz.forms import png_form, tiff_form
from tests.reliability.fuzz.made import encoded, photo
from tests.reliability.fuzz.target import Target

_MAX_PIXELS = 250_000
_MARKERS = (
    b"\xff\xd8", b"\xff\xd9", b"\xff\xda", b"\xff\xc0", b"\xff\xc2", b"\xff\xc4", b"\xff\xdb", b"\xff\xe1",
    b"\xff\xe2MPF\0", b"Exif\0\0", b"\xff\xdd", b"RIFF", b"WEBPVP8L", b"WEBPVP8X", b"ANIM", b"GIF89a",
    b"\x21\xff\x0b", b"P6\n4 4\n255\n", b"P3 ", b"BM", b"jp2c", b"ihdr", b"colr",
)  # fmt: skip


def _read(path: Path) -> None:
    """Read a file in every way; the first error is raised at the end."""
    errors: list[Lstm2dError] = []
    for read in (
        lambda: read_header(path, max_pixels=_MAX_PIXELS),
        lambda: read_photo(path, Reading(max_pixels=_MAX_PIXELS)),
        lambda: open_mask(path, max_pixels=_MAX_PIXELS),
        lambda: open_mask(path, max_pixels=_MAX_PIXELS, lossy=True),
        lambda: read_georeference(path),
    ):
        try:
            read()
        except Lstm2dError as error:
            errors.append(error)
            if error.exit_code not in (2, 3):
                raise
    if errors:
        raise errors[0]


def _read_some(path: Path) -> None:
    """Read a valid file; formats that cannot be masks are refused as such."""
    with suppress(Lstm2dError):
        _read(path)


def _png() -> list[bytes]:
    palette = Image.fromarray(photo(channels=1) % 3)
    palette.putpalette(bytes(range(9)))
    exif = Image.Exif()
    exif[274] = 6
    deep = (photo(channels=1).astype(np.uint16) * 257).astype(np.uint16)
    return [
        encoded(photo(), "PNG"),
        encoded(photo(channels=4), "PNG"),
        encoded(photo(channels=2), "PNG"),
        encoded(palette, "PNG", transparency=b"\0\xff\x80"),
        encoded(Image.fromarray(photo(channels=1)).convert("1"), "PNG"),
        encoded(Image.fromarray(deep), "PNG"),
        encoded(photo(), "PNG", exif=exif),
        encoded(photo(), "PNG", save_all=True, append_images=[Image.fromarray(photo()[::-1].copy())]),
        encode_labels(photo(channels=1) % 2, np.zeros((2, 3), np.uint8)),
        encode_legend([ClassInfo("sky", (1, 2, 3))]),
    ]


def _tiff() -> list[bytes]:
    def written(values: np.ndarray, **options: object) -> bytes:
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, values, **options)  # type: ignore[arg-type]
        return buffer.getvalue()

    deep = photo().astype(np.uint16) * 257
    tags = ((33922, "d", 6, (0.0, 0.0, 0.0, 1.0, 2.0, 0.0), True), (33550, "d", 3, (1.0, 1.0, 0.0), True))
    return [
        encoded(photo(), "TIFF"),
        encoded(photo(channels=1), "TIFF", compression="tiff_lzw"),
        encoded(photo(), "TIFF", compression="jpeg"),
        encoded(photo(channels=1), "TIFF", compression="packbits"),
        encoded(Image.fromarray(photo(channels=1) > 99), "TIFF", compression="group4"),
        encoded(Image.fromarray(photo(channels=4), "CMYK"), "TIFF"),
        written(photo(), photometric="rgb", compression="zlib", predictor=True, tile=(16, 16)),
        written(deep, photometric="rgb", planarconfig="separate", byteorder=">"),
        written(np.moveaxis(deep, 2, 0), photometric="rgb", planarconfig="separate", compression="zlib"),
        written(deep / np.float32(70000), photometric="rgb", compression="zlib"),
        written(photo(channels=1).astype(np.float32), extratags=tags),
        written(photo(channels=1), bigtiff=True),
        encoded(photo(), "TIFF", save_all=True, append_images=[Image.fromarray(photo())]),
    ]


def _others() -> list[bytes]:
    exif = Image.Exif()
    exif[274] = 5
    gray = photo(channels=1)
    return [
        encoded(photo(16, 24), "JPEG", exif=exif),
        encoded(photo(16, 24), "JPEG", progressive=True, subsampling=2),
        encoded(Image.fromarray(photo(16, 24, 4), "CMYK"), "JPEG"),
        encoded(photo(), "BMP"),
        encoded(Image.fromarray(gray).convert("P"), "BMP"),
        encoded(gray, "GIF", save_all=True, append_images=[Image.fromarray(gray)]),
        encoded(photo(), "WEBP", lossless=True),
        encoded(photo(channels=4), "WEBP", save_all=True, append_images=[Image.fromarray(photo(channels=4))]),
        encoded(photo(), "PPM"),
        encoded(gray, "PPM"),
        b"P3\n2 2\n15\n1 2 3 4 5 6 7 8 9 10 11 12\n",
        b"P1 3 2 1 0 1 0 1 0",
        *([encoded(photo(), "JPEG2000")] if _has_jpeg_2000() else []),
    ]


def _has_jpeg_2000() -> bool:
    from PIL import features

    return bool(features.check("jpg_2000"))


TARGETS = (
    Target(
        "PNG",
        _png,
        _read_some,
        file="image.png",
        words=(b"IHDR", b"IDAT", b"IEND", b"tRNS"),
        forms=(png_form,),
    ),
    Target("TIFF", _tiff, _read_some, file="image.tif", forms=(tiff_form,)),
    Target("other images", _others, _read_some, file="image", words=_MARKERS),
)
