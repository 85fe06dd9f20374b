"""Photographs for benchmarks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

GRAIN = 4.0  # deviation of the noise of a camera's sensor, in gray levels


def write_photo(path: Path, source: Path | None, size: tuple[int, int]) -> None:
    """Save a photograph of a given size as a camera would; by default scikit-image's rocket."""
    if source is None:
        import skimage

        source = Path(skimage.__file__).parent / "data" / "rocket.jpg"
    image = Image.open(source).convert("RGB").resize(size, Image.Resampling.BICUBIC)
    noise = np.random.default_rng(0).normal(0, GRAIN, (size[1], size[0], 3))
    pixels = np.clip(np.rint(np.asarray(image) + noise), 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path, quality=92)
