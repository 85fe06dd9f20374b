"""The caches of a user: what is in them, when and by which runs they were used, and how to clear them."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lstm2d.errors import DataError
from lstm2d.io.parse import parse_json
from lstm2d.io.safe_open import read_text
from lstm2d.io.user_folders import cache_folder, compiled_folder

FEATURES, COMPILED = "features", "compiled loops"
DAY = 86400.0
_TEMPORARY = re.compile(r"(?:.*/)?(?:\.lstm2d-[0-9a-f]{16}\.tmp|[^/]+\.nb[ic]\.tmp\.[^/]+)")
_RECORD = re.compile(r"used-[0-9a-f]{16}\.json")
# kind -> names of its folders, and of the files that are written there, relative to such a folder
_NAMES = {
    FEATURES: (
        re.compile(r"[0-9a-f]{32}-float(?:16|32)"),
        re.compile(r"[0-9a-f]{2}/[0-9a-f]{64}\.npy"),
    ),
    COMPILED: (re.compile(r"numba-[0-9a-f]{16}"), re.compile(r"[^/]+_[0-9a-f]{40}/[^/]+\.nb[ic]")),
}


@dataclass(frozen=True, slots=True)
class CacheFile:
    """A file in a cache.

    Parameters
    ----------
    path : Path
        The file.
    size : int
        Bytes.
    used : float
        Time of its last use, in seconds since 1970.
    is_ours : bool
        Whether it has the name of a file that is written to caches of this kind.
    is_content : bool
        Whether it is what the cache is for: neither a description nor a temporary file.
    """

    path: Path
    size: int
    used: float
    is_ours: bool
    is_content: bool


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder of cached files that belong together.

    Parameters
    ----------
    kind : {"features", "compiled loops"}
        What it holds: the output of frozen layers for images, or loops compiled by Numba.
    folder : Path
        The folder.
    files : tuple of CacheFile
        All files in it.
    runs : tuple of (str, str)
        Folders of the runs that used it, and of their datasets; empty if that is not known.
    """

    kind: str
    folder: Path
    files: tuple[CacheFile, ...]
    runs: tuple[tuple[str, str], ...]

    @property
    def size(self) -> int:
        """Bytes of all files of this package."""
        return sum(file.size for file in self.files if file.is_ours)

    @property
    def count(self) -> int:
        """Number of arrays or compiled loops."""
        return sum(file.is_content for file in self.files)

    @property
    def used(self) -> float:
        """Time of the last use, in seconds since 1970; 0 for an empty folder."""
        return max((file.used for file in self.files if file.is_content), default=0.0)

    def unused_for(self, seconds: float) -> list[CacheFile]:
        """Return the files that may be deleted.

        Parameters
        ----------
        seconds : float
            Files that were used since then are kept; 0 to keep none. Compiled loops are kept or deleted
            together. Temporary files are kept for a day: another process may be writing them.

        Returns
        -------
        list of CacheFile
            Only files of this package.
        """
        now = time.time()
        found = []
        for file in self.files:
            used = self.used if self.kind == COMPILED and file.is_content else file.used
            longest = max(seconds, DAY) if is_temporary(file.path) else seconds
            if file.is_ours and (not longest or used < now - longest):
                found.append(file)
        return found


def is_temporary(path: Path) -> bool:
    """Return whether a file has the name of one that is not complete yet."""
    return _TEMPORARY.fullmatch(path.name) is not None


def caches() -> list[Cache]:
    """List the caches of the user.

    Returns
    -------
    list of Cache
        Largest first. Links are not followed.
    """
    found = []
    for kind, root in ((FEATURES, cache_folder() / "features"), (COMPILED, compiled_folder())):
        with suppress(OSError):  # not there
            entries = sorted(entry.name for entry in os.scandir(root) if entry.is_dir(follow_symlinks=False))
            found += [_cache(kind, root / name) for name in entries if _NAMES[kind][0].fullmatch(name)]
    return sorted(found, key=lambda cache: -cache.size)


def clear(files: Sequence[CacheFile], folder: Path) -> list[CacheFile]:
    """Delete files of a cache, and the folders in it that are empty then.

    Parameters
    ----------
    files : sequence of CacheFile
        From `Cache.unused_for`.
    folder : Path
        Folder of the cache; deleted too if nothing is left in it.

    Returns
    -------
    list of CacheFile
        Those that are deleted.
    """
    deleted = []
    for file in files:
        with suppress(OSError):  # another process deleted it, or uses it (Windows)
            file.path.unlink()
            deleted.append(file)
    for path in sorted({file.path.parent for file in deleted} - {folder}):
        with suppress(OSError):  # not empty
            path.rmdir()
    with suppress(OSError):
        folder.rmdir()
    return deleted


def _cache(kind: str, folder: Path) -> Cache:
    files = tuple(_files(kind, folder))
    records = [file.path for file in files if _RECORD.fullmatch(file.path.name) and file.is_ours]
    runs = [run for path in records if (run := _read_record(path)) is not None]
    return Cache(kind, folder, files, tuple(sorted(runs)))


def _files(kind: str, folder: Path) -> Iterator[CacheFile]:
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            with suppress(OSError):  # deleted in the meantime
                status = path.lstat()
                regular = stat.S_ISREG(status.st_mode)
                inner = path.relative_to(folder).as_posix()
                content = regular and _NAMES[kind][1].fullmatch(inner) is not None
                record = kind == FEATURES and _RECORD.fullmatch(inner) is not None
                ours = content or (regular and (record or _TEMPORARY.fullmatch(inner) is not None))
                # features are touched when they are read
                used = status.st_mtime if kind == FEATURES else max(status.st_mtime, status.st_atime)
                yield CacheFile(path, status.st_size, used, ours, content)


def _read_record(path: Path) -> tuple[str, str] | None:
    """Return the folders of a run and of its dataset; None if the file does not hold them."""
    try:
        values = parse_json(read_text(path))
        return str(values["run"]), str(values["data"])
    except (DataError, ValueError, KeyError, TypeError):
        return None
