"""Arrays in files that are read on demand; their shapes are known before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from lstm2d.errors import DataError


@dataclass(frozen=True)
class LazyArray:
    """An array in a file that is read on demand.

    Parameters
    ----------
    shape : tuple of int
        Sizes of the axes stated in the file. Nothing is allocated yet.
    read : callable
        Returns the array, or raises `DataError`. The file must still be open.
    """

    shape: tuple[int, ...]
    read: Callable[[], NDArray[Any]] = field(repr=False)


def damaged(reason: str, path: object) -> DataError:
    """Return the error for a damaged file of weights; names from the file in `reason` are cut by `short`."""
    return DataError(
        f"this file of weights cannot be read ({reason})",
        where=path,
        hint="copy the file again from its source; nothing in it was run",
    )


def short(name: object) -> str:
    """Return a name from a file in quotes, cut to 60 characters."""
    text = str(name)
    return repr(text if len(text) <= 60 else text[:57] + "...")
