"""Images per second of several Python threads that share one predictor.

Each round labels the same images with every number of callers. A row shows the median rate, and its ratio to
the rate of the fewest callers. First, labels are compared with those of one thread.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from timing import Task, Timing, interleaved, machine, publish

import lstm2d
from lstm2d.predict import Predictor

SIZE = (240, 320)  # rows, columns
TINY = (24, 32)
Images = Sequence[NDArray[np.uint8]]


def label(pool: ThreadPoolExecutor, predictor: Predictor, images: Images) -> list[bytes]:
    """Return the labels of all images, computed by the threads of a pool."""
    return [labels.tobytes() for labels in pool.map(predictor.predict, images)]


def measure(
    predictor: Predictor, images: Images, callers: Sequence[int], *, repeats: int, threads: int
) -> dict[int, Timing]:
    """Measure how long each number of callers takes for all images.

    Parameters
    ----------
    predictor : Predictor
        The predictor that all threads call.
    images : sequence of array of shape (H, W, 3)
        The images of one round.
    callers : sequence of int
        Numbers of Python threads.
    repeats : int
        Measured rounds.
    threads : int
        Kernel threads of each call.

    Returns
    -------
    dict from int to Timing
        By number of callers.

    Raises
    ------
    SystemExit
        If results differ.
    """
    lstm2d.set_num_threads(threads)
    pools = {n: ThreadPoolExecutor(n) for n in callers}
    try:
        expected = [predictor.predict(image).tobytes() for image in images]
        if any(label(pool, predictor, images) != expected for pool in pools.values()):
            raise SystemExit("labels differ from those of one caller")
        tasks = {
            n: Task(lambda pool=pool: label(pool, predictor, images), threads)  # type: ignore[misc]
            for n, pool in pools.items()
        }
        return interleaved(tasks, repeats=repeats)
    finally:
        for pool in pools.values():
            pool.shutdown()


def figures(case: str, count: int, times: dict[int, Timing], threads: int) -> list[dict[str, Any]]:
    """Return one row for each number of callers."""
    first = times[min(times)].ms
    return [
        {
            "case": case,
            "direction": "forward",
            "callers": n,
            "threads": threads,
            "ours_ms": round(t.ms / count, 3),
            "ours_spread": round(t.spread, 3),
            "images_per_second": round(1e3 * count / t.ms, 2),
            "speedup": round(first / t.ms, 2),
        }
        for n, t in times.items()
    ]


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    numbers: Any = lambda text: [int(part) for part in text.split(",")]  # noqa: E731
    parser.add_argument("models", nargs="*", default=["outdoor", "outdoor-renet"], help="models to measure")
    parser.add_argument("--callers", type=numbers, default=[1, 2, 4, 8], help="Python threads (1,2,4,8)")
    parser.add_argument("--threads", type=int, default=1, help="kernel threads of each call (1)")
    parser.add_argument("--crf", action="store_true", help="with the default CRF after the network")
    parser.add_argument("--images", type=int, default=32, help="images of one round (32)")
    parser.add_argument("--repeats", type=int, default=7, help="measured rounds (7)")
    parser.add_argument("--json", action="store_true", help="print one JSON object, no table")
    parser.add_argument("--quick", action="store_true", help="smoke test: tiny images, once")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    given = options()
    repeats, size = (1, TINY) if given.quick else (given.repeats, SIZE)
    count = max(given.callers) if given.quick else given.images
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(count)]
    described = machine([given.threads])
    rows: list[dict[str, Any]] = []
    for name in given.models:
        predictor = lstm2d.load(name, crf="krahenbuehl" if given.crf else True)
        times = measure(predictor, images, given.callers, repeats=repeats, threads=given.threads)
        title = f"{name}{' + CRF' if given.crf else ''} @{size[0]}x{size[1]}"
        rows += figures(title, count, times, given.threads)
    cells = [
        (
            row["case"],
            str(row["callers"]),
            f"{row['images_per_second']:.1f}",
            f"{row['ours_spread']:.0%}",
            f"{row['speedup']:.2f}",
        )
        for row in rows
    ]
    note = f"medians of {repeats} rounds of {count} images; +-: quartiles"
    titles = ["model", "callers", "images/s", "+-", "speedup"]
    publish(given.json, {"machine": described, "rows": rows}, note, titles, cells)


if __name__ == "__main__":
    main()
