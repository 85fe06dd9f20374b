"""Locks that a thread takes before it forks, so that no other thread has them then.

A child process has the thread that forks alone: what another one was doing is never finished there, and a
lock that it had is never released. BLAS and LLVM have such locks, too: ours stand for them.
"""

from __future__ import annotations

import logging  # noqa: F401  holds its lock in a fork; ours come first only if it is registered before them
import os
from typing import Protocol


class Lock(Protocol):
    """What is held during a fork."""

    def acquire(self) -> object:
        """Wait until no other thread has it."""

    def release(self) -> object:
        """Let other threads have it."""


_locks: list[Lock] = []
_held: list[Lock] = []


def hold(lock: Lock) -> None:
    """Hold a lock during each fork from now on.

    Parameters
    ----------
    lock : Lock
        A thread may have it and wait for one that was registered later, not the other way round. The thread
        that forks may have it already.
    """
    _locks.append(lock)


def _before() -> None:
    for lock in _locks:  # while this waits, another thread may add some
        lock.acquire()
        _held.append(lock)


def _after() -> None:
    while _held:
        _held.pop().release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)
