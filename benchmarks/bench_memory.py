"""Peak memory of a training step of whole networks on one image of 320x240 pixels.

Loss and the gradients of all trained parameters; from cached features if a network starts with frozen
layers. Weights are random. Each network runs in a fresh process; see ``memory.py`` for what is counted. Linux
only.
"""

from __future__ import annotations

import argparse
import json
import sys

import numpy as np
from bench_models import QUICK, make, our_programs
from memory import in_fresh_process, measurable, peak_mb
from timing import heading, machine, set_threads, table

PRESETS = {
    "lstm2d-3x3": (240, 321),
    "n-renet": (240, 320),
    "reseg": (240, 320),
}  # rows and columns: multiples


def peak(preset: str, size: tuple[int, int], threads: int) -> float:
    """Return the peak memory of a training step in this process, in MB."""
    set_threads(threads)
    our_programs(make(preset, (QUICK, QUICK)))["train"]()  # triggers lazy imports
    case = make(preset, size)
    program = our_programs(case)["train"]
    for parameter in case.trained.values():
        parameter.grad = np.zeros_like(parameter.data)
    return peak_mb(program)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("presets", nargs="*", default=list(PRESETS), help=f"({', '.join(PRESETS)})")
    parser.add_argument("--threads", type=int, default=1, help="kernel threads (1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object, no table")
    parser.add_argument("--quick", action="store_true", help="smoke test on a tiny image")
    options = parser.parse_args()
    if not measurable():
        sys.exit("this system cannot reset the peak of a process's memory")
    rows = []
    for preset in options.presets:
        size = (QUICK, QUICK) if options.quick else PRESETS.get(preset, (240, 320))
        mb = in_fresh_process(peak, preset, size, options.threads)
        rows.append({"preset": preset, "rows": size[0], "columns": size[1], "peak_mb": round(mb, 1)})
    described = machine([options.threads])
    if options.json:
        print(json.dumps({"machine": described, "rows": rows}))
        return
    print(heading(described))
    print(
        table(
            ["preset", "image", "MB"],
            [(r["preset"], f"{r['rows']}x{r['columns']}", f"{r['peak_mb']:.0f}") for r in rows],
        )
    )


if __name__ == "__main__":
    main()
