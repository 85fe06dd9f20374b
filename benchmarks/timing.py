"""Measure functions in turn, on a machine that may be busy."""

from __future__ import annotations

import gc
import json
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple, TypeVar

import scipy.linalg.blas  # noqa: F401  loads the BLAS that `machine` describes and `interleaved` limits
from threadpoolctl import ThreadpoolController

import lstm2d

Key = TypeVar("Key", bound=Hashable)
PAUSE = 0.003  # seconds; threads of a library keep spinning after their work
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
PACKAGES = ("lstm2d", "numpy", "scipy", "numba", "torch", "onnxruntime")


class Task(NamedTuple):
    """A function to measure, and its number of threads."""

    run: Callable[[], object]
    threads: int = 1


@dataclass(frozen=True)
class Timing:
    """Times of one task, in milliseconds."""

    samples: tuple[float, ...]

    @property
    def ms(self) -> float:
        """The median."""
        return median(self.samples)

    @property
    def spread(self) -> float:
        """The interquartile range as a share of the median."""
        if len(self.samples) < 2:
            return 0.0
        low, middle, high = quantiles(self.samples, n=4, method="inclusive")
        return (high - low) / middle


def interleaved(
    tasks: Mapping[Key, Task], *, repeats: int, warmup: int = 1, clock: str = "wall"
) -> dict[Key, Timing]:
    """Run every task once per round, so that disturbances affect all of them.

    BLAS called from Python, not by the library, runs with one thread.

    Parameters
    ----------
    tasks : mapping of any key to Task
        The tasks to measure.
    repeats : int
        Measured rounds.
    warmup : int
        Warm-up rounds before them.
    clock : {"wall", "cpu"}
        "cpu" measures the CPU time of the process: for one thread on a busy machine.

    Returns
    -------
    dict of the same keys to Timing
        The measured times.
    """
    samples: dict[Key, list[float]] = {key: [] for key in tasks}
    gc.collect()
    gc.disable()
    try:
        with ThreadpoolController().limit(limits=1, user_api="blas"):
            for turn in range(-warmup, repeats):
                for key, task in tasks.items():
                    milliseconds = _measure(task, CLOCKS[clock])
                    if turn >= 0:
                        samples[key].append(milliseconds)
    finally:
        gc.enable()
    return {key: Timing(tuple(values)) for key, values in samples.items()}


def _measure(task: Task, clock: Callable[[], float]) -> float:
    set_threads(task.threads)
    time.sleep(PAUSE)
    start = clock()
    task.run()
    return 1e3 * (clock() - start)


def set_threads(n: int) -> None:
    """Let the library, and PyTorch if it is loaded, use `n` threads."""
    lstm2d.set_num_threads(n)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(n)


def machine(threads: Sequence[int]) -> dict[str, Any]:
    """Describe the machine and the libraries.

    Parameters
    ----------
    threads : sequence of int
        The measured numbers of threads.

    Returns
    -------
    dict
        CPU, threads, load before the measurement, BLAS libraries, versions; ready for JSON.
    """
    blas = {
        f"{lib.internal_api} {lib.version} ({getattr(lib, 'architecture', '?')})"
        for lib in ThreadpoolController().select(user_api="blas").lib_controllers
    }
    if "torch" in sys.modules:  # linked into PyTorch, where threadpoolctl does not see it
        mkl = re.search(r"Math Kernel Library Version (\S+)", sys.modules["torch"].__config__.show())
        blas |= {f"mkl {mkl[1]} (in torch)"} if mkl else set()
    return {
        "cpu": _cpu(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": list(threads),
        "load": round(os.getloadavg()[0], 2),
        "blas": sorted(blas),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {"python": platform.python_version(), **_versions()},
    }


def heading(described: Mapping[str, Any]) -> str:
    """Return the result of `machine` as text of at most 100 columns."""
    versions = ", ".join(f"{name} {number}" for name, number in described["versions"].items())
    return (
        f"{described['cpu']}, {described['cpus']} CPUs, load {described['load']} at the start, "
        f"threads {', '.join(map(str, described['threads']))}\n"
        f"BLAS {'; '.join(described['blas'])}\n{versions}"
    )


def publish(
    as_json: bool, result: Mapping[str, Any], note: str, titles: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    """Print the result of a benchmark.

    Parameters
    ----------
    as_json : bool
        Print `result` as one JSON object, not a table.
    result : mapping
        "rows", and "machine" from `machine` if the rows depend on it.
    note : str
        Description of the rows, printed below the heading.
    titles, rows : sequences of str
        As for `table`.
    """
    if as_json:
        print(json.dumps(result))
        return
    if "machine" in result:
        print(heading(result["machine"]))
    print(f"{note}\n\n{table(titles, rows)}")


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as text; the first column is aligned left, the others right."""
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    lines = [titles, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if k == 0 else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
