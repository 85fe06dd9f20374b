"""Peak memory of one call.

Measured in a fresh process that has imported everything and run the same program on a tiny image: unused
memory is given back to the system, the peak of the resident pages is reset (``/proc/self/clear_refs``), the
program runs once, and the pages that were resident before are subtracted from the new peak. Inputs,
parameters and the gradient that a training step starts from exist before; everything else counts: results,
gradients, what is kept for the backward pass, scratch. Linux only.
"""

from __future__ import annotations

import ctypes
import gc
import re
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import ParamSpec, TypeVar

from lstm2d.kernels import arena

P = ParamSpec("P")
R = TypeVar("R")
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # proc(5): the peak becomes what is resident now


def in_fresh_process(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a function of an importable module in a new process and return its result.

    Parameters
    ----------
    function : callable
        Not a lambda and not nested, since the new process imports its module.
    *args, **kwargs : object
        Its arguments; they and the result must be picklable.

    Returns
    -------
    object
        The function's result.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *args, **kwargs).result()


def measurable() -> bool:
    """Return whether this system can reset the peak."""
    return RESET.exists()


def peak_mb(program: Callable[[], object]) -> float:
    """Return the peak memory of running a program once.

    Parameters
    ----------
    program : callable
        Takes nothing; its result is held until the peak is read.

    Returns
    -------
    float
        Peak above what this process held before, in MB (1e6 bytes).
    """
    gc.collect()
    arena.clear()
    ctypes.CDLL(None).malloc_trim(0)
    RESET.write_text(RESET_PEAK)
    before = _resident("VmRSS")
    result = program()
    peak = _resident("VmHWM")
    del result
    return (peak - before) / 1e6


def _resident(key: str) -> int:
    """Return a line of the process's status in bytes."""
    found = re.search(rf"^{key}:\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE)
    if found is None:
        raise RuntimeError(f"{STATUS}: no line {key}")
    return 1024 * int(found[1])
