"""The state of all files below a folder, to see what changes."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

Snapshot = dict[str, tuple[object, ...]]
"""What is known of each file and folder, by its name."""


def snapshot(folder: Path) -> Snapshot:
    """Return the state of all files below a folder.

    Parameters
    ----------
    folder : Path
        The folder. Links are not followed.

    Returns
    -------
    dict of str to tuple
        For each file, link and folder its mode, and digest and time of a file, or target of a link.
    """
    found: Snapshot = {}
    _collect(folder, "", found)
    return found


def _collect(folder: Path, inside: str, found: Snapshot) -> None:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        found[f"{inside} cannot be listed"] = (error.errno,)
        return
    for entry in entries:
        name = f"{inside}{entry.name}"
        status = entry.stat(follow_symlinks=False)
        found[name] = (status.st_mode, *_content(Path(entry.path), status))
        if stat.S_ISDIR(status.st_mode):
            _collect(Path(entry.path), f"{name}/", found)


def _content(path: Path, status: os.stat_result) -> tuple[object, ...]:
    if stat.S_ISLNK(status.st_mode):
        return (os.readlink(path),)
    if not stat.S_ISREG(status.st_mode):
        return ()
    try:
        return (status.st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
    except OSError as error:
        return (status.st_mtime_ns, error.errno)
