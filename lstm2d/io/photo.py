"""A photograph on its way in: how it is read, and what reading it gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import ConfigError

DEFAULT_MAX_PIXELS = 100_000_000
MAX_BITS = 16
WHITE = (255, 255, 255)


@dataclass(frozen=True, slots=True)
class Reading:
    """How photographs are read.

    Parameters
    ----------
    max_pixels : int
        Most pixels of a file to decode. An array is in memory already and may have any size.
    bits : int, optional
        Significant bits of a sample, 1 to 16, where a file or an array has more room than its values take
        (12 bits stored in 16). None: as the file says, else guessed from the largest value, with a note.
    background : tuple of int
        Red, green and blue that transparent pixels are composited on, 0 to 255.

    Raises
    ------
    ConfigError
        If a value is out of its range.
    """

    max_pixels: int = DEFAULT_MAX_PIXELS
    bits: int | None = None
    background: tuple[int, int, int] = WHITE

    def __post_init__(self) -> None:
        if self.max_pixels < 1:
            raise ConfigError("max_pixels is too small", where=self.max_pixels, expected="at least 1")
        if self.bits is not None and not 1 <= self.bits <= MAX_BITS:
            raise ConfigError("bits is out of range", where=self.bits, expected=f"1 to {MAX_BITS}")
        if len(self.background) != 3 or not all(0 <= value <= 255 for value in self.background):
            expected = "red, green and blue, each from 0 to 255"
            raise ConfigError("background is no colour", where=self.background, expected=expected)


@dataclass(frozen=True, slots=True)
class Photo:
    """A photograph in memory.

    Parameters
    ----------
    pixels : array of shape (H, W, 3), uint8 or float32
        Red, green, blue in 0..255, upright.
    notes : tuple of str
        What was guessed, converted or left out, one line each, without the name of the image.
    """

    pixels: NDArray[np.uint8] | NDArray[np.float32]
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.pixels.shape[0], self.pixels.shape[1]
