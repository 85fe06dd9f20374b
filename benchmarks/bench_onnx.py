"""The bundled models in lstm2d and, as ONNX files, in onnxruntime.

Each model is exported to memory. Both programs compute class probabilities from the same images, one after
the other in each round; first, the probabilities of both are compared. A model whose imported weights are not
in the user's store is left out, with a note. Without onnx and onnxruntime only lstm2d is measured.
"""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from typing import Any

from timing import CLOCKS, Task, Timing, interleaved, machine, publish

import lstm2d
from lstm2d.errors import DataError
from lstm2d.export.check import TOLERANCE, draw, largest_difference, open_session, probabilities, run
from lstm2d.export.onnx_file import to_bytes
from lstm2d.predict import Predictor
from lstm2d.predict.zoo import bundled_models

SIZE = (240, 320)  # rows, columns
TINY = (24, 32)
HAS_PEER = all(find_spec(name) for name in ("onnx", "onnxruntime"))
FLOAT32 = 10  # times the tolerance of an export, between two programs in float32: the images are larger


def measure(predictor: Predictor, given: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row of figures for each number of threads and images."""
    size = TINY if given.quick else SIZE
    data = to_bytes(predictor.network, predictor.preprocessing, {}) if HAS_PEER else b""
    found = []
    for threads in given.threads:
        lstm2d.set_num_threads(threads)
        session = open_session(data, threads=threads) if HAS_PEER else None
        for batch in given.batches:
            images = draw(batch, *size)
            tasks = {"ours": Task(lambda images=images: probabilities(predictor, images), threads)}  # type: ignore[misc]
            difference = None
            if session is not None:
                difference = largest_difference(run(session, images), probabilities(predictor, images))
                if difference > FLOAT32 * TOLERANCE:
                    sys.exit(f"{predictor.name}: probabilities differ by {difference:.1e}")
                tasks["onnx"] = Task(lambda s=session, images=images: run(s, images), threads)  # type: ignore[misc]
            times = interleaved(tasks, repeats=1 if given.quick else given.repeats, clock=given.clock)
            case = f"{predictor.name} {batch}x{size[0]}x{size[1]}"
            found.append(figures(case, threads, times, difference))
    return found


def figures(case: str, threads: int, times: dict[str, Timing], difference: float | None) -> dict[str, Any]:
    """Return a row; ``ratio`` is the time of onnxruntime, divided by ours."""
    ours = times["ours"]
    row: dict[str, Any] = {
        "case": case,
        "direction": "forward",
        "threads": threads,
        "ours_ms": round(ours.ms, 3),
        "ours_spread": round(ours.spread, 3),
    }
    if "onnx" in times:
        peer = times["onnx"]
        row |= {
            "onnx_ms": round(peer.ms, 3),
            "onnx_spread": round(peer.spread, 3),
            "ratio": round(peer.ms / ours.ms, 2),
            "difference": difference,
        }
    return row


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    numbers: Any = lambda text: [int(part) for part in text.split(",")]  # noqa: E731
    parser.add_argument("models", nargs="*", default=sorted(bundled_models()), help="models to measure")
    parser.add_argument("--threads", type=numbers, default=[1], help="1 (default), 2 or 1,2")
    parser.add_argument("--batches", type=numbers, default=[1], help="images at a time: 1 (default) or 1,3")
    parser.add_argument("--repeats", type=int, default=15, help="measured rounds (15)")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: one thread on a busy machine")
    parser.add_argument("--json", action="store_true", help="print one JSON object, no table")
    parser.add_argument("--quick", action="store_true", help="smoke test: tiny images, once")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    given = options()
    described = machine(given.threads)
    rows: list[dict[str, Any]] = []
    for name in given.models:
        try:
            predictor = lstm2d.load(name, crf=False)
        except DataError as e:
            print(f"{name} is left out: {e.what}", file=sys.stderr)
            continue
        rows += measure(predictor, given)
    columns = {
        "model, images": ("case", str),
        "threads": ("threads", str),
        "ours ms": ("ours_ms", "{:.1f}".format),
        "+-": ("ours_spread", "{:.0%}".format),
        "onnxruntime ms": ("onnx_ms", "{:.1f}".format),
        "+- ": ("onnx_spread", "{:.0%}".format),
        "onnxruntime/ours": ("ratio", "{:.2f}".format),
        "difference": ("difference", "{:.1e}".format),
    }
    cells = [[form(row[key]) if key in row else "" for key, form in columns.values()] for row in rows]
    note = "medians; difference: largest of a probability, both programs in float32"
    publish(given.json, {"machine": described, "rows": rows}, note, list(columns), cells)


if __name__ == "__main__":
    main()
