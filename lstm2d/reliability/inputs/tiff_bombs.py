"""TIFF files that claim, or expand to, far more than they hold."""

from __future__ import annotations

import lzma
import struct
import zlib
from collections.abc import Iterable, Mapping

SHORT, LONG = 3, 4
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_STRIPS, _SAMPLES, _ROWS, _STRIP_BYTES, _PLANAR = 273, 277, 278, 279, 284
_TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES = 322, 323, 324, 325
_SUBFILE, _SAMPLE_FORMAT, _DEPTH = 254, 339, 32997
NO_COMPRESSION, LZW, JPEG, DEFLATE, LZMA = 1, 5, 7, 8, 34925
BLACK, RGB = 1, 2
FLOAT = 3

Values = Iterable[int]


def tiff(tags: Mapping[int, tuple[int, Values]], pixels: bytes = b"", *, next_page: int = 0) -> bytes:
    """Return a little-endian TIFF file of one page.

    Parameters
    ----------
    tags : mapping of int to (int, iterable of int)
        Type and values of each tag. `STRIP` among the values of an offset is replaced by that of `pixels`.
    pixels : bytes
        The data of strips or tiles; they follow the header.
    next_page : int, default 0
        Offset of the next page; 0 for none.

    Returns
    -------
    bytes
        The file.
    """
    start = 8
    directory = start + len(pixels) + len(pixels) % 2
    beyond = directory + 2 + 12 * len(tags) + 4
    entries, data = b"", b""
    for number, (kind, values) in sorted(tags.items()):
        numbers = [start if value == STRIP else value for value in values]
        packed = struct.pack(f"<{len(numbers)}{'H' if kind == SHORT else 'I'}", *numbers)
        inline = packed.ljust(4, b"\0")
        if len(packed) > 4:
            inline = struct.pack("<I", beyond + len(data))
            data += packed
        entries += struct.pack("<HHI", number, kind, len(numbers)) + inline
    head = b"II*\0" + struct.pack("<I", directory) + pixels.ljust(directory - start, b"\0")
    return head + struct.pack("<H", len(tags)) + entries + struct.pack("<I", next_page) + data


STRIP = -1


def page(
    width: int,
    height: int,
    *,
    samples: int = 3,
    bits: int = 8,
    compression: int = DEFLATE,
    stored: int = 0,
) -> dict[int, tuple[int, Values]]:
    """Return the tags of a page in one strip of `stored` bytes."""
    return {
        _WIDTH: (LONG, [width]),
        _HEIGHT: (LONG, [height]),
        _BITS: (SHORT, [bits] * min(samples, 4)),
        _COMPRESSION: (SHORT, [compression]),
        _PHOTOMETRIC: (SHORT, [RGB if samples >= 3 else BLACK]),
        _STRIPS: (LONG, [STRIP]),
        _SAMPLES: (LONG, [samples]),
        _ROWS: (LONG, [height]),
        _STRIP_BYTES: (LONG, [stored]),
    }


def in_tiles(tags: dict[int, tuple[int, Values]], width: int, height: int, stored: int) -> None:
    """Replace the strip of a page by one tile."""
    for number in (_STRIPS, _ROWS, _STRIP_BYTES):
        del tags[number]
    tags |= {_TILE_WIDTH: (LONG, [width]), _TILE_HEIGHT: (LONG, [height])}
    tags |= {_TILES: (LONG, [STRIP]), _TILE_BYTES: (LONG, [stored])}


def zeros(megabytes: int) -> bytes:
    """Return Deflate data that expand to a number of mebibytes of zeros."""
    packer = zlib.compressobj(9, wbits=-15)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)  # does not refer to others
    checksum = ((megabytes << 20) % 65521) << 16 | 1
    return b"\x78\xda" + block * megabytes + b"\x03\x00" + struct.pack(">I", checksum)


def huge_tile(compression: int = DEFLATE) -> bytes:
    """Return 16x16 pixels in a tile of 12000x12000: 432 MB."""
    pixels = zeros(1) if compression == DEFLATE else bytes(1000)
    tags = page(16, 16, compression=compression)
    in_tiles(tags, 12_000, 12_000, len(pixels))
    return tiff(tags, pixels)


def wide_tiles() -> bytes:
    """Return a column of 1x1000 pixels in tiles of 1,000,000x16: 63 of them, each 48 MB."""
    pixels = zeros(1)
    tags = page(1, 1000)
    in_tiles(tags, 1_000_000, 16, len(pixels))
    tags |= {_TILES: (LONG, [STRIP] * 63), _TILE_BYTES: (LONG, [len(pixels)] * 63)}
    return tiff(tags, pixels)


def many_samples() -> bytes:
    """Return 200x200 pixels of 50,000 samples: 2 GB."""
    pixels = zeros(1)
    return tiff(page(200, 200, samples=50_000, stored=len(pixels)), pixels)


def many_planes() -> bytes:
    """Return the same in 50,000 planes."""
    pixels = zeros(1)
    tags = page(200, 200, samples=50_000)
    tags |= {_PLANAR: (SHORT, [2]), _STRIPS: (LONG, [STRIP] * 50_000)}
    tags[_STRIP_BYTES] = (LONG, [len(pixels)] * 50_000)
    return tiff(tags, pixels)


def many_bits() -> bytes:
    """Return 100x100 pixels of 65,535 bits."""
    return tiff(page(100, 100, samples=1, bits=65_535, compression=NO_COMPRESSION, stored=1000), bytes(1000))


def many_strips() -> bytes:
    """Return 16x16 pixels with the offsets of 1,000,000 strips."""
    tags = page(16, 16, compression=NO_COMPRESSION)
    tags |= {_STRIPS: (LONG, [8] * 1_000_000), _STRIP_BYTES: (LONG, [768] * 1_000_000)}
    return tiff(tags, bytes(768))


def deep_image() -> bytes:
    """Return 100x100 pixels of 10,000 slices in one page (a volume of float numbers): 400 MB."""
    pixels = zeros(1)
    tags = page(100, 100, samples=1, bits=32, stored=len(pixels))
    tags |= {_SAMPLE_FORMAT: (SHORT, [FLOAT]), _DEPTH: (LONG, [10_000])}
    return tiff(tags, pixels)


def float_strip(*, packed: str = "deflate", megabytes: int = 500) -> bytes:
    """Return 16x16 pixels of float colour whose strip expands to 500 MB."""
    if packed == "deflate":
        pixels, compression = zeros(megabytes), DEFLATE
    else:
        packer = lzma.LZMACompressor(preset=0)
        blocks = [packer.compress(bytes(1 << 20)) for _ in range(megabytes)]
        pixels, compression = b"".join(blocks) + packer.flush(), LZMA
    tags = page(16, 16, bits=32, compression=compression, stored=len(pixels))
    tags[_SAMPLE_FORMAT] = (SHORT, [FLOAT] * 3)
    return tiff(tags, pixels)


def long_tag() -> bytes:
    """Return 16x16 pixels with a tag of 20,000,000 numbers."""
    tags = page(16, 16, compression=NO_COMPRESSION, stored=768)
    data = tiff(tags, bytes(768))
    directory = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, directory)[0]
    # private tag, placed last; its values are the zeros at the end of the file
    entry = struct.pack("<HHII", 65_000, SHORT, 20_000_000, len(data) + 12)
    end = directory + 2 + 12 * count
    moved = bytearray(data[:end] + entry + data[end:])
    struct.pack_into("<H", moved, directory, count + 1)
    _shift(moved, directory, count, 12)
    return bytes(moved) + bytes(40_000_000)


def _shift(data: bytearray, directory: int, count: int, by: int) -> None:
    """Correct the offsets of values that an inserted entry has moved."""
    for k in range(count):
        at = directory + 2 + 12 * k
        kind, number, offset = struct.unpack_from("<HII", data, at + 2)
        if number * (2 if kind == SHORT else 4) > 4:
            struct.pack_into("<I", data, at + 8, offset + by)


def many_pages(count: int = 100_000) -> bytes:
    """Return a page of 16x16 pixels, followed by 100,000 pages that call themselves reduced copies."""
    data = tiff(page(16, 16, compression=NO_COMPRESSION, stored=768), bytes(768))
    directory = struct.unpack_from("<I", data, 4)[0]
    last = directory + 2 + 12 * struct.unpack_from("<H", data, directory)[0]
    first = struct.pack("<I", len(data))
    pages = []
    for k in range(count):
        following = 0 if k == count - 1 else len(data) + 18 * (k + 1)
        pages.append(struct.pack("<HHHIII", 1, _SUBFILE, LONG, 1, 1, following))
    return data[:last] + first + data[last + 4 :] + b"".join(pages)


def endless_pages() -> bytes:
    """Return a page of 16x16 pixels, followed by a reduced copy that names itself as the next page."""
    data = many_pages(1)
    return data[:-4] + struct.pack("<I", len(data) - 18)


def jpeg_inside(jpeg: bytes) -> bytes:
    """Return 16x16 pixels whose strip is a JPEG file that claims another size."""
    tags = page(16, 16, compression=JPEG, stored=len(jpeg))
    tags[_PHOTOMETRIC] = (SHORT, [6])
    return tiff(tags, jpeg)
