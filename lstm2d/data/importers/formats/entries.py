"""Read the entries of annotation files, and collect what is wrong with them."""

from __future__ import annotations

import array
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import DataError
from lstm2d.io.classes import MAX_CLASSES, wrong_name
from lstm2d.io.parse import BadText, parse_json, shortened, some_of
from lstm2d.io.photo import DEFAULT_MAX_PIXELS
from lstm2d.io.safe_open import open_regular

_SHOWN = 20  # places in one message
_END = 2**16  # bytes


class BadEntry(ValueError):
    """An entry of an annotation file cannot be read; the message does not name the file."""


class Findings:
    """Problems of the entries of annotation files, and entries that are left out.

    Parameters
    ----------
    src : Path
        The folder or file that is imported; the names of files are shown relative to it.
    """

    def __init__(self, src: Path) -> None:
        self._src = src
        self._problems: list[str] = []
        self._left_out: dict[str, list[str]] = {}

    @contextmanager
    def entry(self, file: Path, *names: object) -> Iterator[None]:
        """Record a `BadEntry` or `DataError` that is raised while an entry or a whole file is read.

        Parameters
        ----------
        file : Path
            The annotation file.
        *names : object
            Where in the file, such as "shape 3".

        Yields
        ------
        None
            Control, for reading the entry.
        """
        try:
            yield
        except (BadEntry, DataError) as e:
            what = e.what if isinstance(e, DataError) else e
            self._problems.append(f"{self._place(file, *names)}: {what}")

    def leave_out(self, what: str, file: Path, *names: object) -> None:
        """Record an entry that is not imported.

        Parameters
        ----------
        what : str
            What it is, in the plural, such as "polygons of fewer than 3 points".
        file : Path
            The annotation file or image.
        *names : object
            Where in the file.
        """
        self._left_out.setdefault(what, []).append(self._place(file, *names))

    def check(self) -> None:
        """Raise a DataError that lists all problems, if there are any."""
        problems = self._problems
        if not problems:
            return
        if len(problems) == 1:
            raise DataError(f"a wrong entry, {problems[0]}", hint="correct it, or delete it from the file")
        lines = "".join(f"\n    {line}" for line in some_of(problems, _SHOWN))
        raise DataError(
            f"{len(problems)} wrong entries:{lines}", hint="correct them, or delete them from the files"
        )

    def left_out(self) -> tuple[str, ...]:
        """Return a line per kind of entries that are left out, with their places."""
        return tuple(
            f"{len(at)} {what}: {'; '.join(some_of(at, _SHOWN))}" for what, at in self._left_out.items()
        )

    def _place(self, file: Path, *names: object) -> str:
        shown = file.relative_to(self._src) if file.is_relative_to(self._src) else file
        return ", ".join(map(str, (file.name if shown == Path() else shown, *names)))


def read_json(path: Path, hook: Callable[[dict[str, Any]], Any] | None = None) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Parameters
    ----------
    path : Path
        The file, of any size.
    hook : callable, optional
        Gets each object as soon as it is read, and returns what takes its place.

    Returns
    -------
    dict
        The object.

    Raises
    ------
    DataError
        If the file cannot be read or holds no JSON object.
    """
    with open_regular(path) as file:
        try:
            content = parse_json(file.read(), hook=hook)
        except OSError as e:
            raise DataError(f"cannot read the file ({e.strerror})", where=path) from e
        except BadText as e:
            raise DataError(f"not valid JSON ({e})", where=path, hint="export it again") from e
    if not isinstance(content, dict):
        raise DataError("no JSON object", where=path, expected='{"name": value, ...}')
    return content


def ends_of(path: Path) -> bytes:
    """Return the first and the last bytes of a file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    bytes
        At most 128 KiB; nothing if the file cannot be read.
    """
    try:
        with open_regular(path) as file:
            head = file.read(_END)
            file.seek(max(len(head), file.seek(0, os.SEEK_END) - _END))
            return head + file.read(_END)
    except (DataError, OSError):
        return b""


def list_of(content: dict[str, Any], key: str, path: Path) -> list[dict[str, Any]]:
    """Return a list of objects in a JSON file.

    Parameters
    ----------
    content : dict
        The parsed file.
    key : str
        Name of the list.
    path : Path
        The file, for messages.

    Returns
    -------
    list of dict
        The objects.

    Raises
    ------
    DataError
        If there is no such list, or it holds something else.
    """
    try:
        return objects_in(content, key)
    except BadEntry as e:
        raise DataError(str(e), where=path) from e


def objects_in(entry: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """Return a list of objects in an entry.

    Parameters
    ----------
    entry : dict
        The entry.
    key : str
        Name of the list.

    Returns
    -------
    list of dict
        The objects.

    Raises
    ------
    BadEntry
        If there is no such list, or it holds something else.
    """
    values = entry.get(key)
    if not isinstance(values, list):
        raise BadEntry(f'there is no list "{key}"')
    wrong = next((k for k, value in enumerate(values) if not isinstance(value, dict)), None)
    if wrong is not None:
        raise BadEntry(f'"{key}", entry {wrong} is {shown(values[wrong])}, an object is expected')
    return values


def whole(value: object, what: str, low: int, high: int) -> int:
    """Return a number of an entry if it is whole and in a range.

    Parameters
    ----------
    value : object
        The number.
    what : str
        Its name, for messages.
    low, high : int
        The range, ends included.

    Returns
    -------
    int
        The number.

    Raises
    ------
    BadEntry
        If it is not a number, not whole or out of range.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise BadEntry(f"{what} is {shown(value)}, a whole number from {low} to {high} is expected")
    return value


def class_name(value: object) -> str:
    """Return the name of a class.

    Parameters
    ----------
    value : object
        The name in an entry.

    Returns
    -------
    str
        The name without spaces around it.

    Raises
    ------
    BadEntry
        If it is no text, empty, or has control characters.
    """
    name = value.strip() if isinstance(value, str) else ""
    if reason := wrong_name(name):
        raise BadEntry(f"the class name {shown(value)}, {reason}")
    return name


def check_classes(names: Sequence[str], where: Path) -> None:
    """Refuse a list of classes that is empty or too long, or has a name twice.

    Parameters
    ----------
    names : sequence of str
        Names of the classes.
    where : Path
        The file or folder, for messages.

    Raises
    ------
    DataError
        If they cannot be the classes of a dataset.
    """
    if not 1 <= len(names) <= MAX_CLASSES:
        raise DataError(f"{len(names)} classes", where=where, expected=f"1 to {MAX_CLASSES}")
    wrong = next((reason for name in names if (reason := wrong_name(name))), None)
    if wrong is not None:
        raise DataError(f"the name of a class: {wrong}", where=where)
    twice = next((name for k, name in enumerate(names) if name in names[:k]), None)
    if twice is not None:
        raise DataError(f"two classes with the name {twice!r}", where=where, hint="rename one of them")


def size_of(height: object, width: object) -> tuple[int, int]:
    """Return the size of an image that an annotation states.

    Parameters
    ----------
    height, width : int
        The numbers in the entry.

    Returns
    -------
    tuple of int
        Rows and columns.

    Raises
    ------
    BadEntry
        If they are not whole, below 1, or of an image that is too large.
    """
    size = whole(height, "the height", 1, 2**31), whole(width, "the width", 1, 2**31)
    if size[0] * size[1] > DEFAULT_MAX_PIXELS:
        raise BadEntry(f"an image of {size[1]}x{size[0]} pixels, at most {DEFAULT_MAX_PIXELS} are expected")
    return size


def points_of(values: Any, size: tuple[int, int]) -> NDArray[np.float64]:
    """Return the points of an outline.

    Parameters
    ----------
    values : sequence of float
        x and y in turn, in pixels.
    size : tuple of int
        Rows and columns of the image.

    Returns
    -------
    array of shape (N, 2), float64
        The points (x, y); possibly fewer than 3.

    Raises
    ------
    BadEntry
        If they are not pairs of finite numbers, or one is further away from the image than its width or
        height. Points just outside of the image are common, since programs let a mouse slip over its edge.
    """
    try:
        numbers = np.array(array.array("d", values), dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as e:
        raise BadEntry("coordinates that are not numbers") from e
    if len(numbers) % 2:
        raise BadEntry(f"{len(numbers)} coordinates, pairs of x and y are expected")
    points = numbers.reshape(-1, 2)
    limits = np.array(size[::-1])
    with np.errstate(invalid="ignore"):
        wrong = ~((points >= -limits) & (points <= 2 * limits)).all(axis=1)
    if wrong.any():
        k = int(np.argmax(wrong))
        x, y = points[k].tolist()
        far = math.isfinite(x) and math.isfinite(y)
        reason = f"is far outside of the image of {size[1]}x{size[0]} pixels" if far else "is not finite"
        raise BadEntry(f"point {k} at ({x:g}, {y:g}) {reason}")
    return points


def shown(value: object) -> str:
    """Return a value of a file for a message, cut if it is long."""
    try:
        text = repr(value)
    except ValueError:  # a whole number of thousands of digits
        return "a huge number"
    return shortened(text, 60)
