"""Keep a copy of a damaged file before it is replaced."""

from __future__ import annotations

import os
from pathlib import Path

from lstm2d.errors import DataError
from lstm2d.io.atomic import write_bytes
from lstm2d.io.safe_open import read_existing


def copy_aside(path: Path) -> Path:
    """Copy a damaged file, so that its contents are not lost.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    Path
        The copy in the same folder, NAME.damaged. An earlier copy is never replaced: the next one is
        NAME.damaged-2.

    Raises
    ------
    DataError
        If the file cannot be read.
    OutputError
        If the copy cannot be written.
    """
    data = read_existing(path)
    if data is None:
        raise DataError("file not found", where=path, expected="an existing file")
    number, copy = 1, path.with_name(f"{path.name}.damaged")
    while os.path.lexists(copy):
        number += 1
        copy = path.with_name(f"{path.name}.damaged-{number}")
    write_bytes(copy, data)
    return copy
