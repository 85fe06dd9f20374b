"""Time of commands from the shell: ``lstm2d --help``, and ``lstm2d predict`` on one 320x240 photo.

Whole processes, from start to exit, one after the other; each ran once before. ``python`` is the interpreter
alone.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from photos import write_photo
from processes import Process, command
from timing import interleaved, machine, publish

SIZE = (320, 240)  # columns, rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photo", type=Path, nargs="?", help="an image (default: scikit-image's rocket)")
    parser.add_argument("--model", default="outdoor", help="the model (outdoor)")
    parser.add_argument("--runs", type=int, default=11, help="measured runs of each command (11)")
    parser.add_argument("--json", action="store_true", help="print one JSON object, no table")
    parser.add_argument("--quick", action="store_true", help="smoke test: once")
    options = parser.parse_args()
    runs = 1 if options.quick else options.runs
    lstm2d = command()
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.jpg"
        write_photo(photo, options.photo, SIZE)
        tasks = {
            "python": Process([sys.executable, "-c", "pass"]),
            "lstm2d --help": Process([lstm2d, "--help"]),
            f"lstm2d predict {options.model} photo.jpg": Process(
                [lstm2d, "predict", options.model, str(photo), "-o", str(Path(folder) / "out")]
            ),
        }
        times = interleaved({name: task.task() for name, task in tasks.items()}, repeats=runs)
    described = machine([1])
    rows: list[dict[str, Any]] = [
        {"case": name, "ours_ms": round(t.ms, 1), "ours_spread": round(t.spread, 3)}
        for name, t in times.items()
    ]
    cells = [(row["case"], f"{row['ours_ms']:.0f}", f"{row['ours_spread']:.0%}") for row in rows]
    result = {"machine": described, "rows": rows}
    publish(options.json, result, f"medians of {runs}, +-: quartiles", ["process", "ms", "+-"], cells)


if __name__ == "__main__":
    main()
