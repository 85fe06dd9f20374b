"""How many threads the kernels use."""

from __future__ import annotations

import operator
import os
import re
import reprlib

from lstm2d.errors import ThreadsError

MAX_THREADS = 1024  # the OpenMP runtime ends the process when the system refuses it a thread
VARIABLE = "OMP_NUM_THREADS"
_LIST = re.compile(r"[ \t]*0*([1-9][0-9]*)[ \t]*(,[ \t]*[0-9]+[ \t]*)*", re.ASCII)
_threads: int | None = None


def set_num_threads(n: int) -> None:
    """Let every kernel use `n` threads from now on, in whichever thread of the program it is called.

    Parameters
    ----------
    n : int
        1 to 1024. Results do not depend on it.

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


def get_num_threads() -> int:
    """Return how many threads kernels use: as set, else `OMP_NUM_THREADS`, else all CPUs of this process.

    Returns
    -------
    int
        1 to 1024. Each thread of the program that calls kernels has as many for itself.

    Raises
    ------
    ThreadsError
        If the number is not set and the variable holds no number of threads; it is a ValueError.
    """
    if _threads is not None:
        return _threads
    asked = os.environ.get(VARIABLE, "")
    if not asked.strip():
        return min(MAX_THREADS, len(os.sched_getaffinity(0)))
    match = _LIST.fullmatch(asked)  # for nested parallel regions OpenMP takes a list; ours are never nested
    if match is None or len(match[1]) > len(str(MAX_THREADS)) or int(match[1]) > MAX_THREADS:
        raise ThreadsError(
            f"environment variable {VARIABLE} is no number of threads",
            where=reprlib.repr(asked),
            expected=f"1 to {MAX_THREADS}",
            hint=f"set {VARIABLE} to the number of threads, or unset it",
        )
    return int(match[1])
