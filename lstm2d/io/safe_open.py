"""Open input files: regular files only; failures raise DataError."""

from __future__ import annotations

import codecs
import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

from lstm2d.errors import DataError

MAX_TEXT_BYTES = 64 * 2**20  # enough for a split file of a million long names
MAX_LINES = 2_000_000
MAX_LIST_BYTES = 2**20  # of a list of classes
_PART = 2**16


def open_regular(path: str | os.PathLike[str]) -> BufferedReader:
    """Open a regular file for reading.

    Parameters
    ----------
    path : str or path
        File to open. Symbolic links are followed.

    Returns
    -------
    BufferedReader
        The open file, at its beginning.

    Raises
    ------
    DataError
        If the file does not exist, is a folder, FIFO or device, or is not readable.
    """
    try:
        file = open(path, "rb", opener=_open_regular)  # noqa: SIM115 the caller closes it
    except FileNotFoundError as e:
        raise DataError("file not found", where=path, expected="an existing file") from e
    except PermissionError as e:
        what, hint = "file may not be read", "give yourself read permission"
        raise DataError(what, where=path, expected="a readable file", hint=hint) from e
    except (OSError, ValueError) as e:  # ValueError: a NUL or a lone surrogate in the name
        if isinstance(e, OSError) and e.errno == errno.ENXIO:
            raise DataError("this is a socket", where=path, expected="a regular file") from e
        raise DataError(f"cannot open the file ({_reason(e)})", where=_printable(path)) from e
    return file


def read_text(path: str | os.PathLike[str], max_bytes: int = MAX_TEXT_BYTES) -> str:
    """Read a text file.

    Parameters
    ----------
    path : str or path
        File to read.
    max_bytes : int, default 64 MiB
        Largest size.

    Returns
    -------
    str
        The text without its byte order mark; decoded as UTF-16 if it has such a mark, else as UTF-8. Invalid
        bytes become surrogate escapes, as in file names.

    Raises
    ------
    DataError
        If the file cannot be read, is too large or invalid UTF-16.
    """
    with open_regular(path) as file:
        try:
            data = _beginning(file, max_bytes + 1)
        except OSError as e:
            raise DataError(f"cannot read the file ({_reason(e)})", where=path) from e
    if len(data) > max_bytes:
        raise DataError("text file too large", where=path, expected=f"at most {max_bytes} bytes")
    if not data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")
    try:
        return data.decode("utf-16")
    except UnicodeDecodeError as e:
        hint = "save it as UTF-8"
        raise DataError(f"damaged UTF-16 ({e.reason})", where=path, expected="a text file", hint=hint) from e


def read_lines(path: str | os.PathLike[str], max_bytes: int = MAX_TEXT_BYTES) -> list[str]:
    """Read the lines of a text file.

    Parameters
    ----------
    path : str or path
        File to read.
    max_bytes : int, default 64 MiB
        Largest size.

    Returns
    -------
    list of str
        The lines, see `read_text`, without the line feeds that end them.

    Raises
    ------
    DataError
        If the file cannot be read, is too large or has more than two million lines.
    """
    text = read_text(path, max_bytes)
    if text.count("\n") > MAX_LINES:
        raise DataError("text file of too many lines", where=path, expected=f"at most {MAX_LINES} lines")
    return text.split("\n")


def read_file(path: str | os.PathLike[str]) -> bytes:
    """Read a whole file.

    Parameters
    ----------
    path : str or path
        File to read.

    Returns
    -------
    bytes
        Its contents.

    Raises
    ------
    DataError
        If it cannot be read completely.
    """
    with open_regular(path) as file:
        try:
            return file.read()
        except OSError as e:
            raise DataError(f"cannot read the file ({_reason(e)})", where=path) from e


def read_existing(path: str | os.PathLike[str]) -> bytes | None:
    """Read a whole file if it exists.

    Parameters
    ----------
    path : str or path
        File to read.

    Returns
    -------
    bytes or None
        Its contents; None if it does not exist.

    Raises
    ------
    DataError
        If it exists but cannot be read completely.
    """
    try:
        return read_file(path)
    except DataError as e:
        if isinstance(e.__cause__, FileNotFoundError) and not os.path.islink(path):
            return None
        raise


def inside(root: Path, path: Path) -> bool:
    """Return whether a path is inside a folder after following links.

    Parameters
    ----------
    root : Path
        The folder.
    path : Path
        The path.

    Returns
    -------
    bool
        False also if the path cannot be resolved (a loop of links, a NUL in the name).
    """
    try:
        return Path(os.path.realpath(path, strict=True)).is_relative_to(os.path.realpath(root))
    except (OSError, ValueError):
        return False


def _open_regular(path: str, flags: int) -> int:
    # O_NONBLOCK: opening a FIFO would wait for a writer forever. The open descriptor is checked, so the file
    # cannot be exchanged between check and use.
    fd = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode):
        os.close(fd)
        raise DataError(f"this is {_kind(mode)}", where=path, expected="a regular file")
    return fd


def _beginning(file: BufferedReader, size: int) -> bytes:
    """Return the first bytes of a file, at most `size`; a single read would allocate all of them."""
    parts, left = [], size
    while left and (part := file.read(min(left, _PART))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
        stat.S_IFSOCK: "a socket",
    }
    return kinds.get(stat.S_IFMT(mode), "no file")


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _printable(path: str | os.PathLike[str]) -> str:
    return os.fspath(path).replace("\0", "\\0")
