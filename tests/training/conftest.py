"""A tiny dataset, and a configuration that trains on it quickly."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lstm2d.config import RunConfig, apply_overrides, from_dict
from lstm2d.errors import OutputError

SIZES = [(9, 12), (12, 9), (10, 10), (7, 11), (6, 6), (13, 8), (3, 5)]
CLASSES = ("dark", "bright", "red")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Return a folder of seven small images: two bands, one of them sometimes red, with a corner ignored."""
    rng = np.random.default_rng(3)
    root = tmp_path / "data"
    for name in ("images", "masks", "splits"):
        (root / name).mkdir(parents=True)
    for number, (height, width) in enumerate(SIZES):
        labels = np.zeros((height, width), np.uint8)
        labels[height // 2 :] = 1 + number % 2
        image = np.array([[60, 60, 60], [200, 200, 200], [220, 40, 40]])[labels]
        image = np.clip(image + rng.normal(0, 10, image.shape), 0, 255).astype(np.uint8)
        labels[0, 0] = 255
        Image.fromarray(image).save(root / "images" / f"i{number}.png")
        Image.fromarray(labels).save(root / "masks" / f"i{number}.png")
    text = 'name = "tiny"\nignore = 255\n'
    for number, name in enumerate(CLASSES):
        text += f'[[classes]]\nname = "{name}"\ncolor = [{number}, 0, 0]\n'
    (root / "dataset.toml").write_text(text)
    (root / "splits" / "train.txt").write_text("i0\ni1\ni2\ni3\ni4\n")
    (root / "splits" / "val.txt").write_text("i5\ni6\n")
    return root


@pytest.fixture
def configure() -> Callable[..., RunConfig]:
    """Return a function that returns a small configuration with some values replaced."""

    def make(*overrides: str) -> RunConfig:
        model = {"kind": "lstm2d", "window": 3, "units": [2, 3], "features": [3], "peepholes": True}
        train = {
            "learning_rate": 0.01,
            "clip_norm": 20.0,
            "epochs": 3,
            "average": 0.9,
            "checkpoint_minutes": 0.0,
        }
        return apply_overrides(from_dict({"model": model, "train": train}, "test"), overrides)

    return make


@pytest.fixture
def output_error() -> Callable[[Callable[[], object]], OutputError | None]:
    """Return a function that calls another one and returns its OutputError, or None."""

    def attempt(action: Callable[[], object]) -> OutputError | None:
        try:
            action()
        except OutputError as error:
            return error
        return None

    return attempt
