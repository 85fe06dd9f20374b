"""Arrays and texts in one safetensors file: every file of tensors is read and written here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from io import BufferedReader, BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import Lstm2dError
from lstm2d.io.safetensors_header import DTYPES, broken, check_header, read_header

DTYPE_NAMES = {v: k for k, v in DTYPES.items()}


class TensorFile:
    """A safetensors file whose header was checked; its arrays are read one by one.

    Parameters
    ----------
    file : BufferedReader or BytesIO
        The file, at its beginning. It must stay open while arrays are read.
    path : object
        Its name, for messages.

    Attributes
    ----------
    tensors : dict of str to TensorInfo
        Type, shape and position of each array.
    metadata : dict of str to str
        The texts stored with them.
    size : int
        Size of the file in bytes.

    Raises
    ------
    DataError
        If anything in the header contradicts the format or the size of the file. Nothing else was read then.
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
            A new one of the stored type, little-endian.

        Raises
        ------
        DataError
            If the array cannot be read to its end, or there is not enough memory.
        """
        tensor = self.tensors[name]
        try:
            values = np.empty(tensor.shape, tensor.dtype)
            self._file.seek(tensor.begin)
            count = self._file.readinto(values.reshape(-1).view(np.uint8).data)
        except (OSError, MemoryError) as e:
            raise broken(f"cannot be read: {e}", self._path) from e
        if count != values.nbytes:
            raise broken(f"it ends within tensor {name!r}", self._path)
        return values


def stored_form(tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return arrays as they are stored, contiguous and little-endian; copies only of those that are not.

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


def to_bytes(tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> bytes:
    """Return arrays and texts as the bytes of a safetensors file.

    Parameters
    ----------
    tensors : mapping of str to array
        Arrays in any memory layout and byte order.
    metadata : mapping of str to str
        Texts. The order of several in the file differs between runs.

    Returns
    -------
    bytes
        Contents of a file that `TensorFile` reads, if its header has at most 16 MiB.

    Raises
    ------
    Lstm2dError
        If an array has a type that the file cannot hold.
    """
    from safetensors.numpy import save

    # `save` writes the memory of a transposed array without looking at its strides, and with an empty dict of
    # metadata and no tensor a header that is no JSON
    return save(stored_form(tensors), metadata=dict(metadata) or None)
