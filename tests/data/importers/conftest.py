"""Small sources in the layouts of their authors."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lstm2d.data.folder import DatasetFolder

Save = Callable[..., Path]
Photo = Callable[..., np.ndarray]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Return a function that writes an array as an image, or a text, below ``tmp_path/src``."""

    def write(name: str, content: Any, palette: list[int] | None = None, **options: Any) -> Path:
        path = tmp_path / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_text(content)
            return path
        image = Image.fromarray(np.asarray(content, np.uint8))
        if palette is not None:
            image.putpalette(palette)
        image.save(path, **options)
        return path

    return write


@pytest.fixture
def photo(rng: np.random.Generator) -> Photo:
    """Return a function that makes a random photograph of a size."""

    def make(height: int = 4, width: int = 6) -> np.ndarray:
        return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)

    return make


@pytest.fixture
def labels_in() -> Callable[[Path], dict[str, np.ndarray]]:
    """Return a function that reads all labels of a dataset folder."""

    def read(root: Path) -> dict[str, np.ndarray]:
        dataset = DatasetFolder(root)
        return {s.stem: dataset.load(s)[1] for s in dataset.samples}

    return read
