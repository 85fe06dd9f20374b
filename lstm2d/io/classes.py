"""Names and colours of classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lstm2d.shown import forging, shown

MAX_NAME = 200  # characters
MAX_CLASSES = 255  # labels are bytes; one value is reserved for ignored pixels


@dataclass(frozen=True)
class ClassInfo:
    """One class of a dataset.

    Parameters
    ----------
    name : str
        Not empty.
    color : tuple of int
        Red, green and blue, each 0 to 255.
    """

    name: str
    color: tuple[int, int, int]


def wrong_name(name: object) -> str | None:
    """Return why something cannot be the name of a class or of a dataset.

    Parameters
    ----------
    name : object
        The name.

    Returns
    -------
    str or None
        What was expected; None for a valid name: text of 1 to 200 characters on one line. Control characters
        could forge lines and colours of a terminal, and plots would take minutes for longer names.
    """
    if not isinstance(name, str) or not name:
        return "a non-empty string is expected"
    if len(name) > MAX_NAME:
        return f"at most {MAX_NAME} characters are expected, these are {len(name)}"
    if (character := forging(name)) is not None:
        return f"printable text is expected, not the character {character!a}"
    return None


def dataset_name(text: str) -> str:
    """Return the name of a folder as that of a dataset: such names have no control characters."""
    return (text if text and wrong_name(text) is None else shown(text))[:MAX_NAME] or "dataset"


def palette_of(classes: Sequence[ClassInfo]) -> NDArray[np.uint8]:
    """Return the colours of classes as an array.

    Parameters
    ----------
    classes : sequence of ClassInfo
        The K classes.

    Returns
    -------
    array of shape (K, 3), uint8
        One row per class.
    """
    return np.array([c.color for c in classes], dtype=np.uint8).reshape(-1, 3)


def default_color(index: int) -> tuple[int, int, int]:
    """Return the default colour of a class.

    Parameters
    ----------
    index : int
        Class number.

    Returns
    -------
    tuple of int
        Red, green and blue from the Pascal VOC colour map: the bits of the index, three at a time, fill the
        channels from the highest bit. All 256 colours differ.
    """
    red = green = blue = 0
    for bit in range(7, -1, -1):
        red |= (index & 1) << bit
        green |= (index >> 1 & 1) << bit
        blue |= (index >> 2 & 1) << bit
        index >>= 3
    return red, green, blue
