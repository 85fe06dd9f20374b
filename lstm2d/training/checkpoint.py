"""Checkpoints: safetensors files with their own digest, written atomically; the newest valid one wins."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from lstm2d.errors import DataError, OutputError
from lstm2d.io.atomic import write_bytes
from lstm2d.io.safe_open import read_existing
from lstm2d.io.tensor_file import TensorFile, to_bytes

Array = NDArray[Any]
KEPT = 2
DAMAGED = ".damaged"
NAME = re.compile(r"step-(\d{8,})\.safetensors")
NO_DIGEST = b"0" * 64
UNREADABLE = (
    "make it readable (permissions, disk or mount, limit of open files: ulimit -n), then use `resume=True`; "
    "no file was changed"
)
MARK = b'"sha256":"'  # quotes inside a JSON text are escaped, so only the key itself can match


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """State needed to resume a run.

    Parameters
    ----------
    tensors : dict of str to ndarray
        Weights, state of the optimizer, running mean.
    state : dict
        JSON-serialisable values.
    """

    tensors: dict[str, Array]
    state: dict[str, Any]


def pack(checkpoint: Checkpoint) -> bytes:
    """Return a checkpoint as the bytes of a safetensors file.

    Parameters
    ----------
    checkpoint : Checkpoint
        What to store.

    Returns
    -------
    bytes
        Metadata key "sha256" holds the digest of the file with 64 zeros in its place, "state" the state.
    """
    data = to_bytes(checkpoint.tensors, {"sha256": NO_DIGEST.decode(), "state": json.dumps(checkpoint.state)})
    return _with_digest(data, _digest(data))


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
    """
    if _with_digest(data, _digest(data)) != data:
        raise DataError("damaged checkpoint: its SHA-256 does not match")
    # the digest proves that `pack` wrote everything below
    file = TensorFile(BytesIO(data), "checkpoint")
    return Checkpoint({name: file.read(name) for name in file.tensors}, json.loads(file.metadata["state"]))


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(_with_digest(data, NO_DIGEST)).hexdigest().encode()


def _with_digest(data: bytes, digest: bytes) -> bytes:
    """Replace the digest in a file; the first `MARK` is in its header, if it is a checkpoint."""
    start = data.find(MARK) + len(MARK)
    return b"".join((data[:start], digest, data[start + len(digest) :]))


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
        write_bytes(path, pack(checkpoint))
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


def load_newest(folder: Path, warn: Callable[[str], None]) -> Checkpoint | None:
    """Return the newest valid checkpoint of a folder.

    Parameters
    ----------
    folder : Path
        Folder used by `save_checkpoint`.
    warn : callable
        Gets a line about each damaged file, which is renamed with the suffix ".damaged". Files that cannot be
        read are not renamed.

    Returns
    -------
    Checkpoint or None
        None if the folder has no checkpoint.

    Raises
    ------
    DataError
        If all checkpoints are damaged, or if one cannot be read: it may be valid, and an older one would lose
        progress.
    """
    tried: set[Path] = set()
    try:
        while path := next((path for path in files(folder) if path not in tried), None):
            tried.add(path)
            data = _read(path)
            if data is None:  # deleted since it was listed: there may be newer ones
                continue
            try:
                return unpack(data)
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


def _read(path: Path) -> bytes | None:
    """Return the contents of a checkpoint; None if the file no longer exists."""
    try:
        return read_existing(path)
    except DataError as error:
        what = f"the newest checkpoint cannot be read ({error.what})"
        raise DataError(what, where=path, hint=UNREADABLE) from error


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
        data = _read(path)
        return data is not None and bool(unpack(data))
    except DataError:
        return False
