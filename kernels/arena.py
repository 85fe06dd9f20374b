"""Memory for results and scratch, used again instead of freed.

A fresh large array costs a page fault for every 4 KiB the first time it is written; for the sweeps of a
training step that is more than some kernels take. The arena keeps its blocks and hands one out again as
soon as nobody holds an array on it.

All threads of a program share one arena: a block that one of them has left serves the next one that asks.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

ALIGNMENT = 64  # bytes: one cache line, one AVX-512 register
SMALL = 1 << 16  # bytes: below this malloc reuses memory by itself
ROOM = 8  # a block serves arrays down to this part of it: after two poolings, an image is an eighth
# without the GIL other threads change reference counts while they are read
_counts_are_exact: Callable[[], bool] = getattr(sys, "_is_gil_enabled", lambda: True)


class Arena:
    """A pool of memory blocks, for any number of threads.

    Parameters
    ----------
    limit : int, default 4 GiB
        Bytes of unused blocks to keep at most.
    """

    def __init__(self, limit: int = 4 << 30) -> None:
        self.limit = limit
        self.unlock()
        self._blocks: list[NDArray[np.uint8]] = []

    def unlock(self) -> None:
        """Forget that a thread was looking for a block: in a child process it does not exist."""
        self._searching = Lock()

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Return an array of any contents, aligned to a cache line.

        Parameters
        ----------
        shape : tuple of int
            Its shape.
        dtype : dtype
            Its data type.

        Returns
        -------
        ndarray
            C-contiguous. Its memory is handed out again when no view of it is left.
        """
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if size < SMALL:
            return np.empty(shape, dtype)
        if not _counts_are_exact():  # nobody can know that a block is free
            block = _block(size)
        else:
            with self._searching:  # until this thread holds the block that it has found
                block = self._take(size)
        start = -block.ctypes.data % ALIGNMENT
        return block[start : start + size].view(dtype).reshape(shape)

    def _take(self, size: int) -> NDArray[np.uint8]:
        best: int | None = None
        near: int | None = None  # the largest unused block that is too small
        unused = 0
        for k in range(len(self._blocks)):
            # the list itself and getrefcount's argument: nobody else holds the block or a view of it
            if sys.getrefcount(self._blocks[k]) > _UNHELD:
                continue
            n = self._blocks[k].nbytes - ALIGNMENT
            unused += n
            fits = size <= n <= ROOM * size
            if fits and (best is None or n < self._blocks[best].nbytes - ALIGNMENT):
                best = k
            if n < size <= ROOM * n and (near is None or n > self._blocks[near].nbytes - ALIGNMENT):
                near = k
        if best is not None:
            return self._blocks[best]
        if near is not None:  # the new block serves in its place too
            del self._blocks[near]
        if unused > self.limit:
            self._drop()
        self._blocks.append(_block(size))
        return self._blocks[-1]

    def clear(self) -> None:
        """Free the blocks that nobody holds."""
        with self._searching:
            self._drop()

    def _drop(self) -> None:
        self._blocks = [b for b in self._blocks if sys.getrefcount(b) > _UNHELD + 1]

    def owns(self, array: NDArray[Any]) -> bool:
        """Tell whether this is the memory of one of the blocks.

        Parameters
        ----------
        array : ndarray
            A block, not a view of one.

        Returns
        -------
        bool
            Whether it is handed out again.
        """
        return any(array is block for block in self._blocks)


def is_sole(array: NDArray[Any]) -> bool:
    """Tell whether one variable of the caller is all that holds an array that owns its memory alone.

    Parameters
    ----------
    array : ndarray
        Of the arena or not. The caller has it in one local variable.

    Returns
    -------
    bool
        Then nobody else can see what is written to it.
    """
    if not _counts_are_exact() or sys.getrefcount(array) > _SOLE:
        return False
    if array.base is None:
        return True
    if type(array.base) is not np.ndarray or array.base.base is not None:
        return False
    return sys.getrefcount(array.base) <= _SOLE_BASE + _arena.owns(array.base)


def _block(size: int) -> NDArray[np.uint8]:
    # zeros, not empty: lanes beyond the end of a diagonal read what lies there, and must not meet NaN
    return np.zeros(size + ALIGNMENT, np.uint8)


def _count_unheld() -> int:
    blocks = [np.zeros(1, np.uint8)]
    return min(sys.getrefcount(blocks[k]) for k in range(1))


def _count_sole() -> tuple[int, int]:
    array = np.zeros(2, np.uint8)[:1]
    return _counts(array)


def _counts(array: NDArray[Any]) -> tuple[int, int]:
    return sys.getrefcount(array), sys.getrefcount(array.base)


_UNHELD = _count_unheld()
_SOLE, _SOLE_BASE = _count_sole()
_arena = Arena()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_arena.unlock)
empty = _arena.empty
clear = _arena.clear
