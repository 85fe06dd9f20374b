"""Locks between processes: one writer per folder, and which temporary files are still being written.

Only this module knows how the system locks. On a file system that cannot lock, such as some network file
systems, nothing is locked.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from lstm2d.errors import ConfigError, OutputError


def _system_module(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        return None


# one of the two is there; the second one is that of Windows
_fcntl, _msvcrt = _system_module("fcntl"), _system_module("msvcrt")
WINDOWS = sys.platform == "win32"  # an open file cannot be renamed or removed there, a folder not be opened
TEMPORARY = re.compile(r"\.lstm2d-[0-9a-z]+\.tmp")
# neither follow a link nor wait for the other end of a FIFO
_UNUSUAL = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
ABANDONED = 86400.0  # seconds; age at which a temporary file is removed where nothing can be locked


def hold(descriptor: int) -> bool:
    """Mark an open temporary file or folder as being written, until it is closed.

    Parameters
    ----------
    descriptor : int
        The open file or folder, just created.

    Returns
    -------
    bool
        False if `sweep` of another process has removed it since it was created.
    """
    return _lock(descriptor) is not False and os.fstat(descriptor).st_nlink > 0


def sweep(folder: Path) -> None:
    """Remove temporary files and folders that killed processes left in a folder.

    Those of living processes stay. Nothing is reported: they only take up space.

    Parameters
    ----------
    folder : Path
        The folder; its sub-folders are not searched.
    """
    with suppress(OSError, ValueError):
        for name in [name for name in os.listdir(folder) if TEMPORARY.fullmatch(name)]:
            _remove_abandoned(folder / name)


def is_temporary(name: str) -> bool:
    """Return whether a file name is one of `lstm2d.io.atomic`'s temporary names."""
    return TEMPORARY.fullmatch(name) is not None


@contextmanager
def locked_folder(folder: Path, busy: str) -> Iterator[None]:
    """Keep other processes and threads out of a folder while the block runs.

    Parameters
    ----------
    folder : Path
        An existing folder. Nothing is written to it: where folders cannot be locked, a file in the folder of
        temporary files is.
    busy : str
        Message if another process has locked it.

    Yields
    ------
    None
        The folder is locked, if the system can lock.

    Raises
    ------
    ConfigError
        If another process has locked it.
    OutputError
        If it cannot be opened.
    """
    hint = "wait for it, or stop it"
    try:
        descriptor = open_folder(folder)
    except OSError as error:
        raise OutputError(f"cannot open the folder ({error.strerror})", where=folder) from error
    if descriptor is None:
        with locked_file(_stand_in(folder), ConfigError(busy, where=folder, hint=hint)):
            yield
        return
    try:
        if _lock(descriptor) is False:
            raise ConfigError(busy, where=folder, hint=hint)
        yield
    finally:
        _unlock(descriptor)


def open_folder(folder: Path) -> int | None:
    """Open a folder, to lock it or to flush it to disk; return None if the system opens no folders."""
    return None if WINDOWS else os.open(folder, os.O_RDONLY)


def _stand_in(folder: Path) -> Path:
    """Return the lock file of a folder that cannot be locked itself."""
    import hashlib
    import tempfile

    name = os.path.normcase(os.path.realpath(folder))
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return Path(tempfile.gettempdir(), f"lstm2d-{digest}.lock")


@contextmanager
def locked_file(path: Path, busy: ConfigError) -> Iterator[None]:
    """Hold a lock file while the block runs.

    Parameters
    ----------
    path : Path
        The lock file. It is created, and removed at the end. One that a killed process left is taken over.
    busy : ConfigError
        Raised if another process or thread holds it.

    Yields
    ------
    None
        It is locked, if the file system can lock files.

    Raises
    ------
    ConfigError
        If it is held elsewhere.
    OutputError
        If it cannot be created.
    """
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _UNUSUAL, 0o666)
        except OSError as error:
            raise OutputError(f"cannot write ({error.strerror})", where=path) from error
        if _lock(descriptor) is False:
            os.close(descriptor)
            raise busy
        if _is_same(descriptor, path):
            break
        _unlock(descriptor)  # its holder has just removed it
    try:
        yield
    finally:
        with suppress(OSError):
            if not WINDOWS:  # while it is locked, so that no other process has opened it for itself
                os.unlink(path)
        _unlock(descriptor)
        if WINDOWS:
            with suppress(OSError):
                os.unlink(path)


def _lock(descriptor: int) -> bool | None:
    """Lock an open file or folder; return None if the system or the file system cannot."""
    if _msvcrt is not None:
        try:
            _msvcrt.locking(descriptor, _msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    if _fcntl is None:
        return None
    try:
        _fcntl.flock(descriptor, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _unlock(descriptor: int) -> None:
    """Unlock and close; closing alone would not unlock while a forked process still has the descriptor."""
    with suppress(OSError):
        if _msvcrt is not None:
            os.lseek(descriptor, 0, os.SEEK_SET)
            _msvcrt.locking(descriptor, _msvcrt.LK_UNLCK, 1)
        elif _fcntl is not None:
            _fcntl.flock(descriptor, _fcntl.LOCK_UN)
    with suppress(OSError):
        os.close(descriptor)


def _is_same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False


def _remove_abandoned(path: Path) -> None:
    """Remove a temporary file or folder unless a process is writing it."""
    with suppress(OSError, ConfigError, OutputError):
        status = path.lstat()
        if WINDOWS:
            if time.time() - status.st_mtime > ABANDONED:
                with locked_folder(path, "it is being written"):
                    _remove(path, status.st_mode)
            return
        descriptor = os.open(path, os.O_RDONLY | _UNUSUAL)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
                return
            locked = _lock(descriptor)
            if locked or (locked is None and time.time() - status.st_mtime > ABANDONED):
                _remove(path, status.st_mode)
        finally:
            os.close(descriptor)


def _remove(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink()
