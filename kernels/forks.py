"""Locks that are held during a fork, so that no other thread holds them.

A child process has only the forking thread: work of other threads is never finished in the child, and their
locks are never released. BLAS and LLVM have such locks too; holding ours protects them.
"""

from __future__ import annotations

import logging  # noqa: F401  holds its lock during forks; ours come first only if it registers earlier
import os
from threading import local
from typing import Protocol


class Lock(Protocol):
    """A lock that is held during a fork."""

    def acquire(self) -> object:
        """Wait until no other thread holds it."""

    def release(self) -> object:
        """Release it."""


_locks: list[Lock] = []
_own = (
    local()
)  # `held`: the locks that this thread has taken for its fork; another one may wait for the first


def hold(lock: Lock) -> None:
    """Hold a lock during each fork from now on.

    Parameters
    ----------
    lock : Lock
        A thread that holds it may wait for one that was registered later, not vice versa. The thread that
        forks may hold it already.
    """
    _locks.append(lock)


def _before() -> None:
    _own.held = []
    for lock in _locks:  # while this waits, another thread may register more
        lock.acquire()
        _own.held.append(lock)


def _after() -> None:
    for lock in reversed(getattr(_own, "held", [])):
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)
