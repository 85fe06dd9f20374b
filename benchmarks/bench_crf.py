"""Time of the fully connected CRF on a 320x240 photo, as a whole and in parts.

The whole is what ``--crf`` adds per image: both lattices, their normalisation and all iterations. The time
depends on the photo and on the deviations (small ones give more lattice points), hardly on the probabilities.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from comparison import command_line, our_tasks, parse, publish_rows, rows
from numpy.typing import NDArray
from PIL import Image
from timing import interleaved, machine

from lstm2d import kernels
from lstm2d.config.crf import CRF_SETS, crf_settings
from lstm2d.pipeline.crf import refine

SIZE = (320, 240)  # columns, rows
CLASSES = (8, 21)
TINY = (40, 30)


def load_photo(path: Path | None, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a photo of this size; by default the rocket of scikit-image."""
    if path is None:
        import skimage

        path = Path(skimage.__file__).parent / "data" / "rocket.jpg"
    return np.asarray(Image.open(path).convert("RGB").resize(size))


def cases(photo: NDArray[np.uint8]) -> dict[str, Callable[[], object]]:
    """Return the functions to measure."""
    height, width = photo.shape[:2]
    rng = np.random.default_rng(0)
    found: dict[str, Callable[[], object]] = {}
    for classes in CLASSES:
        p = rng.dirichlet(np.ones(classes), (height, width)).astype(np.float32)
        for name in CRF_SETS:
            for n in sorted({2, crf_settings(name).iterations}):
                settings = crf_settings(name, [f"crf.iterations={n}"])
                title = f"{name}, {classes} classes, {n} iterations"
                found[title] = lambda p=p, settings=settings: refine(p, photo, settings)
    return found | parts(photo, rng)


def parts(photo: NDArray[np.uint8], rng: np.random.Generator) -> dict[str, Callable[[], object]]:
    """Return the two steps for each of the two Gaussians of the default set."""
    rows, columns = np.indices(photo.shape[:2], np.float32).reshape(2, -1) + np.float32(0.5)
    position = np.stack([rows, columns], axis=1)
    bilateral = np.hstack([position / 80, (photo.reshape(-1, 3) + 0.5) / 13]).astype(np.float32)
    found: dict[str, Callable[[], object]] = {}
    for name, features in (("bilateral", bilateral), ("spatial", (position / 3).astype(np.float32))):
        crf = kernels.pick("crf", like=features)
        lattice = crf.build_lattice(features)
        values = rng.random((len(features), max(CLASSES)), np.float32)
        ones = np.ones(len(features), np.float32)
        points = f"{len(lattice.starts) - 1} points"
        found[f"{name} lattice, {points}"] = lambda crf=crf, features=features: crf.build_lattice(features)
        found[f"{name} filter, {max(CLASSES)} classes"] = lambda crf=crf, lattice=lattice, v=values, o=ones: (
            crf.lattice_filter(lattice, v, o, o)
        )
    return found


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = command_line(__doc__, "21 classes")
    parser.add_argument("--photo", type=Path, help="an image (default: scikit-image's rocket)")
    return parse(parser)


def main() -> None:
    """Measure and print."""
    given = options()
    repeats = 1 if given.quick else given.repeats
    photo = load_photo(given.photo, TINY if given.quick else SIZE)
    described = machine(given.threads)
    found: list[dict[str, Any]] = []
    for name, run in cases(photo).items():
        if given.only in name:
            tasks = our_tasks(run, given.backend, given.threads)
            times = interleaved(tasks, repeats=repeats, clock=given.clock)
            title = f"{name} @{photo.shape[0]}x{photo.shape[1]}"
            found += rows(title, "forward", times, given.backend, given.threads, [])
    result = {"machine": described, "clock": given.clock, "rows": found}
    publish_rows(given.json, result, f"float32; medians of {repeats}, {given.clock} time; +-: quartiles")


if __name__ == "__main__":
    main()
