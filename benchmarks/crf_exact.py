"""Difference of the CRF on the lattice from the CRF with exact sums, on 20x20 crops of photos.

Two unaries: a model's probabilities for the crop, and random ones, with which only the CRF decides.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from timing import publish

import lstm2d
from lstm2d.config.crf import CRF_SETS, crf_settings
from lstm2d.io.images import read_photo
from lstm2d.pipeline.crf import refine
from lstm2d.predict import Predictor

SIDE = 20
FIGURES = ("mean |dQ|", "worst crop", "equal labels", "worst crop ")


def crops(model: Predictor, files: list[Path], each: int) -> list[tuple[Any, Any]]:
    """Return random crops of images, with the model's probabilities."""
    rng = np.random.default_rng(0)
    found = []
    for path in files:
        image = read_photo(path).pixels
        p = model.predict_proba(image).astype(np.float64)
        for row, column in rng.integers(0, np.array(image.shape[:2]) - SIDE, (each, 2)):
            part = (slice(row, row + SIDE), slice(column, column + SIDE))
            found.append((image[part], p[part]))
    return found


def compare(image: Any, p: Any, name: str) -> tuple[float, float]:
    """Return the mean difference of Q, and the share of equal labels."""
    q = refine(p, image, crf_settings(name))
    exact = refine(p, image, crf_settings(name, ["crf.exact=true"]))
    return float(np.abs(q - exact).mean()), float((q.argmax(axis=2) == exact.argmax(axis=2)).mean())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="a bundled model, a file or a run")
    parser.add_argument("images", type=Path, help="folder of photos")
    parser.add_argument("--every", type=int, default=20, help="take every N-th photo (20)")
    parser.add_argument("--crops", type=int, default=4, help="crops of each (4)")
    parser.add_argument("--json", action="store_true", help="print one JSON object, no table")
    options = parser.parse_args()
    files = sorted(path for path in options.images.iterdir() if path.is_file())[:: options.every]
    parts = crops(lstm2d.load(options.model, crf=False), files, options.crops)
    rng = np.random.default_rng(1)
    rows = []
    for name in CRF_SETS:
        for kind in ("model", "random"):
            figures = []
            for image, p in parts:
                unary = p if kind == "model" else rng.dirichlet(np.ones(p.shape[2]), p.shape[:2])
                figures.append(compare(image, unary, name))
            differences, equal = np.array(figures).T
            values = (differences.mean(), differences.max(), equal.mean(), equal.min())
            rows.append({"set": name, "unary": kind} | dict(zip(FIGURES, map(float, values), strict=True)))
    cells = [[row["set"], row["unary"], *(f"{row[key]:.4f}" for key in FIGURES)] for row in rows]
    note = f"{len(parts)} crops of {SIDE}x{SIDE} pixels, float64"
    publish(options.json, {"crops": len(parts), "rows": rows}, note, ["set", "unary", *FIGURES], cells)


if __name__ == "__main__":
    main()
