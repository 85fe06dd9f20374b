"""Preparations that may take long, such as compiling kernels: a program can show that something happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

SECONDS = 2.0  # after which a wait is reported
Listener = Callable[[str, float], None]
_listeners: list[Listener] = []


def report(what: str, seconds: float) -> None:
    """Report a wait, if it is a long one.

    Parameters
    ----------
    what : str
        What is being done, as a line of text.
    seconds : float
        Time that it has taken until now.
    """
    if seconds >= SECONDS:
        for listener in list(_listeners):
            listener(what, seconds)


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Call a function at each report while the block runs.

    Parameters
    ----------
    listener : callable
        Gets what is being done and its seconds, in any thread.

    Yields
    ------
    None
        It is called now.
    """
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
