"""Write a folder of files completely or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lstm2d.errors import OutputError
from lstm2d.io.atomic import output_error


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
    try:
        taken = os.path.lexists(root) and any(root.iterdir())
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
    """
    check_new_folder(path)
    root = Path(path)
    made = [p for p in (root, *root.parents) if not os.path.lexists(p)]  # innermost first
    work = root / f".lstm2d-{secrets.token_hex(8)}.tmp"
    try:
        try:
            work.mkdir(parents=True)
        except (OSError, ValueError) as e:
            raise output_error(e, root) from e
        yield work
        _move_out(work, root, last)
    except BaseException:  # also Ctrl-C
        with suppress(ValueError):  # a NUL in the name
            shutil.rmtree(work, ignore_errors=True)
            for folder in made:
                with suppress(OSError):
                    folder.rmdir()
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
    except BaseException as e:
        for name in moved:
            with suppress(OSError):
                os.rename(root / name, work / name)
        if isinstance(e, OSError):
            raise output_error(e, root) from e
        raise
