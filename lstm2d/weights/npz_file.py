"""Arrays of an .npz file."""

from __future__ import annotations

import functools
import math
import re

import numpy as np
from numpy.typing import NDArray

from lstm2d.weights.lazy_array import LazyArray, damaged, short
from lstm2d.weights.zip_members import ZipMembers

_MAX_HEADER = 1024  # the header of an array without fields takes 128
# numpy.lib.format writes these three keys in this order. Its reader is not used, as it parses any Python
# literal, raises many types of warnings and errors, and accepts negative sizes.
_HEADER = re.compile(
    rb"\{'descr': '([<>|=]?[a-zA-Z]\d*)', 'fortran_order': (True|False), "
    rb"'shape': \(([\dL, ]{0,200})\),? *\} *\n?"
)


def npz_arrays(members: ZipMembers, path: object) -> dict[str, LazyArray]:
    """List the arrays of a file by numpy.savez.

    Parameters
    ----------
    members : ZipMembers
        The file.
    path : object
        Its name, for messages.

    Returns
    -------
    dict of str to LazyArray
        By name, without ".npy". Arrays of objects or texts are left out.

    Raises
    ------
    DataError
        If a member's header is not that of a plain array.
    """
    found = {}
    for member in members.names:
        if not member.endswith(".npy"):
            continue
        start = members.read(member, limit=_MAX_HEADER, beginning=True)
        begin, shape, fortran, dtype = npy_header(start, member, path)
        if dtype.kind in "fiu":
            size = begin + math.prod(shape) * dtype.itemsize
            read = functools.partial(_read, members, member, begin, size, shape, fortran, dtype, path)
            found[member.removesuffix(".npy")] = LazyArray(shape, read)
    return found


def npy_header(
    start: bytes, member: str, path: object
) -> tuple[int, tuple[int, ...], bool, np.dtype[np.generic]]:
    """Read the header of an array in NumPy's format.

    Parameters
    ----------
    start : bytes
        The first 1024 bytes, or all.
    member : str
        Name of the array, for messages.
    path : object
        Name of the file, for messages.

    Returns
    -------
    begin : int
        First byte of the values.
    shape : tuple of int
        Sizes of the axes.
    fortran : bool
        Whether the first index varies fastest.
    dtype : dtype
        Type of the values.

    Raises
    ------
    DataError
        If this is not the header of a plain array.
    """
    length_bytes = {b"\x01": 2, b"\x02": 4, b"\x03": 4}.get(start[6:7], 0)
    begin = 8 + length_bytes + int.from_bytes(start[8 : 8 + length_bytes], "little")
    match = _HEADER.fullmatch(start[8 + length_bytes : begin])
    if start[:6] != b"\x93NUMPY" or not length_bytes or begin > len(start) or match is None:
        raise damaged(f"{short(member)} is not an array of numbers", path)
    shape = tuple(int(n) for n in re.findall(rb"\d+", match[3]))
    try:
        dtype = np.dtype(match[1].decode())
    except TypeError as e:
        raise damaged(f"{short(member)} is not an array of numbers", path) from e
    return begin, shape, match[2] == b"True", dtype


def _read(
    members: ZipMembers,
    member: str,
    start: int,
    size: int,
    shape: tuple[int, ...],
    fortran: bool,
    dtype: np.dtype[np.generic],
    path: object,
) -> NDArray[np.generic]:
    data = members.read(member, limit=size)
    if len(data) != size:
        raise damaged(f"{short(member)} is truncated", path)
    return np.frombuffer(data, dtype, offset=start).reshape(shape, order="F" if fortran else "C")
