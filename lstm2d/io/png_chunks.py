"""The chunks of a PNG file: their checksums, of which Pillow does not look at those of the pixels."""

from __future__ import annotations

import os
import zlib
from typing import BinaryIO

from lstm2d.errors import DataError

_SIGNATURE_BYTES = 8
_BLOCK = 1 << 20
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # samples of a pixel by colour type


def check_png(file: BinaryIO, path: object) -> int | None:
    """Verify the checksums of all chunks that decide on pixels, and that of the pixels themselves.

    Parameters
    ----------
    file : BinaryIO
        The open file. Its header was read without an error before, and its size is acceptable.
    path : object
        Its name, for messages.

    Returns
    -------
    int or None
        Significant bits of a sample, where the file states them (sBIT).

    Raises
    ------
    DataError
        If a checksum is wrong.
    """
    end = os.fstat(file.fileno()).st_size
    file.seek(_SIGNATURE_BYTES)
    pixels, depth = None, None
    while len(head := file.read(8)) == 8:
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if file.tell() + length + 4 > end:
            break  # cut short: decoding finds out whether pixels are missing
        if kind[0] & 0x20 and kind not in (b"tRNS", b"sBIT"):  # a lower-case letter: no pixel depends on it
            file.seek(length + 4, os.SEEK_CUR)
            continue
        data = file.read(length)
        if zlib.crc32(data, zlib.crc32(kind)) != int.from_bytes(file.read(4), "big"):
            raise _damaged(f"the checksum of {kind.decode('ascii', 'replace')} is wrong", path)
        if kind == b"IHDR":
            pixels = _PixelStream(data, path)
        elif kind == b"IDAT" and pixels is not None:
            pixels.feed(data)
        elif kind == b"sBIT" and data:
            depth = max(data[:3])
        elif kind == b"IEND":
            break
    file.seek(0)
    return depth


class _PixelStream:
    """Decompresses pixels only to have zlib compare their checksum, which decoders never reach."""

    def __init__(self, header: bytes, path: object) -> None:
        width, height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
        row = width * header[8] * _CHANNELS.get(header[9], 4) // 8 + 8
        self._left = 2 * height * row + _BLOCK  # more than the image, interlaced too; what follows is padding
        self._inflate = zlib.decompressobj()
        self._path = path

    def feed(self, data: bytes) -> None:
        while data and self._left > 0 and not self._inflate.eof:
            try:
                self._left -= len(self._inflate.decompress(data, _BLOCK))
            except zlib.error as e:
                raise _damaged(f"its pixels are damaged: {e}", self._path) from e
            data = self._inflate.unconsumed_tail


def _damaged(reason: str, path: object) -> DataError:
    return DataError(
        f"cannot decode the image ({reason})",
        where=path,
        expected="a PNG file as it was written",
        hint="copy the file again from where it came",
    )
