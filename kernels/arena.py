"""Memory for results and scratch arrays, reused instead of freed.

A new large array costs a page fault for every 4 KiB when it is first written; in the sweeps of a training
step that takes longer than some kernels. The arena keeps its blocks and reuses one as soon as no array refers
to it. All threads of a process share one arena.
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
SMALL = 1 << 16  # bytes: malloc reuses smaller blocks itself
KEPT = 1 << 28  # bytes of unused blocks that stay after any image
ROOM = 8  # a block is at most this many times as large as its array: two poolings leave an eighth of an image
# without the GIL other threads change reference counts while they are read
_counts_are_exact: Callable[[], bool] = getattr(sys, "_is_gil_enabled", lambda: True)


class Arena:
    """A pool of memory blocks, for any number of threads.

    Parameters
    ----------
    limit : int, default 4 GiB
        If unused blocks exceed this many bytes, they are freed before another one is allocated.
    """

    def __init__(self, limit: int = 4 << 30) -> None:
        self.limit = limit
        self.unlock()
        self._used = self._used_before = 0  # bytes of the blocks handed out in this turn, and in the last one
        self._handed_out: set[int] = set()  # ids of these blocks
        self._blocks: list[NDArray[np.uint8]] = []

    def unlock(self) -> None:
        """Replace the lock: in a child process, the thread that held it does not exist."""
        self._searching = Lock()

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Return an uninitialised array, aligned to a cache line.

        Parameters
        ----------
        shape : tuple of int
            Shape of the array.
        dtype : dtype
            Data type of the array.

        Returns
        -------
        ndarray
            C-contiguous. Its memory is reused when no view of it is left.
        """
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if size < SMALL:
            return np.empty(shape, dtype)
        if not _counts_are_exact():  # no way to know that a block is free
            block = _block(size)
        else:
            with self._searching:  # until this thread holds the block
                block = self._take(size)
                if id(block) not in self._handed_out:
                    self._handed_out.add(id(block))
                    self._used += block.nbytes
        start = -block.ctypes.data % ALIGNMENT
        return block[start : start + size].view(dtype).reshape(shape)

    def _take(self, size: int) -> NDArray[np.uint8]:
        best: int | None = None
        near: int | None = None  # the largest unused block that is too small
        unused = 0
        for k in range(len(self._blocks)):
            # only the list and getrefcount's argument hold the block
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
        if near is not None:  # the new block replaces it
            self._handed_out.discard(id(self._blocks[near]))
            del self._blocks[near]
        if unused > self.limit:
            self._drop()
        self._blocks.append(_block(size))
        return self._blocks[-1]

    def clear(self) -> None:
        """Free the blocks that no array refers to."""
        with self._searching:
            self._drop()

    def _drop(self) -> None:
        self._blocks = [b for b in self._blocks if sys.getrefcount(b) > _UNHELD + 1]
        self._handed_out.intersection_update(map(id, self._blocks))

    def settle(self) -> None:
        """Free what one large image leaves: to be called after each image.

        Unused blocks of up to `KEPT` bytes stay; more of them stay only if this image and the one before it
        both used that much. So images of equal size reuse their memory from the third one on, and a single
        large one leaves nothing.
        """
        with self._searching:
            allowed = max(KEPT, min(self._used, self._used_before))
            self._used_before, self._used, handed_out = self._used, 0, self._handed_out
            self._handed_out = set()
            total = sum(block.nbytes for block in self._blocks)
            if total <= allowed:
                return
            # those that this image did not need are freed first, then the largest
            order = sorted(self._blocks, key=lambda b: (id(b) in handed_out, -b.nbytes))
            kept = {id(block) for block in order}
            while order and total > allowed:
                total -= order[0].nbytes
                kept.discard(id(order.pop(0)))
            del order
            self._blocks = [b for b in self._blocks if id(b) in kept or sys.getrefcount(b) > _UNHELD + 1]

    def footprint(self) -> int:
        """Return the bytes of all blocks, in use or not."""
        return sum(block.nbytes for block in self._blocks)

    def owns(self, array: NDArray[Any]) -> bool:
        """Return whether an array is one of the blocks.

        Parameters
        ----------
        array : ndarray
            A block, not a view of one.

        Returns
        -------
        bool
            Whether its memory is reused.
        """
        return any(array is block for block in self._blocks)


def is_sole(array: NDArray[Any]) -> bool:
    """Return whether a local variable of the caller holds the only reference to an array and its memory.

    Parameters
    ----------
    array : ndarray
        From the arena or not. The caller holds it in one local variable.

    Returns
    -------
    bool
        True if no other array or variable can see what is written to it.
    """
    if not _counts_are_exact() or sys.getrefcount(array) > _SOLE:
        return False
    if array.base is None:
        return True
    if type(array.base) is not np.ndarray or array.base.base is not None:
        return False
    return sys.getrefcount(array.base) <= _SOLE_BASE + _arena.owns(array.base)


def _block(size: int) -> NDArray[np.uint8]:
    # zeros, not empty: lanes beyond the end of a diagonal read this memory, and must not find NaN
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
settle = _arena.settle
footprint = _arena.footprint
