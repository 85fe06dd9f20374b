"""Accuracy of models on photographs of other sizes than their training images.

    python benchmarks/photo_sizes.py DIR --models outdoor,outdoor-renet --factors 12,0.25 --noise 40

Resizes the test images of a dataset by each factor (Pillow's bicubic filter, which averages where it shrinks)
and their masks with them (nearest pixel), and prints the pixel accuracy at full size with ``size="auto"`` and
``"native"``. With --noise N enlarged images are also labelled with uniform noise of +-N added to every value.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from timing import heading, machine, table

import lstm2d
from lstm2d.data.folder import DatasetFolder
from lstm2d.metrics.confusion import Confusion
from lstm2d.pipeline.preprocess import Size
from lstm2d.predict import Predictor

Pixels = NDArray[Any]


def variants(
    image: Pixels, labels: NDArray[np.uint8], factors: list[float], noise: int, rng: np.random.Generator
) -> Iterator[tuple[str, Pixels, NDArray[np.uint8], tuple[Size, ...]]]:
    """Yield the name, image, labels and sizes of every variant of an image."""
    yield "as it is", image, labels, ("auto",)
    height, width = labels.shape
    for factor in factors:
        size = (round(width * factor), round(height * factor))
        other = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
        truth = np.asarray(Image.fromarray(labels).resize(size, Image.Resampling.NEAREST))
        yield f"x {factor:g}", other, truth, ("auto", "native")
        if noise and factor > 1:
            noisy = other + rng.integers(-noise, noise + 1, other.shape, dtype=np.int16)
            yield f"x {factor:g}, noise", np.clip(noisy, 0, 255).astype(np.uint8), truth, ("auto",)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path, help="dataset folder with 8-bit images")
    parser.add_argument("--split", default="test", help="the split to label")
    parser.add_argument("--models", default="outdoor,outdoor-renet", help="models, separated by commas")
    parser.add_argument("--factors", default="12,0.25", help="factors of both sides, separated by commas")
    parser.add_argument(
        "--noise", type=int, default=40, help="largest noise to add, in gray levels; 0 for none"
    )
    parser.add_argument("--native", action="store_true", help="also label enlarged images at their own size")
    args = parser.parse_args()
    factors = [float(f) for f in args.factors.split(",")]
    lstm2d.set_num_threads(1)
    models: dict[str, Predictor] = {name: lstm2d.load(name) for name in args.models.split(",")}
    dataset = DatasetFolder(args.data)
    rng = np.random.default_rng(0)
    counts: dict[tuple[str, str, Size], Confusion] = defaultdict(
        lambda: Confusion(len(dataset.classes), dataset.ignore)
    )
    for sample in dataset.split(args.split):
        image, labels = dataset.load(sample)
        for name, other, truth, sizes in variants(image, labels, factors, args.noise, rng):
            for size in sizes:
                if size == "native" and other.size > image.size and not args.native:
                    continue
                for model, predictor in models.items():
                    counts[model, name, size].add(truth, predictor.predict(other, size=size))
    print(heading(machine([1])))
    rows = [
        (model, name, str(size), f"{100 * (found.pixel_accuracy or 0):.2f}")
        for (model, name, size), found in sorted(counts.items(), key=lambda item: item[0][0])
    ]
    print(table(["model", "images", "size", "pixel accuracy, %"], rows))


if __name__ == "__main__":
    main()
