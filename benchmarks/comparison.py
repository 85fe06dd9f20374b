"""Options, rows and tables shared by the scripts that compare with PyTorch."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from timing import CLOCKS, Task, Timing, publish

from lstm2d.kernels.dispatch import CHOICES, use

T = TypeVar("T")
COLUMNS: dict[str, tuple[str, Callable[[Any], str]]] = {  # title: key in a row, format
    "case": ("case", str),
    "": ("direction", str),
    "backend": ("backend", str),
    "threads": ("threads", str),
    "ours ms": ("ours_ms", "{:.2f}".format),
    "+-": ("ours_spread", "{:.0%}".format),
    "torch ms": ("torch_ms", "{:.2f}".format),
    "+- ": ("torch_spread", "{:.0%}".format),
    "torch/ours": ("ratio", "{:.2f}".format),
    "floor ms": ("floor_ms", "{:.2f}".format),
    "ours/floor": ("ours_per_floor", "{:.2f}".format),
    "GFLOP/s": ("gflops", "{:.1f}".format),
    "GB/s": ("gbps", "{:.1f}".format),
    "1 thr/this": ("speedup", "{:.2f}".format),
    "ours MB": ("ours_peak_mb", "{:.0f}".format),
    "torch MB": ("torch_peak_mb", "{:.0f}".format),
}

ROUNDING = 3e-6  # of the largest value of all arrays, float32: a sum of such values that should be 0


def check(name: str, ours: Sequence[Any], theirs: Sequence[Any], tolerance: float) -> None:
    """Compare the arrays of both sides; exit if an array differs.

    Parameters
    ----------
    name : str
        Of the case, for the message.
    ours, theirs : sequence of array, float32
        Results and gradients, in the same order.
    tolerance : float
        Largest difference, as a share of the array's largest value. An array that is 0 but for rounding (the
        gradient of a bias before a normalisation) may differ by `ROUNDING`.
    """
    rounding = ROUNDING * max(float(np.abs(b).max()) for b in theirs)
    for k, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        largest, error = float(np.abs(b).max()), float(np.abs(a - b).max())
        if not error <= max(tolerance * largest, rounding):
            sys.exit(f"{name}: array {k} differs by {error:.1e} from PyTorch's (largest: {largest:.1e})")


def our_tasks(
    run: Callable[[], object], backends: Sequence[str], threads: Sequence[int]
) -> dict[tuple[str, int], Task]:
    """Return a task for each backend and number of threads.

    Parameters
    ----------
    run : callable
        The library's program.
    backends : sequence of str
        Values of ``--backend``.
    threads : sequence of int
        Values of ``--threads``.

    Returns
    -------
    dict of (str, int) to Task
        By backend and number of threads, as `rows` takes their times.
    """
    return {(name, n): Task(on(name, run), n) for n in threads for name in backends}


def on(backend: str, run: Callable[[], T]) -> Callable[[], T]:
    """Return the program with its kernels on a backend; "" is the one in use."""

    def forced() -> T:
        with use(backend):
            return run()

    return forced if backend else run


def rows(
    case: str,
    direction: str,
    times: dict[tuple[str, int], Timing],
    backends: Sequence[str],
    threads: Sequence[int],
    peers: Sequence[str],
) -> list[dict[str, Any]]:
    """Return a row for each number of threads and backend, with the fastest of several peers.

    Parameters
    ----------
    case, direction : str
        Name of the case, and forward or train.
    times : dict of (str, int) to Timing
        The backends, "floor" and the peers, each with its number of threads.
    backends : sequence of str
        Values of ``--backend``.
    threads : sequence of int
        Values of ``--threads``.
    peers : sequence of str
        Names of the peers in `times`; none if PyTorch is not installed.

    Returns
    -------
    list of dict
        As in ``--json``.
    """
    return [_row(case, direction, times, name, n, peers) for n in threads for name in backends]


def _row(
    case: str,
    direction: str,
    times: dict[tuple[str, int], Timing],
    backend: str,
    n: int,
    peers: Sequence[str],
) -> dict[str, Any]:
    ours = times[backend, n]
    figures: dict[str, Any] = {
        "case": case,
        "direction": direction,
        **({"backend": backend} if backend else {}),
        "threads": n,
        "ours_ms": round(ours.ms, 3),
        "ours_spread": round(ours.spread, 3),
    }
    if ("floor", 1) in times:
        floor = times["floor", 1]
        figures |= {"floor_ms": round(floor.ms, 3), "ours_per_floor": round(ours.ms / floor.ms, 2)}
    if peers:
        name = min(peers, key=lambda peer: times[peer, n].ms)
        torch = times[name, n]
        figures |= {"torch_ms": round(torch.ms, 3), "torch_spread": round(torch.spread, 3), "peer": name}
        figures["ratio"] = round(torch.ms / ours.ms, 2)
    if n > 1 and (backend, 1) in times:
        figures["speedup"] = round(times[backend, 1].ms / ours.ms, 2)
    return figures


def publish_rows(as_json: bool, result: Mapping[str, Any], note: str) -> None:
    """Print rows made by `rows`, without empty columns; see `timing.publish`."""
    shown = result["rows"]
    columns = {title: c for title, c in COLUMNS.items() if any(c[0] in row for row in shown)}
    lines = [[form(row[key]) if key in row else "" for key, form in columns.values()] for row in shown]
    publish(as_json, result, note, list(columns), lines)


def command_line(description: str | None, example: str) -> argparse.ArgumentParser:
    """Return a parser with the options of all comparisons; `example` is an example for ``--only``."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=_numbers, default=[1], help="1 (default), 2 or 1,2")
    parser.add_argument(
        "--backend",
        type=backends,
        default=[""],
        metavar="NAME",
        help="cython, numba, reference, or several, like numba,cython (default: the one in use)",
    )
    parser.add_argument("--repeats", type=int, default=15, help="measured rounds of each case (15)")
    parser.add_argument(
        "--only", default="", metavar="TEXT", help=f'cases with TEXT in their names, like "{example}"'
    )
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: one thread on a busy machine")
    parser.add_argument("--json", action="store_true", help="print one JSON object, no table")
    parser.add_argument("--quick", action="store_true", help="smoke test: tiny images, once")
    return parser


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Read the command line."""
    options = parser.parse_args()
    if options.clock == "cpu" and options.threads != [1]:
        parser.error("--clock cpu adds the threads up: it needs --threads 1")
    return options


def backends(text: str) -> list[str]:
    """Read the value of ``--backend``."""
    found = text.split(",")
    unknown = [name for name in found if name not in CHOICES]
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: expected {', '.join(CHOICES)}")
    return found


def _numbers(text: str) -> list[int]:
    found = [int(word) for word in text.split(",")]
    if min(found) < 1:
        raise argparse.ArgumentTypeError("expected numbers of 1 or more")
    return found
