"""Small hierarchies, and datasets to build them from."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from lstm2d.hierarchy.hierarchy import Hierarchy, Subclass


def clusters() -> Hierarchy:
    """Return three classes, the first with two clusters of label maps, the second without."""
    return Hierarchy(
        method="lc",
        dataset="toy",
        classes=("sky", "tree", "road"),
        common=(0, 1),
        subclasses=(
            Subclass("sky 1", 0, 30, (1.0, 0.25, 0.1)),
            Subclass("sky 2", 0, 20, (0.3, 0.7, 0.1 + 0.2)),
            Subclass("tree", 1, 25),
            Subclass("road", 2, 5),
        ),
        window=129,
        settings={"rho": 93.0, "seed": 0, "fill_with": None, "before_filling": (1, 2)},
    )


def scenes() -> Hierarchy:
    """Return three classes, two of them divided by scene."""
    return Hierarchy(
        method="sn",
        dataset="toy",
        classes=("sky", "tree", "road"),
        common=(0, 2),
        subclasses=(
            Subclass("sky / coast", 0, 30, group=0),
            Subclass("sky / street", 0, 20, group=1),
            Subclass("tree", 1, 2),
            Subclass("road / coast", 2, 5, group=0),
            Subclass("road / street", 2, 5, group=1),
        ),
        images={"a": 0, "b\udcff": 1},
        groups=("coast", "street"),
    )


CLASSES = ("sky", "tree", "road", "car")


def write_landscapes(
    root: Path,
    images: int = 12,
    *,
    names: Sequence[str] = CLASSES,
    scenes: Mapping[str, str] | None = None,
    unlabelled: int = 0,
    cars: bool = True,
) -> Path:
    """Write a dataset whose images are half sky and half tree or half road, some with a car.

    The window of a pixel in the sky has labels of tree, or of road. The last two images are the test split.
    The upper rows of the first `unlabelled` images have no labels.
    """
    for folder in ("images", "masks", "splits"):
        (root / folder).mkdir(parents=True)
    described = [f'[[classes]]\nname = "{name}"\ncolor = [{k}, {k}, {k}]\n' for k, name in enumerate(names)]
    (root / "dataset.toml").write_text('name = "landscapes"\nignore = 255\n' + "".join(described))
    rng = np.random.default_rng(0)
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
