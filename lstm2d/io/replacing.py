"""Named output files: what another program wrote is not replaced, and never what is read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from lstm2d.errors import ConfigError


def refuse_to_replace(
    path: str | os.PathLike[str],
    *,
    is_ours: Callable[[Path], bool],
    inputs: Iterable[str | os.PathLike[str]],
    overwrite: bool,
) -> None:
    """Make sure that a file may be written, before the work.

    Parameters
    ----------
    path : str or path
        The file to write.
    is_ours : callable
        Tells of an existing file whether this program wrote it.
    inputs : iterable of str or path
        Files that are read; looked at only where `path` exists.
    overwrite : bool
        Replace whatever is there, but no input.

    Raises
    ------
    ConfigError
        If the file is an input, also by another name or link, or it exists, is not empty, and is not ours.
    """
    target = Path(path)
    if not os.path.lexists(target) or target.is_dir():
        return
    if any(_same_file(target, other) for other in inputs):
        raise ConfigError(
            "the result would replace a file that is read", where=path, hint="give another name: `out`"
        )
    if overwrite or (target.is_file() and (target.stat().st_size == 0 or is_ours(target))):
        return
    if target.exists() and not target.is_file():
        return  # a device: refused where it is written
    raise ConfigError(
        "the file exists, and this command did not write it",
        where=path,
        hint="give another name: `out`; `overwrite=True` replaces it",
    )


def _same_file(path: Path, other: str | os.PathLike[str]) -> bool:
    try:
        return os.path.samefile(path, other)
    except (OSError, ValueError):
        return False
