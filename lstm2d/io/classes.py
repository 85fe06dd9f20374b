"""Class names and colours, as datasets and model files hold them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_CLASSES = 255  # labels are bytes, and one value is needed for ignored pixels


@dataclass(frozen=True)
class ClassInfo:
    """One class of a dataset.

    Parameters
    ----------
    name : str
        Name, not empty.
    color : tuple of int
        Red, green and blue, each 0 to 255.
    """

    name: str
    color: tuple[int, int, int]


def palette_of(classes: Sequence[ClassInfo]) -> NDArray[np.uint8]:
    """Return the colours of classes as an array.

    Parameters
    ----------
    classes : sequence of ClassInfo
        The K classes.

    Returns
    -------
    array of shape (K, 3), uint8
        One row a class.
    """
    return np.array([c.color for c in classes], dtype=np.uint8).reshape(-1, 3)


def default_color(index: int) -> tuple[int, int, int]:
    """Return a colour for a class that has none.

    Parameters
    ----------
    index : int
        Number of the class.

    Returns
    -------
    tuple of int
        Red, green, blue: the bits of the index, three at a time, fill the channels from their highest bit, as
        in the Pascal VOC colour map. All 256 colours differ.
    """
    red = green = blue = 0
    for bit in range(7, -1, -1):
        red |= (index & 1) << bit
        green |= (index >> 1 & 1) << bit
        blue |= (index >> 2 & 1) << bit
        index >>= 3
    return red, green, blue
