"""Small valid files, made in code."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


@contextmanager
def in_memory() -> Iterator[Path]:
    """Yield an empty folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def bytes_of(write: Callable[[Path], object], name: str = "file") -> bytes:
    """Return what a function writes to a path."""
    with in_memory() as folder:
        write(folder / name)
        return (folder / name).read_bytes()


def photo(height: int = 4, width: int = 6, channels: int = 3) -> np.ndarray:
    """Return a photograph of all kinds of values."""
    rng = np.random.default_rng(5)
    values = rng.integers(0, 256, (height, width, channels), dtype=np.uint8)
    return values if channels > 1 else values[..., 0]


def encoded(values: Any, format: str, **options: Any) -> bytes:
    """Return an array, or an image of Pillow, as a file."""
    image = values if isinstance(values, Image.Image) else Image.fromarray(values)
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()
