"""Arrays of rows on the disk, for as long as a computation needs them."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lstm2d.errors import OutputError
from lstm2d.io.atomic import output_error
from lstm2d.io.machine_memory import in_words


class ScratchRows:
    """An array of rows in a file without a name, which is gone with the process, however it ends.

    Rows are read and written, not mapped: pages of a mapped file count as memory of the process, and a full
    disk would kill it at a plain assignment.

    Parameters
    ----------
    folder : Path
        A folder on the disk to use.
    rows : int
        Number of rows.
    shape : sequence of int
        Shape of a row.
    dtype : dtype
        Data type.

    Raises
    ------
    OutputError
        If the file cannot be created.
    """

    def __init__(self, folder: Path, rows: int, shape: Sequence[int], dtype: DTypeLike) -> None:
        self._folder, self.shape, self.dtype = folder, (rows, *shape), np.dtype(dtype)
        self._bytes = prod(shape) * self.dtype.itemsize  # of a row
        try:
            self._file: Any = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 -- see `close`
        except OSError as error:
            raise output_error(error, folder) from error

    def write(self, first: int, values: NDArray[Any]) -> None:
        """Write rows.

        Parameters
        ----------
        first : int
            Number of the first row.
        values : ndarray
            The rows, contiguous; leading axes of length 1 do not matter.

        Raises
        ------
        OutputError
            If the disk is full or fails.
        """
        view = np.ascontiguousarray(values).data.cast("B")
        try:
            self._file.seek(first * self._bytes)
            while view:
                count = self._file.write(view)
                if not count:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                view = view[count:]
        except OSError as error:
            raise output_error(error, self._folder) from error

    def read(self, first: int, values: NDArray[Any]) -> None:
        """Read rows.

        Parameters
        ----------
        first : int
            Number of the first row.
        values : ndarray
            Filled; contiguous.

        Raises
        ------
        OutputError
            If the disk fails.
        """
        view = values.data.cast("B")
        try:
            self._file.seek(first * self._bytes)
            while view:
                count = self._file.readinto(view)
                if not count:
                    raise OSError(errno.EIO, "a scratch file is shorter than what was written")
                view = view[count:]
        except OSError as error:
            raise output_error(error, self._folder) from error

    def close(self) -> None:
        """Remove the file."""
        with suppress(OSError):
            self._file.close()


def check_space(folder: Path, needed: int) -> None:
    """Check that a disk has room for scratch files, before anything is computed.

    Parameters
    ----------
    folder : Path
        A folder on the disk.
    needed : int
        Bytes.

    Raises
    ------
    OutputError
        If it has less.
    """
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise output_error(error, folder) from error
    if needed > free:
        raise OutputError(
            f"the maps between the layers take {in_words(needed)} of disk space, {in_words(free)} are free",
            where=folder,
            hint="free some space, or choose an output folder on another disk",
        )
