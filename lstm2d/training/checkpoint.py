"""Checkpoints: safetensors files with their own digest, written atomically; the newest valid one wins."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from lstm2d.errors import DataError, OutputError
from lstm2d.io.atomic import write_parts
from lstm2d.io.safe_open import open_regular
from lstm2d.io.safetensors_header import MAX_HEADER_BYTES, parse_json
from lstm2d.io.tensor_file import TensorFile, to_parts

Array = NDArray[Any]
KEPT = 2
DAMAGED = ".damaged"
NAME = re.compile(r"step-(\d{8,})\.safetensors")
NO_DIGEST = b"0" * 64
UNREADABLE = (
    "make it readable (permissions, disk or mount, limit of open files: ulimit -n), then use `resume=True`; "
    "no file was changed"
)
FORMAT_VERSION = 1
_BLOCK = 1 << 20
MARK = b'"sha256":"'  # quotes inside a JSON text are escaped, so only the key itself can match


class Unreadable(DataError):
    """A checkpoint cannot be read now; it may be valid."""


class NewerFormat(DataError):
    """A newer version has written a checkpoint: it is neither damaged nor passed over."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """State needed to resume a run.

    Parameters
    ----------
    tensors : dict of str to ndarray
        Weights, state of the optimizer, running mean.
    state : dict
        JSON-serialisable values.
    version : int
        Version of the format; 0 for files of version 0.1.0 and earlier.
    """

    tensors: dict[str, Array]
    state: dict[str, Any]
    version: int = FORMAT_VERSION


def pack(checkpoint: Checkpoint) -> bytes:
    """Return a checkpoint as the bytes of a safetensors file.

    Parameters
    ----------
    checkpoint : Checkpoint
        What to store.

    Returns
    -------
    bytes
        Metadata key "format" holds the version of the format, "sha256" the digest of the file with 64 zeros
        in its place, "state" the state.
    """
    return b"".join(_parts(checkpoint))


def _parts(checkpoint: Checkpoint) -> list[bytes | memoryview]:
    """Return the file as parts, without a copy of the arrays."""
    metadata = {"sha256": NO_DIGEST.decode(), "state": json.dumps(checkpoint.state, allow_nan=False)}
    if checkpoint.version:
        metadata["format"] = str(checkpoint.version)
    header, *arrays = to_parts(checkpoint.tensors, metadata)
    digest = hashlib.sha256(header)
    for array in arrays:
        digest.update(array)
    return [bytes(header).replace(MARK + NO_DIGEST, MARK + digest.hexdigest().encode(), 1), *arrays]


def unpack(data: bytes) -> Checkpoint:
    """Return the checkpoint in the bytes of a file.

    Parameters
    ----------
    data : bytes
        Output of `pack`.

    Returns
    -------
    Checkpoint
        Equal to the one that was packed.

    Raises
    ------
    DataError
        If the digest does not match, or the data is not a checkpoint.
    NewerFormat
        If a newer version wrote it.
    """
    return _from_file(BytesIO(data))


def _from_file(file: BufferedReader | BytesIO) -> Checkpoint:
    """Return the checkpoint in an open file, whose contents are not kept in memory besides the arrays."""
    if not _is_intact(file):
        raise DataError("damaged checkpoint: its SHA-256 does not match")
    stored = TensorFile(file, "checkpoint")
    version = stored.metadata.get("format", "0")  # missing in files of version 0.1.0 and earlier
    if not version.isdecimal() or int(version) > FORMAT_VERSION:
        raise NewerFormat(
            f"checkpoint of format {version[:20]}",
            expected=f"{FORMAT_VERSION} or lower",
            hint="install a newer lstm2d",
        )
    state = parse_json(stored.metadata.get("state", ""), "checkpoint")
    if not isinstance(state, dict):
        raise DataError("damaged checkpoint: it has no state")
    return Checkpoint({name: stored.read(name) for name in stored.tensors}, state, int(version))


def _is_intact(file: BufferedReader | BytesIO) -> bool:
    """Return whether the digest in a file is that of its contents."""
    file.seek(0)
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if length > MAX_HEADER_BYTES:
        return False
    header = start + file.read(length)
    place = header.find(MARK) + len(MARK)  # the first one in the header, if it is a checkpoint
    found = header[place : place + len(NO_DIGEST)]
    digest = hashlib.sha256(header[:place] + NO_DIGEST + header[place + len(NO_DIGEST) :])
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest().encode() == found


def files(folder: Path) -> list[Path]:
    """Return the checkpoints in `folder`, newest first; other files are ignored."""
    if not folder.is_dir():
        return []
    found = [(int(match[1]), path) for path in folder.iterdir() if (match := NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found, reverse=True)]


def file_name(step: int) -> str:
    """Return the name of the checkpoint after `step` steps."""
    return f"step-{step:08d}.safetensors"


def save_checkpoint(folder: Path, step: int, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint and delete all but the newest ones.

    Parameters
    ----------
    folder : Path
        Created if it does not exist.
    step : int
        Steps done; part of the file name.
    checkpoint : Checkpoint
        What to store.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OutputError
        If it cannot be written; the message names the last good checkpoint, which is untouched.
    """
    path = folder / file_name(step)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_parts(path, _parts(checkpoint))
        for old in files(folder)[KEPT:]:
            old.unlink(missing_ok=True)
    except (OSError, OutputError) as error:
        good = newest_file(folder)
        reason = error.what if isinstance(error, OutputError) else error.strerror or str(error)
        hint = "make room and start a new run"
        if good:
            hint = f"make room, then go on with `resume=True` from the last good one, {good}"
        raise OutputError(f"checkpoint not saved ({reason})", where=path, hint=hint) from error
    return path


def load_newest(
    folder: Path, warn: Callable[[str], None], check: Callable[[Checkpoint], None] = lambda found: None
) -> Checkpoint | None:
    """Return the newest valid checkpoint of a folder.

    Parameters
    ----------
    folder : Path
        Folder used by `save_checkpoint`.
    warn : callable
        Gets a line about each damaged file, which is renamed with the suffix ".damaged". Files that cannot be
        read are not renamed.
    check : callable, optional
        Raises DataError if a checkpoint with a valid digest cannot be used; it then counts as damaged.

    Returns
    -------
    Checkpoint or None
        None if the folder has no checkpoint.

    Raises
    ------
    DataError
        If all checkpoints are damaged; or if one cannot be read, or is of a newer version: it may be valid,
        and an older one would lose progress.
    """
    tried: set[Path] = set()
    try:
        while path := next((path for path in files(folder) if path not in tried), None):
            tried.add(path)
            try:
                found = _read(path)
                if found is None:  # deleted since it was listed: there may be newer ones
                    continue
                check(found)
                return found
            except (Unreadable, NewerFormat):
                raise
            except DataError as error:
                warn(f"{path}: {error.what}; {_set_aside(path)} and an older one is used")
        damaged = sorted(folder.glob("*" + DAMAGED)) if folder.is_dir() else []
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(
            f"the checkpoints cannot be listed ({reason})", where=folder, hint=UNREADABLE
        ) from error
    if damaged:
        raise DataError("no valid checkpoint is left", where=folder, hint="start a new run in another folder")
    return None


def newest_file(folder: Path) -> Path | None:
    """Return the newest valid checkpoint's file, or None if none can be read and is valid."""
    with suppress(OSError):
        return next((path for path in files(folder) if _is_valid(path)), None)
    return None


def _read(path: Path) -> Checkpoint | None:
    """Return the checkpoint in a file; None if the file no longer exists."""
    try:
        file = open_regular(path)
    except DataError as error:
        if isinstance(error.__cause__, FileNotFoundError) and not path.is_symlink():
            return None
        raise _unreadable(path, error.what) from error
    try:
        with file:
            return _from_file(file)
    except NewerFormat as error:
        raise NewerFormat(error.what, where=path, expected=error.expected, hint=error.hint) from error
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    except DataError as error:
        if isinstance(error.__cause__, OSError | MemoryError):  # the disk or the memory, not the file
            raise _unreadable(path, error.what) from error
        raise


def _unreadable(path: Path, reason: str) -> Unreadable:
    what = f"the newest checkpoint cannot be read ({reason})"
    return Unreadable(what, where=path, hint=UNREADABLE)


def _set_aside(path: Path) -> str:
    """Rename a damaged checkpoint; return a description of what was done."""
    aside = path.with_name(path.name + DAMAGED)
    try:
        path.rename(aside)
    except OSError:  # a folder that cannot be written: the next save reports it
        return "it is skipped"
    return f"it is set aside as {aside.name}"


def _is_valid(path: Path) -> bool:
    try:
        return _read(path) is not None
    except DataError:
        return False
