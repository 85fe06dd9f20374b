"""Write files atomically, and append lines to records: the only module that opens files for writing."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BufferedRandom
from pathlib import Path

from lstm2d.errors import OutputError
from lstm2d.io import locks

_BLOCK = 1 << 20
_MANY = 100_000  # folders, whose identities need some megabytes
_swept: set[tuple[int, int]] = set()  # folders that this process has written to


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file atomically.

    Other processes see the old contents or the new ones, even after a crash or a power failure. The bytes are
    written to a temporary file in the same folder, flushed to disk, read back and compared; then the file is
    renamed and the folder is flushed too. A symbolic link is replaced, not followed. The first file that a
    process writes to a folder also removes the temporary files that killed processes have left there.

    Parameters
    ----------
    path : str or path
        File to write. Its folder must exist. Permissions follow the umask.
    data : bytes
        The contents.

    Raises
    ------
    OutputError
        If any step fails. An existing file is kept, unless only what follows the renaming failed.
    """
    write_parts(path, [data])


def write_parts(path: str | os.PathLike[str], parts: Sequence[bytes | memoryview]) -> None:
    """Write a file atomically from parts, which are not joined in memory; see `write_bytes`.

    Parameters
    ----------
    path : str or path
        File to write.
    parts : sequence of bytes or memoryview
        The contents, in order. Views have one axis of bytes.

    Raises
    ------
    OutputError
        If any step fails.
    """
    target = Path(path)
    _refuse_special(target)
    try:
        _sweep_once(target.parent)
        temporary = temporary_name(target.parent)
        try:
            fd = _create(temporary)
            try:
                _write_verified(fd, parts)
                if locks.WINDOWS:
                    os.close(fd)
                    fd = -1
                os.replace(temporary, target)
            finally:
                if fd >= 0:
                    os.close(fd)
        except BaseException:  # also Ctrl-C: leave no temporary file
            with suppress(OSError):
                os.unlink(temporary)
            raise
        sync_folder(target.parent)
    except (OSError, ValueError) as e:  # ValueError: a NUL in the name
        raise output_error(e, target) from e


@contextmanager
def growing(path: str | os.PathLike[str]) -> Iterator[BufferedRandom]:
    """Write a file atomically from parts that are computed meanwhile.

    As for `write_bytes`, other processes see the old contents or the new ones. What is read back and compared
    is up to the block: nothing here knows the contents.

    Parameters
    ----------
    path : str or path
        File to write. Its folder must exist.

    Yields
    ------
    BufferedRandom
        A temporary file, for reading and writing, which takes the place of `path` if the block succeeds.

    Raises
    ------
    OutputError
        If any step fails, or the block with an error of the system. An existing file is kept then.
    """
    target = Path(path)
    _refuse_special(target)
    try:
        _sweep_once(target.parent)
        temporary = temporary_name(target.parent)
        try:
            # not `os.fdopen`: libraries that write images ask for the name
            with open(temporary, "w+b", opener=lambda path, _: _create(Path(path))) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
                if not locks.WINDOWS:
                    os.replace(temporary, target)
            if locks.WINDOWS:
                os.replace(temporary, target)
        except BaseException:  # also Ctrl-C: leave no temporary file
            with suppress(OSError):
                os.unlink(temporary)
            raise
        sync_folder(target.parent)
    except OSError as e:
        raise output_error(e, target) from e


def append(path: str | os.PathLike[str], text: str, *, create: bool = True, sync: bool = False) -> None:
    """Append whole lines to a record.

    Nothing else may append to the file meanwhile. A crash truncates at most these lines; after an error the
    file is what it was. If it ends within a line, as after a crash, the text begins on a new one.

    Parameters
    ----------
    path : str or path
        The record.
    text : str
        Lines, each with its end; UTF-8, surrogate escapes become the original bytes.
    create : bool, default True
        Create the file if it does not exist.
    sync : bool, default False
        Flush it to disk, so that the lines also survive a power failure.

    Raises
    ------
    OutputError
        If it cannot be written, does not exist although it should, or is not a regular file.
    """
    target = Path(path)
    _refuse_special(target)
    flags = os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0) | (os.O_CREAT if create else 0)
    data = text.encode("utf-8", "surrogateescape")
    try:
        fd = os.open(target, flags, 0o666)
        try:
            size = os.lseek(fd, 0, os.SEEK_END)
            if size and not _ends_a_line(fd, size):
                data = b"\n" + data
            try:
                _write_all(fd, data)
                if sync:
                    os.fsync(fd)
            except BaseException:  # also Ctrl-C: leave no part of a line
                with suppress(OSError):
                    os.ftruncate(fd, size)
                raise
        finally:
            os.close(fd)
    except (OSError, ValueError) as e:
        raise output_error(e, target) from e


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a UTF-8 text file atomically, see `write_bytes`.

    Parameters
    ----------
    path : str or path
        File to write.
    text : str
        The contents. Surrogate escapes (from file names that are not UTF-8) become the original bytes.

    Raises
    ------
    OutputError
        If any step fails.
    """
    write_bytes(path, text.encode("utf-8", "surrogateescape"))


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Create an output folder and its parents, if missing.

    Parameters
    ----------
    path : str or path
        The folder.

    Returns
    -------
    Path
        The same path.

    Raises
    ------
    OutputError
        If it cannot be created, or a file has that name.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as e:
        raise output_error(e, folder) from e
    return folder


def check_writable(path: str | os.PathLike[str]) -> None:
    """Check before long work that a file can be written later, by writing another one to its folder.

    Parameters
    ----------
    path : str or path
        The file. It is not changed.

    Raises
    ------
    OutputError
        If its folder does not exist or no file can be created in it, or it is not a regular file.
    """
    target = Path(path)
    _refuse_special(target)
    try:
        probe = temporary_name(target.parent)
        try:
            fd = _create(probe)
            try:
                _write_verified(fd, [b"lstm2d"])
            finally:
                os.close(fd)
        finally:
            with suppress(OSError):
                os.unlink(probe)
    except (OSError, ValueError) as e:
        raise output_error(e, target) from e


def _refuse_special(target: Path) -> None:
    """Refuse to replace a device: with `-o /dev/null`, renaming would delete the system's null device."""
    try:
        mode = os.stat(target).st_mode
    except (OSError, ValueError):
        return  # does not exist; other errors are reported when the temporary file is created
    if not stat.S_ISREG(mode):
        what = "the name of a file to write is taken by something that is no regular file"
        raise OutputError(what, where=target, hint="give another name")


def temporary_name(folder: Path) -> Path:
    """Return a new name in a folder; `lstm2d.io.locks.sweep` removes such files if they are abandoned."""
    return folder / f".lstm2d-{secrets.token_hex(8)}.tmp"


def _create(path: Path) -> int:
    """Create a temporary file, held by this process; return its descriptor."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    while True:
        fd = os.open(path, flags, 0o666)  # the umask applies
        if locks.WINDOWS or locks.hold(fd):
            return fd
        os.close(fd)


def _sweep_once(folder: Path) -> None:
    with suppress(OSError):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) not in _swept:
            if len(_swept) >= _MANY:
                _swept.clear()
            _swept.add((status.st_dev, status.st_ino))
            locks.sweep(folder)


def _write_verified(fd: int, parts: Sequence[bytes | memoryview]) -> None:
    for part in parts:
        _write_all(fd, part)
    os.fsync(fd)
    os.lseek(fd, 0, os.SEEK_SET)
    for part in parts:
        view = memoryview(part)
        while view:
            block = os.read(fd, min(_BLOCK, len(view)))
            if not block:
                raise OSError(errno.EIO, "what was read back is shorter than what was written")
            if block != view[: len(block)]:
                raise OSError(errno.EIO, "what was read back is not what was written")
            view = view[len(block) :]
    if os.read(fd, 1):
        raise OSError(errno.EIO, "what was read back is longer than what was written")


def _write_all(fd: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        written = os.write(fd, view)
        if written == 0:  # would loop forever
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        view = view[written:]


def _ends_a_line(fd: int, size: int) -> bool:
    os.lseek(fd, size - 1, os.SEEK_SET)
    return os.read(fd, 1) == b"\n"


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to disk.

    Parameters
    ----------
    folder : Path
        The folder.

    Raises
    ------
    OSError
        If it fails; not if the file system cannot do it.
    """
    fd = locks.open_folder(folder)
    if fd is None:  # where renaming is journaled
        return
    try:
        os.fsync(fd)
    except OSError as e:
        if e.errno != errno.EINVAL:  # some network file systems cannot sync a folder
            raise
    finally:
        os.close(fd)


def output_error(error: Exception, target: Path) -> OutputError:
    """Return the error for a failure of the system while writing.

    Parameters
    ----------
    error : Exception
        What the system raised.
    target : Path
        What was written.

    Returns
    -------
    OutputError
        The error, not raised.
    """
    hints = {
        errno.ENOSPC: "free some space or choose another folder",
        errno.EDQUOT: "free some space or choose another folder",
        errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
        errno.EACCES: "choose a folder you may write to",
        errno.EPERM: "choose a folder you may write to",
        errno.EROFS: "choose a folder you may write to",
        errno.ENOENT: "make the folder first, or choose another",
        errno.EEXIST: "choose another folder: this name is a file's",
        errno.ENOTDIR: "choose another folder: a part of this name is a file",
        errno.ENAMETOOLONG: "choose a shorter name",
    }
    code = error.errno if isinstance(error, OSError) else None
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    where = str(target).replace("\0", "\\0")
    return OutputError(f"cannot write ({reason})", where=where, hint=hints.get(code) if code else None)
