"""Verify checksums in PNG and TIFF files, which the decoders ignore."""

from __future__ import annotations

import lzma
import os
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from lstm2d.errors import DataError

_SIGNATURE_BYTES = 8
_BLOCK = 1 << 20
_PADDING = 1 << 24  # bytes, for tiles that extend over the edge
_DEFLATE = (8, 32946)
_LZMA = 34925
_LZMA_MEMORY = 1 << 28  # bytes; the strongest setting of xz takes 65 MB
_WIDTH, _HEIGHT, _BITS_PER_SAMPLE, _COMPRESSION, _SAMPLES_PER_PIXEL = 256, 257, 258, 259, 277
_BEGINS, _LENGTHS = (273, 324), (279, 325)  # tags of strips and of tiles
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # samples per pixel, by colour type


def check_png(file: BinaryIO, path: object) -> int | None:
    """Verify the checksums of a PNG: of all chunks that affect pixels, and of the pixel data.

    Parameters
    ----------
    file : BinaryIO
        The open file. Its header is valid and its size was checked.
    path : object
        File name, for messages.

    Returns
    -------
    int or None
        Significant bits per sample, if the file states them (sBIT).

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
            break  # truncated: the decoder checks whether pixels are missing
        if kind[0] & 0x20 and kind not in (b"tRNS", b"sBIT"):  # lower case: ancillary chunk
            file.seek(length + 4, os.SEEK_CUR)
            continue
        start, data, checksum = file.tell(), b"", zlib.crc32(kind)
        for data in _pieces(file, length):
            checksum = zlib.crc32(data, checksum)
        if checksum != int.from_bytes(file.read(4), "big"):
            raise _damaged(f"the checksum of {kind.decode('ascii', 'replace')} is wrong", path)
        if kind == b"IHDR":
            pixels = _Deflated(_png_bytes(data), path)
        elif kind == b"IDAT" and pixels is not None:
            file.seek(start)
            for data in _pieces(file, length):
                pixels.feed(data)
            file.seek(start + length + 4)
        elif kind == b"sBIT" and data:
            depth = max(data[:3])
        elif kind == b"IEND":
            break
    file.seek(0)
    return depth


def check_deflated_tiff(file: BinaryIO, tags: Mapping[int, Any], path: object) -> None:
    """Verify the checksums of the strips or tiles of a Deflate-compressed TIFF.

    Parameters
    ----------
    file : BinaryIO
        The open file.
    tags : mapping of int to object
        Tags of its first page.
    path : object
        File name, for messages.

    Raises
    ------
    DataError
        If a checksum is wrong.
    """
    if tags.get(_COMPRESSION) not in _DEFLATE:
        return
    begins, lengths = (tags.get(a, tags.get(b, ())) for a, b in (_BEGINS, _LENGTHS))
    size = tags.get(_WIDTH, 0) * tags.get(_HEIGHT, 0) * tags.get(_SAMPLES_PER_PIXEL, 1)
    end = os.fstat(file.fileno()).st_size
    if sum(lengths) > end:
        return  # overlapping parts: reading them all could take forever
    left = 2 * size * max(tags.get(_BITS_PER_SAMPLE, (8,))) // 8 + _PADDING
    for begin, length in zip(begins, lengths, strict=False):
        file.seek(begin)
        part = _Deflated(left, path)
        part.feed(file.read(length))
        left = part.left


def check_expansion(
    file: BinaryIO, begin: int, length: int, size: int, compression: int, path: object
) -> None:
    """Refuse compressed data that expand to far more bytes than they should.

    Parameters
    ----------
    file : BinaryIO
        The open file.
    begin, length : int
        Where the data are in it.
    size : int
        Bytes that they should expand to.
    compression : int
        Number of the compression, as in TIFF; others than Deflate and LZMA are not looked at.
    path : object
        File name, for messages.

    Raises
    ------
    DataError
        If they are damaged, or expand to more than `size` and a little.
    """
    if compression in _DEFLATE:
        expand: Any = zlib.decompressobj()
    elif compression == _LZMA:
        expand = lzma.LZMADecompressor(memlimit=_LZMA_MEMORY)
    else:
        return
    file.seek(begin)
    left = size + _BLOCK
    for data in _pieces(file, length):
        while not expand.eof and (data or not getattr(expand, "needs_input", True)):
            try:
                left -= len(expand.decompress(data, _BLOCK))
            except (zlib.error, lzma.LZMAError) as e:
                raise _damaged(f"its pixels are damaged: {e}", path) from e
            if left < 0:
                raise _damaged("its data expand to more than its pixels", path)
            data = getattr(expand, "unconsumed_tail", b"")


class _Deflated:
    """Decompress pixel data so that zlib verifies its checksum: most decoders stop before it.

    Parameters
    ----------
    left : int
        Maximum number of bytes to decompress; decoders ignore the rest.
    path : object
        File name, for messages.
    """

    def __init__(self, left: int, path: object) -> None:
        self.left, self._path = left, path
        self._inflate = zlib.decompressobj()

    def feed(self, data: bytes) -> None:
        while data and self.left > 0 and not self._inflate.eof:
            try:
                self.left -= len(self._inflate.decompress(data, _BLOCK))
            except zlib.error as e:
                raise _damaged(f"its pixels are damaged: {e}", self._path) from e
            data = self._inflate.unconsumed_tail


def _pieces(file: BinaryIO, length: int) -> Iterator[bytes]:
    """Yield the next bytes of a file in pieces: a single chunk may be as long as the file."""
    while length > 0 and (data := file.read(min(length, _BLOCK))):
        length -= len(data)
        yield data


def _png_bytes(header: bytes) -> int:
    """Return an upper bound on the bytes of the rows of a PNG, interlaced or not."""
    width, height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    row = width * header[8] * _CHANNELS.get(header[9], 4) // 8 + 8
    return 2 * height * row + _BLOCK


def _damaged(reason: str, path: object) -> DataError:
    return DataError(
        f"cannot decode the image ({reason})",
        where=path,
        expected="an intact file",
        hint="copy the file again from its source",
    )
