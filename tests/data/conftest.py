"""Small dataset folders."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Maker = Callable[..., Path]

TOML = """
name = "toy"
ignore = 255

[[classes]]
name = "sky"
color = [1, 2, 3]

[[classes]]
name = "tree"
color = [4, 5, 6]

[[classes]]
name = "road"
color = [7, 8, 9]
"""


@pytest.fixture
def make(tmp_path: Path, rng: np.random.Generator) -> Maker:
    """Return a writer of dataset folders.

    `masks` gives each stem its mask (an array, or None for no mask); images are random, of the mask's size.
    """

    def write(
        masks: Mapping[str, Any],
        *,
        splits: Mapping[str, Sequence[str]] | None = None,
        toml: str | None = TOML,
        folders: tuple[str, str] = ("images", "masks"),
    ) -> Path:
        root = tmp_path / "toy"
        for name in folders:
            (root / name).mkdir(parents=True)
        for stem, mask in masks.items():
            shape = (4, 6) if mask is None else np.shape(mask)
            pixels = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / folders[0] / f"{stem}.png")
            if mask is not None:
                Image.fromarray(np.asarray(mask, np.uint8)).save(root / folders[1] / f"{stem}.png")
        if splits is not None:
            (root / "splits").mkdir()
            for name, stems in splits.items():
                (root / "splits" / f"{name}.txt").write_text("".join(f"{s}\n" for s in stems))
        if toml is not None:
            (root / "dataset.toml").write_text(toml)
        return root

    return write
