"""Photographs in memory, and settings for reading them."""

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
    """Settings for reading photographs.

    Parameters
    ----------
    max_pixels : int
        Maximum number of pixels of a file. Arrays may have any size.
    bits : int, optional
        Significant bits per sample, 1 to 16, if fewer than stored (such as 12 bits in 16). None: as stated in
        the file, else guessed from the largest value, with a note.
    background : tuple of int
        Colour that transparent pixels are composited on: red, green and blue, 0 to 255.

    max_memory : int, optional
        Largest memory in bytes that decoding a file may take. Arrays may have any size.

    Raises
    ------
    ConfigError
        If a value is out of range.
    """

    max_pixels: int = DEFAULT_MAX_PIXELS
    bits: int | None = None
    background: tuple[int, int, int] = WHITE
    max_memory: int | None = None

    def __post_init__(self) -> None:
        if self.max_pixels < 1:
            raise ConfigError("max_pixels is too small", where=self.max_pixels, expected="at least 1")
        if self.bits is not None and not 1 <= self.bits <= MAX_BITS:
            raise ConfigError("bits is out of range", where=self.bits, expected=f"1 to {MAX_BITS}")
        if len(self.background) != 3 or not all(0 <= value <= 255 for value in self.background):
            expected = "red, green and blue, each from 0 to 255"
            raise ConfigError("background is not a colour", where=self.background, expected=expected)


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
