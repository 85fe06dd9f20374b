"""Work on many files in a few threads, and report all that are wrong."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from lstm2d.errors import DataError

THREADS = min(4, os.cpu_count() or 1)
_AHEAD = 16  # calls per thread that are begun before the first result is taken

T = TypeVar("T")
R = TypeVar("R")


def in_threads(
    work: Callable[[T], R], items: Iterable[T], threads: int = THREADS
) -> Generator[R | DataError, None, None]:
    """Call a function on many items.

    Parameters
    ----------
    work : callable
        Called with each item, in any order and from any thread.
    items : iterable
        The items.
    threads : int
        Number of threads; does not change the results. They have ended when the generator is closed.

    Yields
    ------
    object
        What `work` returns, in the order of the items; the error if it raises `DataError`.
    """

    def call(item: T) -> R | DataError:
        try:
            return work(item)
        except DataError as error:
            return error

    rest = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        pending: deque[Future[R | DataError]] = deque()
        try:
            pending.extend(pool.submit(call, item) for item in islice(rest, threads * _AHEAD))
            while pending:
                yield pending.popleft().result()
                pending.extend(pool.submit(call, item) for item in islice(rest, 1))
        finally:  # also if the caller stops early, or at Ctrl-C
            for future in pending:
                future.cancel()


def all_of(errors: Sequence[DataError], what: str) -> DataError:
    """Combine the errors of several files.

    Parameters
    ----------
    errors : sequence of DataError
        At least one.
    what : str
        What happened, such as "3 of 10 images cannot be imported".

    Returns
    -------
    DataError
        One error that lists every file; what was expected, and what to do, are stated once each.
    """
    if len(errors) == 1:
        return errors[0]
    lines = [f"    {e.where}: {e.what}" if e.where is not None else f"    {e.what}" for e in errors]
    expected, hint = (
        "; ".join(dict.fromkeys(text for e in errors if (text := getattr(e, name)) is not None)) or None
        for name in ("expected", "hint")
    )
    return DataError("\n".join([what, *lines]), expected=expected, hint=hint)
