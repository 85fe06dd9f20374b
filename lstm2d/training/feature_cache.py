"""Arrays that take long to compute, kept on disk between runs and shared by them."""

from __future__ import annotations

import hashlib
import io
import math
import os
import re
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import DataError, OutputError
from lstm2d.io.atomic import make_folder, write_bytes
from lstm2d.weights.npz_file import npy_header

HalfOrSingle = Literal["float16", "float32"]
RESERVE = 2**30  # bytes of the disk that are left to others: checkpoints must find room
_KEY = re.compile(r"[0-9a-f]{64}")
_DIGEST_BYTES = 32
_LEFTOVER_SECONDS = 86400.0  # age at which a temporary file belongs to nobody any more


class FeatureCache:
    """Keeps arrays by name in memory-mapped files.

    Each array is a file in NumPy's format with a checksum at its end. It is written under another name and
    renamed, so that several processes can fill one cache at once: each finds a whole file or none. A
    damaged file is computed a second time. If nothing more can be written, the cache is only read.

    Parameters
    ----------
    folder : Path
        Folder of all caches; made when something is kept.
    digest : str
        Of whatever the arrays are computed with: arrays of another digest are never found.
    dtype : {"float16", "float32"}
        How arrays are kept. One with values beyond 65504, the largest of float16, is kept as float32.
    limit : int
        Bytes of all files in `folder`, of every digest. To stay below it, the files that were unused for
        the longest time are removed, but none that was used since this object was made.
    warn : callable, optional
        Gets, at most once each, the reason why nothing more is kept, and that a file was damaged.

    Notes
    -----
    An array is rounded to `dtype` whether it could be kept or not: results do not depend on what was in the
    cache, nor on how full the disk was.
    """

    def __init__(
        self,
        folder: Path,
        digest: str,
        dtype: HalfOrSingle,
        limit: int,
        *,
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.root, self.folder = folder, folder / f"{digest[:32]}-{dtype}"
        self.dtype, self.limit, self._warn = np.dtype(dtype), limit, warn
        self.writes = True  # whether what is computed is kept
        self._checked: set[str] = set()  # names of files that were whole when they were first used
        self._size: int | None = None  # of all files, as far as this process knows
        self._began = time.time() - 1  # file systems keep time less finely
        self._reported_damage = False

    def __contains__(self, key: str) -> bool:
        """Return whether there is a file of that name."""
        return self._path(key).is_file()

    def get(self, key: str, compute: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """Return the array of that name; what `compute` returns, rounded, if there is none yet.

        Parameters
        ----------
        key : str
            64 hexadecimal digits that only this array has.
        compute : callable
            Returns the array.

        Returns
        -------
        array of float16 or float32
            Not to be changed.
        """
        path = self._path(key)
        kept = self._read(path, key)
        if kept is not None:
            return kept
        values = self._rounded(compute())
        if self.writes:
            self._write(path, key, values)
        return values

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key!r} is no name of a cached array")
        return self.folder / key[:2] / f"{key}.npy"

    def _rounded(self, values: NDArray[Any]) -> NDArray[Any]:
        with np.errstate(over="ignore"):  # seen below
            small = np.ascontiguousarray(values, dtype=self.dtype)
        return small if np.isfinite(small).all() else np.ascontiguousarray(values, dtype=np.float32)

    def _read(self, path: Path, key: str) -> NDArray[Any] | None:
        if not path.is_file():
            return None
        values = None
        with suppress(OSError, ValueError):  # removed meanwhile; empty, which cannot be mapped
            data = np.asarray(np.memmap(path, dtype=np.uint8, mode="r"))
            values = _parsed(data)
            if values is not None and key not in self._checked:
                if _digest(key, data[:-_DIGEST_BYTES]) == data[-_DIGEST_BYTES:].tobytes():
                    self._checked.add(key)
                    os.utime(path)
                else:
                    values = None
        if values is None and not self._reported_damage and path.is_file():
            self._reported_damage = True
            self._warn(f"a file of cached features is damaged, they are computed again: {path}")
        return values

    def _write(self, path: Path, key: str, values: NDArray[Any]) -> None:
        header = io.BytesIO()
        description = {"descr": values.dtype.str, "fortran_order": False, "shape": values.shape}
        np.lib.format.write_array_header_1_0(header, description)
        data = header.getvalue() + values.tobytes()
        data += _digest(key, np.frombuffer(data, np.uint8))
        try:
            if not self._has_room(len(data)):
                return
            make_folder(path.parent)
            write_bytes(path, data)
        except (OutputError, OSError) as error:
            reason = error.what if isinstance(error, OutputError) else f"{error.strerror}"
            self._stop(f"{reason}: {self.root}")
            return
        self._checked.add(key)
        self._size = (self._size or 0) + len(data)

    def _has_room(self, size: int) -> bool:
        """Return whether this many more bytes may be kept; files unused for the longest time make room."""
        if self._size is None:
            self._size = sum(file_size for _, file_size, _ in self._files())
        free = _free(self.root)
        if self._size + size > self.limit or free - size < RESERVE:
            self._evict(max(self._size + size - self.limit, RESERVE + size - free))
            free = _free(self.root)
        if self._size + size > self.limit:
            gib = self.limit / 2**30
            self._stop(f"its limit of {gib:g} GiB is reached, raise data.feature_cache_gib: {self.root}")
        elif free - size < RESERVE:
            self._stop(f"less than {RESERVE / 2**30:g} GiB of the disk would be left: {self.root}")
        return self.writes

    def _evict(self, needed: int) -> None:
        files = self._files()
        self._size = sum(size for _, size, _ in files)
        for used, size, path in sorted(files):
            if needed <= 0 or used >= self._began:
                return
            with suppress(OSError):
                path.unlink()
                self._size -= size
                needed -= size

    def _files(self) -> list[tuple[float, int, Path]]:
        """List time of last use, size and path of all files; leftovers of processes that died are removed."""
        found = []
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = Path(folder, name)
                with suppress(OSError):  # another process removed it
                    status = path.stat()
                    if name.endswith(".npy"):
                        found.append((status.st_mtime, status.st_size, path))
                    elif name.endswith(".tmp") and status.st_mtime < time.time() - _LEFTOVER_SECONDS:
                        path.unlink()
        return found

    def _stop(self, reason: str) -> None:
        self.writes = False
        self._warn(
            f"no more features are kept in the cache ({reason}); training goes on and computes them each time"
        )


def _parsed(data: NDArray[np.uint8]) -> NDArray[Any] | None:
    """Return the array in a file's bytes, None if the file is cut or no array of features."""
    try:
        begin, shape, fortran, dtype = npy_header(data[:1024].tobytes(), "", "")
    except DataError:
        return None
    if fortran or dtype.str not in ("<f2", "<f4"):
        return None
    if data.size != begin + math.prod(shape) * dtype.itemsize + _DIGEST_BYTES:
        return None
    return data[begin:-_DIGEST_BYTES].view(dtype).reshape(shape)


def _digest(key: str, data: NDArray[np.uint8]) -> bytes:
    """Return the checksum of a file: with its name, so that it is not taken for another."""
    digest = hashlib.blake2b(key.encode(), digest_size=_DIGEST_BYTES)
    digest.update(data.data)
    return digest.digest()


def _free(folder: Path) -> int:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free
