"""Time of ``lstm2d predict`` from the shell on photographs of 0.08, 1 and 12 megapixels.

Whole processes, from start to exit, in turn; each ran once before. The photograph is a JPEG, the labels are a
PNG of its size; memory is the peak of the process, in a separate run.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from photos import write_photo
from processes import Process, command
from timing import interleaved, machine, publish

SIZES = ((320, 240), (1155, 866), (4000, 3000))  # columns, rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photo", type=Path, nargs="?", help="an image (default: scikit-image's rocket)")
    parser.add_argument("--models", default="outdoor,outdoor-renet", help="models to measure")
    parser.add_argument("--threads", default="1,2", help="numbers of threads (1,2)")
    parser.add_argument("--runs", type=int, default=7, help="measured runs of each command (7)")
    parser.add_argument("--json", action="store_true", help="print one JSON object, no table")
    parser.add_argument("--quick", action="store_true", help="smoke test: once, small")
    options = parser.parse_args()
    threads = [int(n) for n in options.threads.split(",")]
    lstm2d = command()
    with tempfile.TemporaryDirectory() as folder:
        tasks: dict[tuple[float, str, int], Process] = {}
        for size in SIZES[:1] if options.quick else SIZES:
            megapixels = round(size[0] * size[1] / 1e6, 2)
            photo = Path(folder) / f"{size[0]}x{size[1]}.jpg"
            write_photo(photo, options.photo, size)
            for model in options.models.split(","):
                for n in threads:
                    out = f"{folder}/{model}-{n}"
                    words = [lstm2d, "predict", model, str(photo), "-o", out, "--threads", str(n)]
                    tasks[megapixels, model, n] = Process(words)
        runs = 1 if options.quick else options.runs
        times = interleaved({key: task.task() for key, task in tasks.items()}, repeats=runs)
        peaks = {key: task.peak_mb() for key, task in tasks.items()}
    described = machine(threads)
    rows: list[dict[str, Any]] = [
        {
            "case": f"{megapixels:g} megapixels, {model}",
            "threads": n,
            "ours_ms": round(t.ms, 1),
            "ours_spread": round(t.spread, 3),
            "ours_mb": round(peaks[megapixels, model, n], 1),
        }
        for (megapixels, model, n), t in times.items()
    ]
    cells = [
        (
            r["case"],
            str(r["threads"]),
            f"{r['ours_ms']:.0f}",
            f"{r['ours_spread']:.0%}",
            f"{r['ours_mb']:.0f}",
        )
        for r in rows
    ]
    note = f"medians of {runs}, +-: quartiles; MB: peak memory of the process"
    titles = ["photograph, model", "threads", "ms", "+-", "MB"]
    publish(options.json, {"machine": described, "rows": rows}, note, titles, cells)


if __name__ == "__main__":
    main()
