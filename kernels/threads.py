"""How many threads the kernels use, and BLAS with one thread inside them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_threads: int | None = None


def set_num_threads(n: int) -> None:
    """Let every kernel use `n` threads from now on.

    Parameters
    ----------
    n : int
        At least 1. Results do not depend on it.

    Raises
    ------
    ValueError
        If `n` is below 1.
    """
    global _threads
    if n < 1:
        raise ValueError(f"number of threads: {n}, expected 1 or more")
    _threads = n


def get_num_threads() -> int:
    """Return how many threads kernels use: as set, else `OMP_NUM_THREADS`, else all CPUs of this process."""
    if _threads is not None:
        return _threads
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdigit() and int(asked) > 0 else len(os.sched_getaffinity(0))


@cache
def _scipy_blas() -> tuple[Any, ...]:
    """Return the controllers of the BLAS that `scipy.linalg.cython_blas` calls."""
    import scipy.linalg.cython_blas  # noqa: F401  loads the library that is looked for
    from threadpoolctl import ThreadpoolController

    found = ThreadpoolController().select(user_api="blas").lib_controllers
    return tuple(lib for lib in found if "scipy" in lib.filepath) or tuple(found)


@contextmanager
def single_blas() -> Iterator[None]:
    """Run BLAS with one thread inside the block.

    The kernels spread work over threads themselves, cut the same way for any number of threads: OpenBLAS
    rounds differently for another number of threads.
    """
    libraries = _scipy_blas()
    before = [lib.get_num_threads() for lib in libraries]
    for lib in libraries:
        lib.set_num_threads(1)
    try:
        yield
    finally:
        for lib, n in zip(libraries, before, strict=True):
            lib.set_num_threads(n)
