"""Write files atomically."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from lstm2d.errors import OutputError

_BLOCK = 1 << 20


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file atomically.

    Other processes see the old contents or the new ones, even after a crash or a power failure. The bytes are
    written to a temporary file in the same folder, flushed to disk, read back and compared; then the file is
    renamed and the folder is flushed too. A symbolic link is replaced, not followed.

    Parameters
    ----------
    path : str or path
        File to write. Its folder must exist. Permissions follow the umask.
    data : bytes
        The contents.

    Raises
    ------
    OutputError
        If any step fails. An existing file is kept, unless only the last step (flushing the folder) failed.
    """
    target = Path(path)
    _refuse_special(target)
    temporary = _temporary(target)
    try:
        try:
            _write_verified(temporary, data)
            os.replace(temporary, target)
        except BaseException:  # also Ctrl-C: leave no temporary file
            with suppress(OSError):
                os.unlink(temporary)
            raise
        _sync_folder(target.parent)
    except (OSError, ValueError) as e:  # ValueError: a NUL in the name
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
    probe = _temporary(target)
    try:
        _write_verified(probe, b"lstm2d")
    except (OSError, ValueError) as e:
        raise output_error(e, target) from e
    finally:
        with suppress(OSError, ValueError):
            probe.unlink()


def _refuse_special(target: Path) -> None:
    """Refuse to replace a device: with `-o /dev/null`, renaming would delete the system's null device."""
    try:
        mode = os.stat(target).st_mode
    except (OSError, ValueError):
        return  # does not exist; other errors are reported when the temporary file is created
    if not stat.S_ISREG(mode):
        what = "the name of a file to write is taken by something that is no regular file"
        raise OutputError(what, where=target, hint="give another name")


def _temporary(target: Path) -> Path:
    """Return a new name, independent of the target's, which may be as long as the file system allows."""
    return target.parent / f".lstm2d-{secrets.token_hex(8)}.tmp"


def _write_verified(path: Path, data: bytes) -> None:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    fd = os.open(path, flags, 0o666)  # the umask applies
    try:
        view = memoryview(data)
        while view:
            written = os.write(fd, view)
            if written == 0:  # would loop forever
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            view = view[written:]
        os.fsync(fd)
        os.lseek(fd, 0, os.SEEK_SET)
        position = 0
        while block := os.read(fd, _BLOCK):
            if block != data[position : position + len(block)]:
                raise OSError(errno.EIO, "what was read back is not what was written")
            position += len(block)
        if position != len(data):
            raise OSError(errno.EIO, "what was read back is shorter than what was written")
    finally:
        os.close(fd)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # a folder cannot be opened there; renaming is journaled
    fd = os.open(folder, os.O_RDONLY)
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
