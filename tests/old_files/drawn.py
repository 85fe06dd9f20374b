"""The images and imported weights of the runs in this folder, the same on every machine."""

from pathlib import Path

import numpy as np
from PIL import Image

IMAGES, SHAPE, CLASSES = 6, (20, 24), 3
NETWORKS = {
    "lstm2d": ("lstm2d-5x5", "window=4", "units=[2, 3]", "features=[3]"),
    "reseg": ("reseg", 'features="conv1_1"', "units=[2]", "patches=[2]", "upsample_channels=3"),
}
SETTINGS = (
    "train.batch=2",
    'train.schedule="constant"',
    "train.warmup_steps=0",
    "train.average=0.5",
    "train.scale_jitter=0",
    'data.feature_cache="off"',
    "data.val=0.3",
)
EARLY, LATE = 3, 8  # steps: of the stored runs, and of the resumed runs


def dataset(folder: Path) -> Path:
    """Write images and masks, computed with integers only."""
    rng = np.random.default_rng(0)
    for sub in ("images", "masks"):
        (folder / sub).mkdir(parents=True)
    for k in range(IMAGES):
        labels = rng.integers(0, CLASSES, (SHAPE[0] // 4, SHAPE[1] // 4), np.uint8).repeat(4, 0).repeat(4, 1)
        image = rng.integers(0, 60, (*SHAPE, 3), np.uint8) + np.uint8(80) * labels[:, :, None]
        Image.fromarray(image).save(folder / "images" / f"{k}.png")
        Image.fromarray(labels).save(folder / "masks" / f"{k}.png")
    return folder


def imported(path: Path) -> Path:
    """Write weights for conv1_1 of VGG-16, as a file that `lstm2d weights import` takes."""
    rng = np.random.default_rng(1)
    filters = rng.integers(-32, 33, (3, 3, 3, 64)).astype(np.float32) / 256
    np.savez(path, conv1_1_W=filters, conv1_1_b=np.zeros(64, np.float32))
    return path


def options(network: str) -> list[str]:
    """Return the arguments of `lstm2d train`, without folders and the number of steps."""
    preset, *model = NETWORKS[network]
    settings = [*(f"model.{item}" for item in model), *SETTINGS]
    return [preset, "--seed", "5", *(word for item in settings for word in ("--set", item))]
