"""Arrays between zones of a pattern that no kernel may write to, nor read if AddressSanitizer is loaded."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numpy.random import Generator

from lstm2d.selftest import typed

MARGIN = 256  # bytes of a zone: several vectors
PATTERN = 0xA7
ALIGNMENT = 64  # of results, as in the arena


class GuardZones:
    """Places inputs and results between guard zones.

    Parameters
    ----------
    rng : Generator
        Chooses the layout of each input: in order, not aligned, or with gaps and reversed axes.
    dtype : type
        Data type of floating-point inputs.
    in_order : bool, default False
        Whether all inputs are in order.
    """

    def __init__(self, rng: Generator, dtype: type, *, in_order: bool = False) -> None:
        self._rng, self._typed, self._in_order = rng, typed(dtype), in_order
        self._inputs: list[tuple[np.ndarray, np.ndarray, bytes, bool]] = []  # memory, array, bytes before
        self._results: list[tuple[np.ndarray, int, int]] = []  # memory, begin, end

    def __call__(self, values: np.ndarray, changed: bool) -> Any:
        """Return a copy of an input between zones; read-only unless it is `changed` in place."""
        values = self._typed(values, changed)
        layout = "row" if changed or self._in_order else str(self._rng.choice(["row", "not aligned", "gaps"]))
        if layout == "gaps":
            memory, place = self._with_gaps(values)
        else:
            memory, start = _memory(values.nbytes)
            start += layout == "not aligned"
            place = memory[start : start + values.nbytes].view(values.dtype).reshape(values.shape)
        place[...] = values
        self._inputs.append((memory, place, memory.tobytes(), changed))
        if layout != "gaps":
            _forbid(memory, start, start + values.nbytes)
        shown = place[...] if place.ndim else place.view()
        shown.flags.writeable = changed
        return shown

    def _with_gaps(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return memory and every second place of it, in reversed order of some axes."""
        memory = np.empty(tuple(2 * n + 2 for n in values.shape), values.dtype)
        memory.reshape(-1).view(np.uint8)[...] = PATTERN
        index = []
        for n in values.shape:
            backward = n and self._rng.integers(2)
            index.append(slice(2 * n - 1, 0, -2) if backward else slice(1, 2 * n + 1, 2))
        return memory, memory[(*index, ...)]

    def empty(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Return memory for a result, filled with NaN or 77, between zones; in place of `arena.empty`."""
        dtype = np.dtype(dtype)
        size = int(np.prod(shape, dtype=np.intp)) * dtype.itemsize
        memory, start = _memory(size)
        self._results.append((memory, start, start + size))
        result = memory[start : start + size].view(dtype).reshape(shape)
        result[...] = np.nan if dtype.kind == "f" else 77
        _forbid(memory, start, start + size)
        return result

    def assert_intact(self) -> None:
        """Fail if a zone is not as it was, or an input that is not changed in place."""
        for memory, *_ in (*self._inputs, *self._results):
            _call("__asan_unpoison_memory_region", memory, 0, memory.nbytes)
        for memory, place, before, changed in self._inputs:
            if changed:  # what lies around it: put the old values back
                now = place.copy()
                place[...] = np.ndarray(place.shape, place.dtype, before, _offset(memory, place))
            assert memory.tobytes() == before, "an input, or what lies beside it, was written to"
            if changed:
                place[...] = now
        for memory, start, end in self._results:
            assert (memory[:start] == PATTERN).all(), "written before the beginning of a result"
            assert (memory[end:] == PATTERN).all(), "written beyond the end of a result"


def _memory(size: int) -> tuple[np.ndarray, int]:
    """Return memory for `size` bytes between two zones, and where they begin."""
    memory = np.full(size + 2 * MARGIN + ALIGNMENT, PATTERN, np.uint8)
    return memory, MARGIN + -(memory.ctypes.data + MARGIN) % ALIGNMENT


def _forbid(memory: np.ndarray, start: int, end: int) -> None:
    """Let AddressSanitizer end the process at an access to the zones around [start, end)."""
    _call("__asan_poison_memory_region", memory, 0, start)
    _call("__asan_poison_memory_region", memory, end, memory.nbytes)


def _call(name: str, memory: np.ndarray, start: int, end: int) -> None:
    function = getattr(ctypes.CDLL(None), name, None)
    if function is not None:
        function(ctypes.c_void_p(memory.ctypes.data + start), ctypes.c_size_t(end - start))


def _offset(memory: np.ndarray, place: np.ndarray) -> int:
    return place.ctypes.data - memory.ctypes.data
