"""Apply a function to many files in threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from lstm2d.kernels.threads import get_num_threads

MOST = 8  # threads: each holds an image of up to 100 megapixels
T = TypeVar("T")
R = TypeVar("R")
Progress = Callable[[int, int], object]


def mapped(function: Callable[[T], R], items: Sequence[T], progress: Progress) -> list[R]:
    """Apply a function to all items, in as many threads as kernels use, at most 8.

    Parameters
    ----------
    function : callable
        Called from several threads.
    items : sequence
        Its arguments.
    progress : callable
        Gets the numbers of items done and of all.

    Returns
    -------
    list
        The results, in order. The first exception of the function is raised; items not begun are left out.
    """
    found = []
    with ThreadPoolExecutor(min(get_num_threads(), MOST)) as pool:
        try:
            for number, one in enumerate(pool.map(function, items), start=1):
                found.append(one)
                progress(number, len(items))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return found
