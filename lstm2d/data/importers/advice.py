"""Name the command that imports a folder whose layout an importer knows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lstm2d.data.layout import REFUSED_SUFFIXES
from lstm2d.errors import DataError


@contextmanager
def naming_the_import(root: Path, *, files: bool = False) -> Iterator[None]:
    """Add to errors about the layout of a folder the command that imports it, if there is one.

    Parameters
    ----------
    root : Path
        The folder.
    files : bool, default False
        Whether errors about single files are about the layout too, as for masks of another size; otherwise
        only those about folders and about masks with lossy compression are.

    Yields
    ------
    None
        Control, for reading the folder.

    Raises
    ------
    DataError
        The same error, with the command in its hint.
    """
    try:
        yield
    except DataError as error:
        command = _command(root) if files or _is_about_layout(error) else None
        if command is None:
            raise
        # first: a hint may end with a whole dataset.toml
        hint = f"import it: {command}" + (f"\n  or {error.hint}" if error.hint else "")
        raise DataError(error.what, where=error.where, expected=error.expected, hint=hint) from error


def _is_about_layout(error: DataError) -> bool:
    where = Path(str(error.where))
    return not os.path.isfile(where) or where.suffix.lower() in REFUSED_SUFFIXES


def _command(root: Path) -> str | None:
    from lstm2d.data.importers.registry import import_command

    try:
        return import_command(root) if os.path.exists(root) else None
    except DataError:  # for example a folder that cannot be listed
        return None
