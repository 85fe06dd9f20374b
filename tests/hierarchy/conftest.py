"""Datasets to build hierarchies from."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Maker = Callable[..., Path]

CLASSES = ("sky", "tree", "road", "car")


@pytest.fixture
def landscapes(tmp_path: Path, rng: np.random.Generator) -> Maker:
    """Return a writer of a dataset whose images are half sky and half tree or half road, with some cars.

    The window of a pixel in the sky has labels of tree, or of road: two clusters.
    """

    def write(
        images: int = 12, *, scenes: Mapping[str, str] | None = None, unlabelled: int = 0, cars: bool = True
    ) -> Path:
        root = tmp_path / "landscapes"
        for folder in ("images", "masks", "splits"):
            (root / folder).mkdir(parents=True)
        described = [
            f'[[classes]]\nname = "{name}"\ncolor = [{k}, {k}, {k}]\n' for k, name in enumerate(CLASSES)
        ]
        (root / "dataset.toml").write_text('name = "landscapes"\nignore = 255\n' + "".join(described))
        stems = [f"i{k:02d}" for k in range(images)]
        for number, stem in enumerate(stems):
            labels = np.zeros((64, 96), np.uint8)
            labels[32:] = 1 + number % 2
            if cars and number % 4 == 0:
                labels[48:, 40:72] = 3
            gray = np.array([200, 60, 120, 20])[labels] + rng.integers(0, 9, labels.shape)
            Image.fromarray(np.stack([gray] * 3, axis=2).astype(np.uint8)).save(root / f"images/{stem}.png")
            if number < unlabelled:
                labels[:40] = 255
            Image.fromarray(labels).save(root / f"masks/{stem}.png")
        (root / "splits/train.txt").write_text("\n".join(stems[:-2]))
        (root / "splits/test.txt").write_text("\n".join(stems[-2:]))
        if scenes is not None:
            (root / "scenes.txt").write_text("".join(f"{stem} {scene}\n" for stem, scene in scenes.items()))
        return root

    return write
