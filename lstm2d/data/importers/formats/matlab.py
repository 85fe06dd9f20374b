"""Read small MATLAB files that nobody vouches for."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Sequence
from io import BytesIO
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
_NUMERIC = range(6, 16)  # double, single, and integers of 8 to 64 bits
_EXPECTED = "a MATLAB file of version 5 to 7.2"


class _Matrix(NamedTuple):
    """What the head of a matrix says."""

    kind: int
    length: int  # number of values or cells
    name: str
    content: int  # where they begin


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
        The variables that the file has: arrays of numbers, or cells of text as arrays of objects.

    Raises
    ------
    DataError
        If the file is no MATLAB file of version 5, damaged, or unpacks to more than 64 MiB, or if a wanted
        variable is something else.

    Notes
    -----
    SciPy reads what has been checked: a file of a few bytes can state sizes of any number of bytes, as the
    size of a variable or of what is compressed.
    """
    data = _read(path)
    try:
        checked = _checked(data, wanted)
    except (struct.error, zlib.error, UnicodeDecodeError, ValueError) as e:
        reason = str(e) if type(e) is ValueError else "damaged or cut off"
        raise DataError(f"cannot read the MATLAB file ({reason})", where=path, expected=_EXPECTED) from e
    from scipy.io import loadmat

    try:
        found = loadmat(BytesIO(data[:_HEADER] + checked))
    except Exception as e:  # a parser of damaged data may raise anything
        raise DataError(f"cannot read the MATLAB file ({e})", where=path, expected=_EXPECTED) from e
    return {name: np.asarray(found[name]) for name in wanted if name in found}


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


def _checked(data: bytes, wanted: Sequence[str]) -> bytes:
    """Return the elements with the wanted variables, uncompressed; raise an error if one is not safe."""
    order = "<" if data[126:128] == b"IM" else ">"
    elements: list[bytes] = []
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
        name = _head(element, 0, order).name
        if name in wanted:
            _check(element, name, order)
            elements.append(element)
        at = end
    return b"".join(elements)


def _check(element: bytes, name: str, order: str) -> None:
    """Refuse a variable that is neither numbers nor cells of text, or claims more than it holds."""
    matrix = _head(element, 0, order)
    if matrix.kind not in (*_NUMERIC, _CELL) or matrix.length > len(element):
        raise ValueError(f"variable {name} is no array of numbers or text")
    if matrix.kind != _CELL:
        return
    at = matrix.content
    for _ in range(matrix.length):
        kind, size = struct.unpack_from(f"{order}II", element, at)
        cell = _head(element, at, order)
        text = cell.kind == _CHAR or (
            cell.kind in _NUMERIC and cell.length == 0
        )  # an empty text is a 0x0 array
        if kind != _MATRIX or not text or cell.length > size or at + 8 + size > len(element):
            raise ValueError(f"variable {name} has cells that hold no text")
        at += 8 + size


def _head(data: bytes, at: int, order: str) -> _Matrix:
    """Return the head of the matrix element that begins at a place."""
    if struct.unpack_from(f"{order}I", data, at)[0] != _MATRIX:
        raise ValueError("an element that is no variable")
    flags, at = _part(data, at + 8, order)
    kind = struct.unpack_from(f"{order}I", flags)[0] & 255
    if kind == _OPAQUE:  # an object of a class: it states neither size nor name here
        return _Matrix(kind, 0, "", at)
    sizes, at = _part(data, at, order)
    name, at = _part(data, at, order)
    dimensions = struct.unpack(f"{order}{len(sizes) // 4}i", sizes)
    if len(dimensions) < 2 or min(dimensions) < 0:
        raise ValueError("a wrong size")
    return _Matrix(kind, math.prod(dimensions), name.decode("ascii"), at)


def _part(data: bytes, at: int, order: str) -> tuple[bytes, int]:
    """Return the data of a part of a matrix, and where the next one begins."""
    (word,) = struct.unpack_from(f"{order}I", data, at)
    if word >> 16:  # size and up to 4 bytes in one
        return data[at + 4 : at + 4 + min(word >> 16, 4)], at + 8
    (size,) = struct.unpack_from(f"{order}I", data, at + 4)
    if at + 8 + size > len(data):
        raise ValueError("cut off")
    return data[at + 8 : at + 8 + size], at + 8 + (size + 7) // 8 * 8
