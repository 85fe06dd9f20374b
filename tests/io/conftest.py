"""Image files that Pillow itself cannot write."""

import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

PngWriter = Callable[..., bytes]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(values: NDArray[np.uint16], *, bits: int, kind: int, size: tuple[int, int] | None = None) -> bytes:
    """Write a plain PNG: no filter, no interlacing. `size` replaces the size in the header."""
    rows, columns = values.shape[:2]
    lines = []
    for row in values.reshape(rows, -1):
        if bits == 16:
            packed = row.astype(">u2").tobytes()
        else:
            planes = (row[:, None] >> np.arange(bits - 1, -1, -1)) & 1
            packed = np.packbits(planes.ravel().astype(np.uint8)).tobytes()
        lines.append(b"\0" + packed)
    width, height = size or (columns, rows)
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    palette = _chunk(b"PLTE", bytes(range(3 * 2**bits))) if kind == 3 else b""
    pixels = _chunk(b"IDAT", zlib.compress(b"".join(lines)))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + palette + pixels + _chunk(b"IEND", b"")


@pytest.fixture
def png() -> PngWriter:
    """Return a writer of PNG files with any bit depth and colour type."""
    return _png
