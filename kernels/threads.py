"""The number of threads that kernels use."""

from __future__ import annotations

import operator
import os
import re
import reprlib

from lstm2d.errors import ThreadsError

MAX_THREADS = 1024  # OpenMP ends the process if the system refuses a thread
VARIABLE = "OMP_NUM_THREADS"
_LIST = re.compile(r"[ \t]*0*([1-9][0-9]*)[ \t]*(,[ \t]*[0-9]+[ \t]*)*", re.ASCII)
_threads: int | None = None


def set_num_threads(n: int) -> None:
    """Set the number of threads of all kernels, for all threads of the process.

    Parameters
    ----------
    n : int
        1 to 1024. Results do not depend on the number.

    Raises
    ------
    ThreadsError
        If `n` is out of range; it is a ValueError.
    """
    global _threads
    n = operator.index(n)
    if not 1 <= n <= MAX_THREADS:
        raise ThreadsError("number of threads out of range", where=n, expected=f"1 to {MAX_THREADS}")
    _threads = n


def cpus() -> int:
    """Return the number of CPUs that the process may use; of the machine if the system does not say it."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def get_num_threads() -> int:
    """Return the number of threads of kernels: as set, else `OMP_NUM_THREADS`, else all CPUs of the process.

    Returns
    -------
    int
        1 to 1024. Each thread of the process that calls kernels has that many.

    Raises
    ------
    ThreadsError
        If no number is set and the variable is not a number; it is a ValueError.
    """
    if _threads is not None:
        return _threads
    asked = os.environ.get(VARIABLE, "")
    if not asked.strip():
        return min(MAX_THREADS, cpus())
    match = _LIST.fullmatch(asked)  # OpenMP takes a list for nested parallel regions; ours are not nested
    if match is None or len(match[1]) > len(str(MAX_THREADS)) or int(match[1]) > MAX_THREADS:
        raise ThreadsError(
            f"environment variable {VARIABLE} is not a number of threads",
            where=reprlib.repr(asked),
            expected=f"1 to {MAX_THREADS}",
            hint=f"set {VARIABLE} to the number of threads, or unset it",
        )
    return int(match[1])
