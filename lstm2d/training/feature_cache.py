"""On-disk cache of expensive arrays, shared between runs."""

from __future__ import annotations

import hashlib
import io
import json
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
from lstm2d.io.atomic import make_folder, write_parts, write_text
from lstm2d.io.locks import is_temporary, sweep
from lstm2d.io.safe_open import open_regular
from lstm2d.io.tensor_file import bytes_of
from lstm2d.weights.npz_file import npy_header

HalfOrSingle = Literal["float16", "float32"]
USE = "used-{digest}.json"  # in the folder of a cache: a run that has used it
RESERVE = 2**30  # bytes of disk space left free, for example for checkpoints
_KEY = re.compile(r"[0-9a-f]{64}")
_DIGEST_BYTES = 32


class FeatureCache:
    """Cache of arrays in memory-mapped files.

    Each array is a file in NumPy's format with a checksum at its end. It is written under a temporary name
    and renamed, so that several processes can fill a cache at the same time: each finds a complete file or
    none. Damaged files are computed again. If nothing more can be written, the cache is only read.

    Parameters
    ----------
    folder : Path
        Folder of all caches; created with the first file.
    digest : str
        Digest of everything that determines the arrays; arrays of another digest are never found.
    dtype : {"float16", "float32"}
        Type of the stored arrays. Arrays that overflow float16 (above 65504) are stored as float32.
    limit : int
        Maximum size of all files in `folder`, in bytes. The least recently used files are removed to stay
        below it, but none that was used since this object was created.
    warn : callable, optional
        Gets, at most once each, the reason why nothing more is stored, and a warning about damaged files.

    Notes
    -----
    Arrays are rounded to `dtype` even if they are not stored, so that results do not depend on the state of
    the cache or the disk.
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
        self.writes = True  # whether computed arrays are stored
        self._checked: set[str] = set()  # names of files whose checksum was verified
        self._size: int | None = None  # of all files, as far as this process knows
        self._began = time.time() - 1  # file systems keep time less finely
        self._reported_damage = False

    def __contains__(self, key: str) -> bool:
        """Return whether there is a file of that name."""
        return self._path(key).is_file()

    def get(self, key: str, compute: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """Return the array of that name; compute, round and store it if there is none yet.

        Parameters
        ----------
        key : str
            Unique name of 64 hexadecimal digits.
        compute : callable
            Returns the array.

        Returns
        -------
        array of float16 or float32
            Must not be modified.
        """
        path = self._path(key)
        kept = self._read(path, key)
        if kept is not None:
            return kept
        values = self._rounded(compute())
        if self.writes:
            self._write(path, key, values)
        return values

    def record_use(self, run: Path, data: Path) -> None:
        """Record which run has used the cache, for `lstm2d.training.caches`; nothing if it has no files.

        Parameters
        ----------
        run, data : Path
            Folders of the run and of its dataset.
        """
        if not self.folder.is_dir():
            return
        folders = {"run": os.path.abspath(run), "data": os.path.abspath(data)}
        digest = hashlib.sha256(os.fsencode(folders["run"])).hexdigest()[:16]
        with suppress(OutputError):  # only a description would be missing
            write_text(self.folder / USE.format(digest=digest), json.dumps(folders) + "\n")

    def bytes_on_disk(self) -> int:
        """Return the size of all arrays of this digest and type."""
        return sum(size for _, size, path in self._files() if path.is_relative_to(self.folder))

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
        with suppress(DataError, OSError, ValueError):  # removed meanwhile, or empty, which cannot be mapped
            with open_regular(path) as file:
                data = np.asarray(np.memmap(file, dtype=np.uint8, mode="r"))
            values = _parsed(data)
            if values is not None and key not in self._checked:
                if _digest(key, data[:-_DIGEST_BYTES].data) == data[-_DIGEST_BYTES:].tobytes():
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
        parts: list[bytes | memoryview] = [header.getvalue(), bytes_of(values)]
        parts.append(_digest(key, *parts))
        size = sum(map(len, parts))
        try:
            if not self._has_room(size):
                return
            make_folder(path.parent)
            write_parts(path, parts)
        except (OutputError, OSError) as error:
            reason = error.what if isinstance(error, OutputError) else f"{error.strerror}"
            self._stop(f"{reason}: {self.root}")
            return
        self._checked.add(key)
        self._size = (self._size or 0) + size

    def _has_room(self, size: int) -> bool:
        """Make room by removing the least recently used files; return whether this many bytes fit."""
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
        """List time of last use, size and path of all files; remove leftovers of dead processes."""
        found = []
        for folder, _, names in os.walk(self.root):
            if any(map(is_temporary, names)):
                sweep(Path(folder))
            for name in names:
                path = Path(folder, name)
                with suppress(OSError):  # another process removed it
                    status = path.stat()
                    if name.endswith(".npy"):
                        found.append((status.st_mtime, status.st_size, path))
        return found

    def _stop(self, reason: str) -> None:
        self.writes = False
        self._warn(
            f"no more features are kept in the cache ({reason}); training goes on and computes them each time"
        )


def _parsed(data: NDArray[np.uint8]) -> NDArray[Any] | None:
    """Return the array in the bytes of a file; None if it is truncated or not an array of features."""
    try:
        begin, shape, fortran, dtype = npy_header(data[:1024].tobytes(), "", "")
    except DataError:
        return None
    if fortran or dtype.str not in ("<f2", "<f4"):
        return None
    if data.size != begin + math.prod(shape) * dtype.itemsize + _DIGEST_BYTES:
        return None
    return data[begin:-_DIGEST_BYTES].view(dtype).reshape(shape)


def _digest(key: str, *parts: bytes | memoryview) -> bytes:
    """Return the checksum of a file; it includes the name, so that renamed files are detected."""
    digest = hashlib.blake2b(key.encode(), digest_size=_DIGEST_BYTES)
    for part in parts:
        digest.update(part)
    return digest.digest()


def _free(folder: Path) -> int:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free
