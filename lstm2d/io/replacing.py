"""Protect files of other programs and input files from being replaced."""

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
    """Check that a file may be written.

    Parameters
    ----------
    path : str or path
        The file to write.
    is_ours : callable
        Returns whether this program wrote an existing file.
    inputs : iterable of str or path
        Input files; consumed only if `path` exists.
    overwrite : bool
        Replace any file except an input.

    Raises
    ------
    ConfigError
        If the file is an input (under any name or link), or exists, is not empty and is not ours.
    """
    target = Path(path)
    if not os.path.lexists(target) or os.path.isdir(target):
        return
    if any(_same_file(target, other) for other in inputs):
        raise ConfigError(
            "the result would replace an input file", where=path, hint="give another name: `out`"
        )
    if overwrite or (os.path.isfile(target) and (target.stat().st_size == 0 or is_ours(target))):
        return
    if os.path.exists(target) and not os.path.isfile(target):
        return  # a device: refused by `write_bytes`
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
