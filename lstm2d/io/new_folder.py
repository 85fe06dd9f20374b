"""Write a folder of files completely or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lstm2d.errors import OutputError
from lstm2d.io.atomic import make_folder, output_error, sync_folder, temporary_name
from lstm2d.io.locks import is_temporary, locked_folder, sweep


def check_new_folder(path: str | os.PathLike[str]) -> None:
    """Check that a folder does not exist or is empty.

    Parameters
    ----------
    path : str or path
        The folder.

    Raises
    ------
    OutputError
        If it holds files, cannot be listed, or is a file.
    """
    root = Path(path)
    sweep(root)
    try:
        taken = os.path.lexists(root) and not all(is_temporary(entry.name) for entry in root.iterdir())
    except (OSError, ValueError) as e:
        raise output_error(e, root) from e
    if taken:
        raise OutputError("the folder is not empty", where=root, hint="name a new folder")


@contextmanager
def new_folder(path: str | os.PathLike[str], *, last: str) -> Iterator[Path]:
    """Create a folder whose contents appear when all of them are written.

    Parameters
    ----------
    path : str or path
        Folder to create, with its parents. It may exist if it is empty.
    last : str
        The file that is moved into the folder last: a folder with this file is complete.

    Yields
    ------
    Path
        A temporary folder inside, for the contents. At the end they are moved to `path`; after an exception
        everything is removed, and `path` too if it did not exist.

    Raises
    ------
    OutputError
        If the folder is not empty, or cannot be created or written.
    ConfigError
        If another process writes into it.
    """
    check_new_folder(path)
    root = Path(path)
    made = [p for p in (root, *root.parents) if not os.path.lexists(p)]  # innermost first
    try:
        make_folder(root)
        with locked_folder(root, "another process writes into this folder"):
            check_new_folder(root)  # again: another process may have filled it meanwhile
            with _work_folder(root) as work:
                yield work
                _move_out(work, root, last)
    except BaseException:  # also Ctrl-C
        for folder in made:
            with suppress(OSError, ValueError):  # not empty; a NUL in the name
                folder.rmdir()
        raise


@contextmanager
def _work_folder(root: Path) -> Iterator[Path]:
    """Create a temporary folder, which no other process removes, and remove it after an exception."""
    work = temporary_name(root)
    try:
        work.mkdir()
    except OSError as e:
        raise output_error(e, root) from e
    try:
        with locked_folder(work, "another process writes into this folder"):
            yield work
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def _move_out(work: Path, root: Path, last: str) -> None:
    """Move the contents of a folder to the one above, or nothing."""
    names = sorted((entry.name for entry in work.iterdir()), key=lambda name: (name == last, name))
    moved: list[str] = []
    try:
        for name in names:
            os.rename(work / name, root / name)
            moved.append(name)
        work.rmdir()
        sync_folder(root)
    except BaseException as e:
        with suppress(OSError):
            work.mkdir(exist_ok=True)
        for name in moved:
            with suppress(OSError):
                os.rename(root / name, work / name)
        if isinstance(e, OSError):
            raise output_error(e, root) from e
        raise
