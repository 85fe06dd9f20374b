"""Read small MATLAB files that nobody vouches for."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import DataError
from lstm2d.io.safe_open import open_regular

MAX_BYTES = 64 * 2**20  # of a file, and of what it unpacks to
_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15  # kinds of elements
_CELL, _CHAR, _OPAQUE = 1, 4, 17  # classes of matrices
_NUMERIC = {
    6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8",
}  # fmt: skip
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_COMPLEX = 1 << 11  # flag of a matrix
_EXPECTED = "a MATLAB file of version 5 to 7.2"


class _Matrix(NamedTuple):
    """What the head of a matrix says."""

    kind: int
    sizes: tuple[int, ...]
    name: str
    content: int  # where the values or cells begin
    is_complex: bool = False

    @property
    def length(self) -> int:
        """Number of values or cells."""
        return math.prod(self.sizes)


def read_matlab(path: Path, wanted: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Read variables of a MATLAB file.

    Parameters
    ----------
    path : Path
        The file.
    wanted : sequence of str
        Names of the variables. Other variables are not looked at.

    Returns
    -------
    dict of str to array
        The variables that the file has: arrays of numbers, or cells of text as arrays of objects, each an
        array of one text.

    Raises
    ------
    DataError
        If the file is no MATLAB file of version 5, damaged, or unpacks to more than 64 MiB, or if a wanted
        variable is something else.

    Notes
    -----
    SciPy is not used: a file of a few bytes can state sizes of any number of bytes, as the size of a variable
    or of what is compressed, and wrong types of the parts of a cell end its reader with a segmentation fault.
    """
    data = _read(path)
    try:
        return _variables(data, wanted)
    except (struct.error, zlib.error, UnicodeDecodeError, ValueError) as e:
        reason = str(e) if type(e) is ValueError else "damaged or cut off"
        raise DataError(f"cannot read the MATLAB file ({reason})", where=path, expected=_EXPECTED) from e


def _read(path: Path) -> bytes:
    with open_regular(path) as file:
        try:
            data = file.read(MAX_BYTES + 1)
        except OSError as e:
            raise DataError(f"cannot read the file ({e.strerror})", where=path) from e
    if len(data) > MAX_BYTES:
        raise DataError("MATLAB file too large", where=path, expected=f"at most {MAX_BYTES} bytes")
    if data[:19] == b"MATLAB 7.3 MAT-file" or data[1:4] == b"HDF":
        what, hint = "a MATLAB file of version 7.3", "save it again with -v7"
        raise DataError(what, where=path, expected=_EXPECTED, hint=hint)
    if data[126:128] not in (b"IM", b"MI"):
        raise DataError("no MATLAB file", where=path, expected=_EXPECTED)
    return data


def _variables(data: bytes, wanted: Sequence[str]) -> dict[str, NDArray[Any]]:
    order = "<" if data[126:128] == b"IM" else ">"
    found: dict[str, NDArray[Any]] = {}
    at, left = _HEADER, MAX_BYTES
    while at < len(data):
        kind, size = struct.unpack_from(f"{order}II", data, at)
        end = at + 8 + size
        if end > len(data):
            raise ValueError("cut off")
        element = data[at:end]
        if kind == _COMPRESSED:
            unpacker = zlib.decompressobj()
            element = unpacker.decompress(element[8:], left + 1)
            if len(element) > left:
                raise ValueError(f"it unpacks to more than {MAX_BYTES} bytes")
            if not unpacker.eof:
                raise ValueError("cut off")
        left -= len(element)
        matrix = _head(element, 0, order)
        if matrix.name in wanted:
            found[matrix.name] = _value(element, matrix, order)
        at = end
    return found


def _value(element: bytes, matrix: _Matrix, order: str) -> NDArray[Any]:
    """Return an array of numbers, or cells of text; sizes are checked before anything is allocated."""
    if matrix.kind not in (*_NUMERIC, _CELL) or matrix.length > len(element) or matrix.is_complex:
        raise ValueError(f"variable {matrix.name} is no array of numbers or text")
    if matrix.kind != _CELL:
        return _numbers(element, matrix, order)
    cells = np.empty(matrix.length, dtype=object)
    at = matrix.content
    for number in range(matrix.length):
        kind, size = struct.unpack_from(f"{order}II", element, at)
        cell = _head(element, at, order)
        empty = cell.kind in _NUMERIC and cell.length == 0  # an empty text is a 0x0 array
        text = cell.kind == _CHAR or empty
        if kind != _MATRIX or not text or cell.length > size or at + 8 + size > len(element):
            raise ValueError(f"variable {matrix.name} has cells that hold no text")
        cells[number] = np.array(["" if cell.length == 0 else _text(element, cell, order)])
        at += 8 + size
    return cells.reshape(matrix.sizes, order="F")


def _numbers(element: bytes, matrix: _Matrix, order: str) -> NDArray[Any]:
    kind, content, _ = _typed(element, matrix.content, order)
    width = np.dtype(_STORED.get(kind, "u1")).itemsize
    if kind not in _STORED or len(content) != matrix.length * width:
        raise ValueError(f"variable {matrix.name} does not hold as many numbers as it states")
    values = np.frombuffer(content, order + _STORED[kind]).reshape(matrix.sizes, order="F")
    with np.errstate(invalid="ignore", over="ignore"):  # numbers may be stored in another type than stated
        return values.astype(_NUMERIC[matrix.kind])


def _text(element: bytes, matrix: _Matrix, order: str) -> str:
    """Return the characters of a cell, row by row."""
    kind, content, _ = _typed(element, matrix.content, order)
    encoding = _TEXTS.get(kind)
    if encoding is None:
        raise ValueError("text in an unknown encoding")
    ends = {"<": "-le", ">": "-be"}[order] if encoding.startswith(("utf-16", "utf-32")) else ""
    text = content.decode(encoding + ends)
    if len(text) != matrix.length:
        raise ValueError("text of another length than stated")
    return "".join(np.array(list(text)).reshape(matrix.sizes, order="F").ravel())


def _head(data: bytes, at: int, order: str) -> _Matrix:
    """Return the head of the matrix element that begins at a place."""
    if struct.unpack_from(f"{order}I", data, at)[0] != _MATRIX:
        raise ValueError("an element that is no variable")
    flags, at = _part(data, at + 8, order)
    (flag,) = struct.unpack_from(f"{order}I", flags)
    kind = flag & 255
    if kind == _OPAQUE:  # an object of a class: it states neither size nor name here
        return _Matrix(kind, (0,), "", at)
    sizes, at = _part(data, at, order)
    name, at = _part(data, at, order)
    dimensions = struct.unpack(f"{order}{len(sizes) // 4}i", sizes)
    if len(dimensions) < 2 or min(dimensions) < 0:
        raise ValueError("a wrong size")
    return _Matrix(kind, dimensions, name.decode("ascii"), at, bool(flag & _COMPLEX))


def _part(data: bytes, at: int, order: str) -> tuple[bytes, int]:
    """Return the data of a part of a matrix, and where the next one begins."""
    _, content, end = _typed(data, at, order)
    return content, end


def _typed(data: bytes, at: int, order: str) -> tuple[int, bytes, int]:
    """Return the type of a part of a matrix, its data, and where the next one begins."""
    (word,) = struct.unpack_from(f"{order}I", data, at)
    if word >> 16:  # size and up to 4 bytes in one
        return word & 65535, data[at + 4 : at + 4 + min(word >> 16, 4)], at + 8
    (size,) = struct.unpack_from(f"{order}I", data, at + 4)
    if at + 8 + size > len(data):
        raise ValueError("cut off")
    return word, data[at + 8 : at + 8 + size], at + 8 + (size + 7) // 8 * 8
