"""Read and write safetensors files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from io import BufferedReader, BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import Lstm2dError
from lstm2d.io.safetensors_header import DTYPES, METADATA, broken, check_header, read_header

DTYPE_NAMES = {v: k for k, v in DTYPES.items()}
_ORDER = {
    name: k
    for k, name in enumerate(("U8", "I8", "I16", "U16", "F16", "I32", "U32", "F32", "F64", "I64", "U64"))
}
_ALIGNMENT = 8  # bytes


class TensorFile:
    """A safetensors file with a checked header; arrays are read one by one.

    Parameters
    ----------
    file : BufferedReader or BytesIO
        The file, at its beginning. It must stay open while arrays are read.
    path : object
        File name, for messages.

    Attributes
    ----------
    tensors : dict of str to TensorInfo
        Type, shape and position of each array.
    metadata : dict of str to str
        The metadata.
    size : int
        Size of the file in bytes.

    Raises
    ------
    DataError
        If the header contradicts the format or the size of the file. Nothing else is read in that case.
    """

    def __init__(self, file: BufferedReader | BytesIO, path: object) -> None:
        self._file, self._path = file, path
        self.size = file.seek(0, os.SEEK_END)
        file.seek(0)
        header = read_header(file, self.size, path)
        self.tensors, self.metadata = check_header(header, file.tell(), self.size, path)

    def read(self, name: str) -> NDArray[Any]:
        """Read one array.

        Parameters
        ----------
        name : str
            A key of `tensors`.

        Returns
        -------
        array
            A new array of the stored type, little-endian.

        Raises
        ------
        DataError
            If the array cannot be read completely, or memory runs out.
        """
        tensor = self.tensors[name]
        try:
            values = np.empty(tensor.shape, tensor.dtype)
            self._file.seek(tensor.begin)
            count = self._file.readinto(bytes_of(values))
        except (OSError, MemoryError) as e:
            raise broken(f"cannot be read: {e}", self._path) from e
        if count != values.nbytes:
            raise broken(f"it ends within tensor {name!r}", self._path)
        return values


def stored_form(tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Convert arrays to contiguous and little-endian; copy only if needed.

    Raises
    ------
    Lstm2dError
        If an array has a type that a safetensors file cannot hold.
    """
    stored = {}
    for name, values in tensors.items():
        stored[name] = np.array(values, dtype=values.dtype.newbyteorder("<"), order="C", copy=None)
        if stored[name].dtype.str not in DTYPE_NAMES:
            raise Lstm2dError(f"an array cannot be stored ({values.dtype} values)", where=name)
    return stored


def to_parts(tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> list[bytes | memoryview]:
    """Encode arrays and metadata as a safetensors file, without a copy of the arrays.

    Parameters
    ----------
    tensors : mapping of str to array
        Arrays in any memory layout and byte order.
    metadata : mapping of str to str
        Texts.

    Returns
    -------
    list of bytes or memoryview
        The header, then the contents of each array; together a file that `TensorFile` can read, if its header
        has at most 16 MiB. The views must not outlive changes of the arrays.

    Raises
    ------
    Lstm2dError
        If an array has a type that the file cannot hold.
    """
    stored = stored_form(tensors)
    # the order of the safetensors package: the widest values first, so that all are aligned
    names = sorted(stored, key=lambda name: (-_ORDER[DTYPE_NAMES[stored[name].dtype.str]], name))
    table: dict[str, Any] = {METADATA: dict(metadata)} if metadata else {}
    position = 0
    for name in names:
        values = stored[name]
        offsets = [position, position + values.nbytes]
        dtype = DTYPE_NAMES[values.dtype.str]
        table[name] = {"dtype": dtype, "shape": list(values.shape), "data_offsets": offsets}
        position = offsets[1]
    text = json.dumps(table, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return [len(text).to_bytes(8, "little") + text, *(bytes_of(stored[name]) for name in names)]


def to_bytes(tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> bytes:
    """Encode arrays and metadata as the bytes of a safetensors file, see `to_parts`.

    Parameters
    ----------
    tensors : mapping of str to array
        Arrays in any memory layout and byte order.
    metadata : mapping of str to str
        Texts.

    Returns
    -------
    bytes
        The file.

    Raises
    ------
    Lstm2dError
        If an array has a type that the file cannot hold.
    """
    return b"".join(to_parts(tensors, metadata))


def bytes_of(values: NDArray[Any]) -> memoryview:
    """Return the bytes of a contiguous array, without a copy."""
    return values.reshape(-1).view(np.uint8).data
