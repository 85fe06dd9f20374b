"""Memory that labelling a photograph takes: the estimate that ``--max-memory`` uses, and the measured peak.

The estimate comes from two small images (`lstm2d.predict.memory`), the peak from one of 640x480 pixels in a
fresh process; see ``memory.py`` for what is counted. Bundled models, and presets with random weights. Linux
only.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from memory import in_fresh_process, measurable, peak_mb
from numpy.typing import NDArray
from timing import heading, machine, set_threads, table

from lstm2d.config import resolve
from lstm2d.config.load import preset_names
from lstm2d.models import build
from lstm2d.pipeline.preprocess import Preprocessing
from lstm2d.pipeline.resize import labels_at
from lstm2d.predict import load
from lstm2d.predict.memory import rehearse
from lstm2d.tensor import Tensor

MODELS = ("outdoor", "outdoor-renet", "outdoor-rcnn")  # `street` needs imported weights
CLASSES = 8
SIZE, QUICK = (480, 640), (64, 64)  # rows and columns


def labelling(name: str) -> Callable[[NDArray[np.uint8]], object]:
    """Return a function that labels the pixels of a photograph at its own size."""
    if name in MODELS:
        predictor = load(name)
        return lambda pixels: predictor.labels_of(pixels, "native")
    network = build(resolve(name).model, CLASSES, np.random.default_rng(0), channels=3)
    if network.default_resolution != 1:
        network.predict_as(network.default_resolution, ())
    prepare = Preprocessing((127.0,) * 3, (64.0,) * 3, network.stride, padding=network.padding)

    def label(pixels: NDArray[np.uint8]) -> object:
        height, width = pixels.shape[:2]
        (p,) = network.probabilities_after(Tensor(prepare.network_input(pixels)), (network.trained,))
        return labels_at(p[0, :height, :width].astype(np.float32), height, width)

    return label


def measured(name: str, size: tuple[int, int], threads: int) -> dict[str, Any]:
    """Return the estimate and the peak of one model in this process."""
    set_threads(threads)
    label = labelling(name)
    use = rehearse(label)
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    peak = peak_mb(lambda: label(image))
    estimate = use.of(size[0] * size[1]) / 1e6
    return {
        "model": name,
        "bytes_per_pixel": use.per_pixel,
        "fixed_mb": round(use.fixed / 1e6, 1),
        "estimate_mb": round(estimate, 1),
        "peak_mb": round(peak, 1),
        "ratio": round(estimate / peak, 2) if peak > 0 else None,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", default=[*MODELS, *preset_names()], help="(all)")
    parser.add_argument("--threads", type=int, default=1, help="kernel threads (1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object, no table")
    parser.add_argument("--quick", action="store_true", help="smoke test: one model, a tiny image")
    options = parser.parse_args()
    if not measurable():
        sys.exit("this system cannot reset the peak of a process's memory")
    size = QUICK if options.quick else SIZE
    rows = []
    for name in options.models[:1] if options.quick else options.models:
        rows.append(in_fresh_process(measured, name, size, options.threads))
        if not options.json:
            print(name, file=sys.stderr)
    described = machine([options.threads])
    if options.json:
        print(json.dumps({"machine": described, "rows": rows}))
        return
    print(heading(described))
    columns = ["model", "bytes per pixel", "fixed MB", "estimate MB", "peak MB", "ratio"]
    print(table(columns, [[str(value) for value in row.values()] for row in rows]))


if __name__ == "__main__":
    main()
