"""Arrays in files, known by name and shape before they are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from lstm2d.errors import DataError


@dataclass(frozen=True)
class StoredArray:
    """An array that lies in a file.

    Parameters
    ----------
    shape : tuple of int
        Sizes of the axes. Nothing of that size was allocated yet: a hostile file may claim any.
    read : callable
        Returns the array, or raises `DataError`. To be called while the file is open.
    """

    shape: tuple[int, ...]
    read: Callable[[], NDArray[Any]] = field(repr=False)


def damaged(reason: str, path: object) -> DataError:
    """Make the error for a file that is not what it should be.

    Parameters
    ----------
    reason : str
        What is wrong. Names that come from the file should be cut by `short`.
    path : object
        The file.

    Returns
    -------
    DataError
        The error, not raised.
    """
    return DataError(
        f"this file of weights cannot be read ({reason})",
        where=path,
        hint="copy the file again from where it came; nothing in it was run",
    )


def short(name: object) -> str:
    """Return a name from a file, in quotes and no longer than a line can take."""
    text = str(name)
    return repr(text if len(text) <= 60 else text[:57] + "...")
