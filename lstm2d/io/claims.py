"""How much a decoder would allocate and do for a file, from its header, before anything is decoded.

The pixels that are decoded are not always those of the image: tiles extend over its edges, a pixel may have
thousands of samples, and a JPEG may be drawn over many times. Decoders allocate what a file claims. All that
counts is compared with one limit, the largest number of pixels of an image.
"""

from __future__ import annotations

import io
import math
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import BinaryIO

import numpy as np

from lstm2d.errors import DataError
from lstm2d.io.tiff_header import DamagedHeaderError, Entry, TiffHeader

PIXEL_BYTES = 16  # a pixel with more bytes than red, green, blue and opacity of 32 bits counts several times
MOST_SCANS = 100  # of a JPEG, as in libtiff and libvips; encoders write about ten
MOST_CHUNK = 1 << 26  # bytes of a chunk of a PNG that holds no pixels
_PADDING = 2  # tiles may be this many times as large as the image: they extend over its edges
_SPARE = 1000  # strips or tiles of a TIFF beyond those that it needs
_OVERLAP = 16  # how many times the bytes of the file its strips or tags may claim in total
_SPARE_BYTES = 1 << 24
# markers of a JPEG with a length after them, and the end of the image
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)
_BLOCK = 1 << 16
EXIF = b"Exif\0\0"
_WIDTH, _HEIGHT, _BITS, _SAMPLES, _ROWS, _PLANAR = 256, 257, 258, 277, 278, 284
_TILE_WIDTH, _TILE_HEIGHT, _DEPTH = 322, 323, 32997
_PLACES = (273, 279, 324, 325)  # offsets and lengths of strips, and of tiles
_LENGTHS = (279, 325)
_SUB_DIRECTORIES = (34665, 34853, 40965)  # EXIF, GPS and interoperability: Pillow reads them all


def check_claims(file: BinaryIO, kind: str, max_pixels: int, path: object) -> None:
    """Refuse a file that would take far more memory or time than an image of `max_pixels`.

    Parameters
    ----------
    file : BinaryIO
        The open file; its position is changed.
    kind : str
        Name of its format.
    max_pixels : int
        Largest number of pixels to decode.
    path : object
        Name of the file, for messages.

    Raises
    ------
    DataError
        If it claims more. Damage that a decoder will find is not reported.
    """
    if kind == "TIFF":
        try:
            _check_tiff(file, max_pixels, path)
        except DamagedHeaderError as error:
            raise _damaged(str(error), path) from error
    elif kind == "JPEG":
        _check_jpeg(file, path)
    elif kind == "PNG":
        _check_png(file, path)
    elif kind == "BMP":
        _check_bmp(file, max_pixels, path)
    elif kind == "JPEG2000":
        _check_jpeg2000(file, max_pixels, path)


def too_large(what: str, pixels: int, max_pixels: int, path: object) -> DataError:
    """Return the error for an image that is too large, not raised."""
    return DataError(
        f"image too large ({what} = {pixels} pixels)",
        where=path,
        expected=f"at most {max_pixels} pixels",
        hint="reduce it; or raise the limit (`max_pixels` of predict, evaluate and features) if it is right",
    )


def _damaged(reason: str, path: object) -> DataError:
    hint = "open it in an image viewer; if it shows, save it again as PNG"
    return DataError(f"cannot decode the image ({reason})", where=path, expected="an intact file", hint=hint)


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def _check_tiff(file: BinaryIO, max_pixels: int, path: object) -> None:
    """Count the strips or tiles of the first page with all their samples."""
    header = TiffHeader(file)
    entries, _ = header.page(header.first)
    largest = _largest(header, entries)
    width, height = largest.get(_WIDTH, 0), largest.get(_HEIGHT, 0)
    if width < 1 or height < 1:
        return  # refused by every decoder
    samples, bits = largest.get(_SAMPLES, 1), largest.get(_BITS, 1)
    weight = max(1, math.ceil(samples * bits / (8 * PIXEL_BYTES))) * largest.get(_DEPTH, 1)
    asked = width * height * weight
    parts, decoded, what = _parts(largest, width, height)
    if weight > 1:
        what += f", {samples} samples of {bits} bits"
    limit = max(max_pixels, _PADDING * asked if asked <= max_pixels else 0)
    if decoded * weight > limit:
        raise too_large(what, decoded * weight, max_pixels, path)
    parts *= samples if largest.get(_PLANAR, 1) == 2 else 1
    _check_tags(file, header, entries, parts, path)


def _parts(largest: Mapping[int, int], width: int, height: int) -> tuple[int, int, str]:
    """Return the number of strips or tiles of a page, their pixels, and the size in words."""
    if _TILE_WIDTH in largest or _TILE_HEIGHT in largest:
        across, down = (max(1, largest.get(tag, 1)) for tag in (_TILE_WIDTH, _TILE_HEIGHT))
        tiles = -(-width // across) * -(-height // down)
        return tiles, tiles * across * down, f"{width}x{height} in tiles of {across}x{down}"
    rows = min(max(1, largest.get(_ROWS, height)), height)
    return -(-height // rows), width * height, f"{width}x{height}"


def _largest(header: TiffHeader, entries: Iterable[Entry]) -> dict[int, int]:
    """Return the largest value of each tag that determines the size; decoders differ for repeated ones."""
    wanted = (_WIDTH, _HEIGHT, _BITS, _SAMPLES, _ROWS, _PLANAR, _TILE_WIDTH, _TILE_HEIGHT, _DEPTH)
    found: dict[int, int] = {}
    for entry in entries:
        values = header.values(entry, 1000) if entry.number in wanted else ()
        if len(values):
            found[entry.number] = max(found.get(entry.number, 0), int(max(values)))
    return found


def _check_tags(file: BinaryIO, header: TiffHeader, entries: list[Entry], parts: int, path: object) -> None:
    """Refuse lists of strips that are longer than the image needs, and data that are claimed repeatedly."""
    size = _size(file)
    limit = _OVERLAP * size + _SPARE_BYTES
    for entry in entries:
        if entry.number in _PLACES and entry.count > _OVERLAP * parts + _SPARE:
            raise _damaged(f"{entry.count} strips or tiles, {parts} are expected", path)
        if entry.number in _LENGTHS and header.values(entry, entry.count).sum(dtype=np.float64) > limit:
            raise _damaged("its strips or tiles claim more bytes than the file has", path)
    claimed = _claimed(entries, size)
    for entry in entries:
        if entry.number in _SUB_DIRECTORIES and len(places := header.values(entry, 1)):
            with suppress(DamagedHeaderError):
                claimed += _claimed(header.page(int(places[0]))[0], size)
    if claimed > limit:
        raise _damaged("its tags claim more bytes than the file has", path)


def _claimed(entries: Iterable[Entry], size: int) -> int:
    """Return the bytes that a reader of all tags reads from a file of this size."""
    return sum(min(entry.size, max(0, size - entry.offset)) for entry in entries)


def repeats_itself(exif: bytes) -> bool:
    """Return whether the tags of EXIF data claim the same bytes many times, which Pillow would all copy.

    Parameters
    ----------
    exif : bytes
        The data, with or without the words "Exif" before them.

    Returns
    -------
    bool
        False for data that are damaged in another way.
    """
    data = exif.removeprefix(EXIF)
    try:
        header = TiffHeader(io.BytesIO(data))
        entries, _ = header.page(header.first)
    except DamagedHeaderError:
        return False
    return _claimed(entries, len(data)) > _OVERLAP * len(data) + _SPARE_BYTES


def _check_exif(exif: bytes, path: object) -> None:
    if repeats_itself(exif):
        raise _damaged("its EXIF data claim the same bytes many times", path)


def _check_jpeg(file: BinaryIO, path: object) -> None:
    """Count the scans of a JPEG that is stored in several: each is a pass over all pixels."""
    scans, components, progressive = 0, 0, False
    exif: list[bytes] = []
    file.seek(2)
    while scans <= MOST_SCANS and (kind := _next_marker(file)) not in (None, 0xD9):
        length = int.from_bytes(file.read(2), "big")
        data = file.read(max(length - 2, 0))
        if kind == 0xE1 and data.startswith(EXIF):  # Pillow joins all such segments
            exif.append(data.removeprefix(EXIF))
        elif kind in _FRAMES and len(data) > 5:
            progressive, components = kind in _PROGRESSIVE, data[5]
        elif kind == 0xDA:
            scans += 1
            if not progressive and data[:1] == bytes([components]):
                break  # all components at once: decoders stop after it
    if scans > MOST_SCANS:
        expected = f"at most {MOST_SCANS} scans"
        hint = "save it again as a baseline JPEG or PNG"
        raise DataError(f"a JPEG of more than {MOST_SCANS} scans", where=path, expected=expected, hint=hint)
    _check_exif(b"".join(exif), path)


def _next_marker(file: BinaryIO) -> int | None:
    """Skip what precedes the next marker, and the marker; return it, or None at the end of the file."""
    while len(block := file.read(_BLOCK)) > 1:
        found = _MARKER.search(block)
        if found is not None:
            file.seek(found.end() - len(block), os.SEEK_CUR)
            return block[found.end() - 1]
        if len(block) == _BLOCK:
            file.seek(-1, os.SEEK_CUR)  # a marker may begin with the last byte
    return None


def _check_png(file: BinaryIO, path: object) -> None:
    """Refuse long chunks that hold no pixels: Pillow keeps each in memory."""
    end = _size(file)
    at = 8
    while at + 8 <= end:
        file.seek(at)
        head = file.read(8)
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if kind == b"IEND":
            return
        if kind not in (b"IDAT", b"fdAT") and MOST_CHUNK < length <= end - at:
            raise _damaged(f"a chunk of {length} bytes, at most {MOST_CHUNK} are expected", path)
        if kind == b"eXIf" and length <= end - at:
            _check_exif(file.read(length), path)
        at += 12 + length


def _check_bmp(file: BinaryIO, max_pixels: int, path: object) -> None:
    """Count the rows that compressed data can jump over: some decoders allocate them."""
    file.seek(14)
    head = file.read(40)
    if len(head) == 40 and int.from_bytes(head[16:20], "little") in (1, 2):
        width, height = (int.from_bytes(head[k : k + 4], "little", signed=True) for k in (4, 8))
        rows = abs(height) + 255
        if abs(width) * rows > max(max_pixels, 2 * abs(width * height)):
            what = f"{abs(width)}x{abs(height)}, and 255 rows that its data can jump over"
            raise too_large(what, abs(width) * rows, max_pixels, path)


def _check_jpeg2000(file: BinaryIO, max_pixels: int, path: object) -> None:
    """Look at the size in the code stream; that in the header around it may differ."""
    file.seek(0)
    head = file.read(_BLOCK)
    at = head.find(b"\xff\x4f\xff\x51")
    if at < 0 or len(head) < at + 42:
        return
    right, bottom, left, top, across, down, x, y = (
        int.from_bytes(head[at + 8 + 4 * k : at + 12 + 4 * k], "big") for k in range(8)
    )
    components = int.from_bytes(head[at + 40 : at + 42], "big")
    pixels = max(0, right - left) * max(0, bottom - top)
    if pixels * max(1, math.ceil(components / 4)) > max_pixels:
        what = f"{right - left}x{bottom - top}, {components} components"
        raise too_large(what, pixels * math.ceil(components / 4), max_pixels, path)
    if across and down:
        tiles = -(-max(0, right - x) // across) * -(-max(0, bottom - y) // down)
        if tiles > _SPARE + pixels // 256:
            raise _damaged(f"{tiles} tiles for {pixels} pixels", path)
