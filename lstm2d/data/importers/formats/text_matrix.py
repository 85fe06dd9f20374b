"""Class numbers as text: one row of the image per line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.mapping import IGNORE
from lstm2d.errors import DataError
from lstm2d.io.photo import DEFAULT_MAX_PIXELS
from lstm2d.io.safe_open import read_lines
from lstm2d.io.samples import check_pixels, first_pixel

_EXPECTED = "a row of the image per line, as whole numbers with spaces between them"


def read_matrix(path: Path) -> NDArray[np.int64]:
    """Read a matrix of whole numbers from a text file.

    Parameters
    ----------
    path : Path
        The file. Empty lines are skipped; MATLAB writes whole numbers as 1.0000000e+00.

    Returns
    -------
    array of shape (H, W), int64
        The numbers.

    Raises
    ------
    DataError
        If the file cannot be read, is empty, has lines of different lengths, or holds something else.
    """
    rows: list[list[int]] = []
    for number, line in enumerate(read_lines(path), start=1):
        words = line.split()
        if not words:
            continue
        if rows and len(words) != len(rows[0]):
            what = f"line {number} has {len(words)} numbers, the first {len(rows[0])}"
            raise DataError(what, where=path, expected=_EXPECTED)
        try:
            rows.append(_numbers(words))
        except ValueError as e:
            raise DataError(f"line {number}: {e}", where=path, expected=_EXPECTED) from e
    check_pixels(len(rows[0]) if rows else 0, len(rows), DEFAULT_MAX_PIXELS, path)
    return np.array(rows, dtype=np.int64)


def labels_of(
    values: NDArray[np.int64], path: Path, n_classes: int, *, first: int, unknown: Sequence[int]
) -> NDArray[np.uint8]:
    """Turn class numbers of a data set into labels.

    Parameters
    ----------
    values : array of shape (H, W), integer
        The numbers.
    path : Path
        Their file, for messages.
    n_classes : int
        Number of classes.
    first : int
        Number of the first class.
    unknown : sequence of int
        Numbers of pixels without a label.

    Returns
    -------
    array of shape (H, W), uint8
        Class numbers from 0; 255 where there is no label.

    Raises
    ------
    DataError
        If a number is neither a class nor unknown.
    """
    labels = values - first
    unlabelled = np.isin(values, unknown)
    wrong = ~unlabelled & ((labels < 0) | (labels >= n_classes))
    if wrong.any():
        row, column = first_pixel(wrong)
        place = f"row {row}, column {column} ({int(wrong.sum())} such pixels)"
        raise DataError(
            f"class number {values[row, column]} at {place}",
            where=path,
            expected=f"{first} to {first + n_classes - 1}, or {unknown[0]} for pixels without a label",
        )
    return np.where(unlabelled, IGNORE, labels).astype(np.uint8)


def _numbers(words: list[str]) -> list[int]:
    try:
        numbers = list(map(int, words))
    except ValueError:
        numbers = [_whole(word) for word in words]
    if max(map(abs, numbers)) > 2**31:
        raise ValueError("a huge number")
    return numbers


def _whole(word: str) -> int:
    try:
        value = float(word)
    except ValueError:
        value = np.nan
    if not value.is_integer():
        raise ValueError(f"{word[:20]!r} is not a whole number")
    return int(value)
