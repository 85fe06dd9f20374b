"""Search settings of the CRF on images held out from a model's training.

The images are those that ``lstm2d train`` held out for validation with the same ``--val`` and seed: the
network is as confident on them as on new images. Every combination of the values is tried; results are sorted
by pixel accuracy.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from timing import publish

import lstm2d
from lstm2d.config.crf import crf_settings
from lstm2d.data.folder import DatasetFolder, hold_out
from lstm2d.metrics.confusion import Confusion
from lstm2d.metrics.edges import edge_band
from lstm2d.pipeline.crf import refine
from lstm2d.predict import Predictor

EDGE = 5  # pixels
KEYS = ("iterations", "bilateral_weight", "theta_alpha", "theta_beta", "spatial_weight", "theta_gamma")
Image = tuple[Any, Any, Any]  # image, truth, probabilities


def numbers(text: str) -> list[str]:
    """Return the values of one key."""
    return text.split(",")


def command_line() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="a bundled model, a file or a run")
    parser.add_argument("data", help="the folder it was trained on")
    parser.add_argument("--val", type=float, default=0.1, help="fraction that was held out (0.1)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the training (0)")
    parser.add_argument("--images", type=int, help="number of images (default: all)")
    for key in KEYS:
        parser.add_argument(f"--{key.replace('_', '-')}", type=numbers, default=[None], metavar="A,B,...")
    parser.add_argument("--show", type=int, default=20, help="lines of the table (20)")
    parser.add_argument("--json", action="store_true", help="print one JSON object, no table")
    return parser.parse_args()


def images(predictor: Predictor, data: str, fraction: float, seed: int) -> Iterator[Image]:
    """Yield each held-out image with its labels and the network's probabilities."""
    dataset = DatasetFolder(data)
    _, held_out = hold_out(dataset.split("train"), fraction, seed)
    for sample in held_out:
        image, truth = dataset.load(sample)
        yield image, truth, predictor.labels_and_probabilities(image)[1]


def measure(samples: list[Image], overrides: list[str] | None, ignore: int, classes: int) -> dict[str, float]:
    """Return both accuracies for the given settings; None for no CRF."""
    whole, edges = Confusion(classes, ignore), Confusion(classes, ignore)
    settings = None if overrides is None else crf_settings(overrides=overrides)
    for image, truth, probabilities in samples:
        q = probabilities if settings is None else refine(probabilities, image, settings)
        labels = q.argmax(axis=2).astype(np.uint8)
        whole.add(truth, labels)
        edges.add(np.where(edge_band(truth, EDGE), truth, truth.dtype.type(ignore)), labels)
    return {
        "pixel_accuracy": whole.pixel_accuracy or 0.0,
        "class_accuracy": whole.class_accuracy or 0.0,
        "edge_accuracy": edges.pixel_accuracy or 0.0,
    }


def main() -> None:
    """Search and print."""
    options = command_line()
    predictor = lstm2d.load(options.model, crf=False)
    samples = list(
        itertools.islice(images(predictor, options.data, options.val, options.seed), options.images)
    )
    classes, ignore = len(predictor.classes), predictor.model.ignore
    rows: list[dict[str, Any]] = [{"settings": "no CRF", **measure(samples, None, ignore, classes)}]
    for values in itertools.product(*(getattr(options, key) for key in KEYS)):
        given = [f"{key}={v}" for key, v in zip(KEYS, values, strict=True) if v is not None]
        figures = measure(samples, [f"crf.{item}" for item in given], ignore, classes)
        rows.append({"settings": " ".join(given), **figures})
    rows[1:] = sorted(rows[1:], key=lambda row: -row["pixel_accuracy"])
    titles = ["settings", "pixel accuracy", "class accuracy", f"within {EDGE} of an edge"]
    cells = [[row["settings"], *(f"{v:.4f}" for k, v in row.items() if k != "settings")] for row in rows]
    result = {"images": len(samples), "rows": rows}
    publish(options.json, result, f"{len(samples)} images", titles, cells[: 1 + options.show])


if __name__ == "__main__":
    main()
