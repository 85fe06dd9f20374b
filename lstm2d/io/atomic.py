"""Write files completely or not at all."""

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
    """Write a file in one step.

    Other processes, also after a crash or a power cut, find the old contents or the new, never a mixture: the
    bytes are written to a temporary file in the same folder, forced to the disk, read back and compared; only
    then is the file renamed, and the folder is forced to the disk too. A symbolic link is replaced, not
    followed.

    Parameters
    ----------
    path : str or path
        File to write. Its folder must exist. Permissions follow the umask.
    data : bytes
        The contents.

    Raises
    ------
    OutputError
        If any step fails; the message names the file and the reason. The old file, if any, is still there,
        except where only the last step (forcing the folder to the disk) failed: then the new one is.
    """
    target = Path(path)
    _refuse_special(target)
    # Not made from the target's name: that may be as long as the file system allows.
    temporary = target.parent / f".lstm2d-{secrets.token_hex(8)}.tmp"
    try:
        try:
            _write_verified(temporary, data)
            os.replace(temporary, target)
        except BaseException:  # also after Ctrl-C no temporary file is left
            with suppress(OSError):
                os.unlink(temporary)
            raise
        _sync_folder(target.parent)
    except (OSError, ValueError) as e:  # ValueError: a NUL in the name
        raise _output_error(e, target) from e


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a UTF-8 text file in one step, see `write_bytes`.

    Parameters
    ----------
    path : str or path
        File to write.
    text : str
        The contents. Surrogates from file names that are not UTF-8 become the bytes they stand for.

    Raises
    ------
    OutputError
        If any step fails.
    """
    write_bytes(path, text.encode("utf-8", "surrogateescape"))


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Make a folder for output, with its parents, if it is not there.

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
        If it cannot be made, or something else has that name.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as e:
        raise _output_error(e, folder) from e
    return folder


def _refuse_special(target: Path) -> None:
    """Refuse to rename over a device: that would delete it, and `-o /dev/null` the system's null device."""
    try:
        mode = os.stat(target).st_mode
    except (OSError, ValueError):
        return  # not there yet; other errors show when the temporary file is made
    if not stat.S_ISREG(mode):
        what = "the name of a file to write is taken by something that is no regular file"
        raise OutputError(what, where=target, hint="give another name")


def _write_verified(path: Path, data: bytes) -> None:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    fd = os.open(path, flags, 0o666)  # the system takes the umask off
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


def _output_error(error: Exception, target: Path) -> OutputError:
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
