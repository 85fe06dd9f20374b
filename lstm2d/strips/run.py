"""Run a network strip by strip.

Steps that see a few rows at a time pass strips on directly. A step that scans the image down and up needs all
rows twice: one half of its map is computed and stored on the way through the image, the other one on the
way back, together with what follows. So a network of n scans runs in n + 1 *passes*, up and down in turn, the
last one down.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from math import prod
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import DTypeLike

from lstm2d import kernels
from lstm2d.io.scratch import ScratchRows
from lstm2d.strips.graph import Step, not_streamed
from lstm2d.strips.local import CHEAP, LOCAL, computed, rows_of_input
from lstm2d.strips.scans import Carry, is_scan, scanned
from lstm2d.tensor import FloatArray


class Image(Protocol):
    """The input of a network, by rows."""

    def rows(self, first: int, last: int) -> FloatArray:
        """Return rows `first` to `last` - 1, of shape (1, rows, columns, channels)."""


Stored = tuple[int, bool]  # a map by its step, or one half of that of a scan


class Plan:
    """What is computed and stored in which pass.

    Parameters
    ----------
    steps : list of Step
        From `lstm2d.strips.graph.steps_of`.
    dtype : dtype, default float32
        Data type of the maps.

    Attributes
    ----------
    passes : int
        Number of passes.
    level : list of int
        The pass in which each map is complete.
    stored : dict from (int, bool) to int
        The maps, or if True the halves of the maps, that are kept on the disk: the pass that reads them last.

    Raises
    ------
    ConfigError
        If a step needs all of its input at once.
    """

    def __init__(self, steps: Sequence[Step], dtype: DTypeLike = np.float32) -> None:
        self.steps, self.dtype = steps, np.dtype(dtype)
        self.level: list[int] = []
        for step in steps:
            if step.op != "image" and step.op not in LOCAL and not is_scan(step):
                raise not_streamed(f"`{step.op}` needs the whole image at once")
            before = max((self.level[n] for n in step.inputs.values()), default=0)
            self.level.append(before + is_scan(step))
        self.passes = self.level[-1] + 1
        self.stored: dict[Stored, int] = {}
        for number, step in enumerate(steps):
            for n in step.inputs.values():
                self._use(n, self.level[number])
            if is_scan(step):
                self.stored[number, True] = self.level[number]

    def up(self, turn: int) -> bool:
        """Return whether a pass goes through the image from its last row to the first."""
        return (self.passes - 1 - turn) % 2 == 1

    def recomputed(self, number: int) -> bool:
        """Return whether a map is computed again from the image instead of stored."""
        step = self.steps[number]
        return step.op in CHEAP and all(self.recomputed(n) for n in step.inputs.values())

    def _use(self, number: int, turn: int) -> None:
        if self.level[number] < turn and not self.recomputed(number):
            self.stored[number, False] = max(turn, self.stored.get((number, False), 0))

    def shape(self, stored: Stored) -> tuple[int, int, int]:
        """Return rows, columns and channels of what is stored."""
        rows, columns, channels = self.steps[stored[0]].shape
        return rows, columns, channels // 2 if stored[1] else channels

    def written(self, stored: Stored) -> int:
        """Return the pass that writes it."""
        return self.level[stored[0]] - stored[1]

    def disk_bytes(self) -> int:
        """Return the most bytes that are stored at a time."""
        return max(
            sum(
                self.dtype.itemsize * prod(self.shape(key))
                for key, last in self.stored.items()
                if self.written(key) <= turn <= last
            )
            for turn in range(self.passes)
        )


def run(
    plan: Plan,
    image: Image,
    *,
    strips: int,
    folder: Path,
    progress: Callable[[float], None] | None = None,
) -> Generator[FloatArray]:
    """Compute the output of a network strip by strip.

    Parameters
    ----------
    plan : Plan
        The network for this size of image.
    image : Image
        Its input.
    strips : int
        Number of strips.
    folder : Path
        Where maps are stored.
    progress : callable, optional
        Called with the fraction that is done, after each strip of each pass.

    Yields
    ------
    ndarray of shape (1, rows, columns, channels)
        The next rows of the output, from top to bottom.

    Raises
    ------
    OutputError
        If the disk is full or fails.
    """
    with ExitStack() as stack:
        files: dict[Stored, ScratchRows] = {}
        for turn in range(plan.passes):
            for key in plan.stored:
                if plan.written(key) == turn:
                    height, *shape = plan.shape(key)
                    files[key] = ScratchRows(folder, height, shape, plan.dtype)
                    stack.callback(files[key].close)
            this = _Pass(plan, turn, image, files)
            for done, rows in this.strips(strips):
                if rows is not None:
                    yield rows
                del rows
                if progress is not None:
                    progress((turn + done / strips) / plan.passes)
            del this
            for key, last in plan.stored.items():
                if last == turn:
                    files[key].close()
            kernels.arena.clear()


class _Pass:
    """One way through the image."""

    def __init__(self, plan: Plan, turn: int, image: Image, files: dict[Stored, ScratchRows]) -> None:
        self.plan, self.turn, self.image, self.files = plan, turn, image, files
        self.up = plan.up(turn)
        self._sources: dict[int, _Rows] = {}

    def source(self, number: int) -> _Rows:
        """Return the rows of a map in this pass."""
        if number not in self._sources:
            self._sources[number] = self._new(number)
        return self._sources[number]

    def _new(self, number: int) -> _Rows:
        plan, step = self.plan, self.plan.steps[number]
        if step.op == "image":
            return _ImageRows(step, self.up, plan.dtype, self.image)
        if (number, False) in plan.stored and plan.level[number] < self.turn:
            return _StoredRows(step, self.up, plan.dtype, self.files[number, False])
        inputs = [_Reader(self.source(n)) for n in step.inputs.values()]
        if is_scan(step):
            return _ScanRows(step, self.up, plan.dtype, inputs[0], self.files[number, True])
        return _LocalRows(step, self.up, plan.dtype, inputs)

    def strips(self, count: int) -> Iterator[tuple[int, FloatArray | None]]:
        """Compute a strip at a time; yield the number of those done, and rows of the output, if any."""
        plan = self.plan
        sinks: list[tuple[_Reader, Callable[[int, FloatArray], None]]] = []
        to: Callable[[int, FloatArray], None]
        for key in plan.stored:
            if plan.written(key) == self.turn:
                number, half = key
                step = plan.steps[number]
                read = next(iter(step.inputs.values())) if half else number
                to = _FirstHalf(step, self.up, self.files[key]) if half else self.files[key].write
                sinks.append((_Reader(self.source(read)), to))
        output = _Reader(self.source(len(plan.steps) - 1)) if self.turn == plan.passes - 1 else None
        for done in range(count):
            strip = count - 1 - done if self.up else done
            for reader, to in sinks:
                first, rows = reader.strip(strip, count, self.up)
                if rows.shape[1]:
                    to(first, rows)
                del rows
            yield done + 1, None if output is None else output.strip(strip, count, self.up)[1]


class _FirstHalf:
    """Scans an image in the direction of a pass, and stores the hidden states."""

    def __init__(self, step: Step, up: bool, to: ScratchRows) -> None:
        self._step, self._up, self._to = step, up, to
        self._carry: Carry | None = None

    def __call__(self, first: int, rows: FloatArray) -> None:
        half, self._carry = scanned(self._step, rows, self._up, self._carry)
        self._to.write(first, half)


class _Rows(ABC):
    """The rows of a map in one pass; those that a reader still needs are kept.

    Parameters
    ----------
    step : Step
        The step of the map.
    up : bool
        Whether the pass goes upward.
    dtype : dtype
        Data type of the map.
    """

    def __init__(self, step: Step, up: bool, dtype: DTypeLike) -> None:
        self.step, self.up, self.height, self.dtype = step, up, step.shape[0], dtype
        self._needed: list[int] = []  # by reader: the rows from here on, in the direction of the pass
        self._kept: FloatArray | None = None
        self._first = self._last = self.height if up else 0  # of the rows that are kept

    @abstractmethod
    def _compute(self, first: int, last: int) -> FloatArray:
        """Return new rows, which follow those of the last call in the direction of the pass."""

    def join(self) -> int:
        """Return the number of a new reader."""
        self._needed.append(self.height if self.up else 0)
        return len(self._needed) - 1

    def take(self, reader: int, first: int, last: int, needed: int) -> FloatArray:
        """Return rows; later, this reader takes rows below `needed` in an upward pass, else from it on."""
        begin, end = (first, self._first) if self.up else (self._last, last)
        if begin < end:
            new = self._compute(begin, end)
            self._kept = new if self._kept is None else _joined(self._kept, new, self.up)
            self._first, self._last = min(self._first, begin), max(self._last, end)
        if self._kept is None:
            return np.empty((1, 0, *self.step.shape[1:]), self.dtype)
        assert self._first <= first <= last <= self._last, "a reader went back"
        rows = self._kept[:, first - self._first : last - self._first]
        self._needed[reader] = needed
        self._forget()
        return rows

    def _forget(self) -> None:
        assert self._kept is not None
        if self.up:
            last = min(self._last, max(max(self._needed), self._first))
            self._kept, self._last = self._kept[:, : last - self._first], last
        else:
            first = max(self._first, min(min(self._needed), self._last))
            self._kept, self._first = self._kept[:, first - self._first :], first
        if self._first == self._last:
            self._kept = None


def _joined(kept: FloatArray, new: FloatArray, up: bool) -> FloatArray:
    """Return both as one array."""
    first, second = (new, kept) if up else (kept, new)
    n, rows, *rest = first.shape
    both: FloatArray = kernels.empty((n, rows + second.shape[1], *rest), first.dtype, like=first)
    both[:, :rows], both[:, rows:] = first, second
    return both


class _Reader:
    """One of those that take rows of a map."""

    def __init__(self, source: _Rows) -> None:
        self._source, self._number, self.height = source, source.join(), source.height

    def take(self, first: int, last: int, needed: int) -> FloatArray:
        """Return rows; see `_Rows.take`."""
        return self._source.take(self._number, first, last, needed)

    def strip(self, number: int, count: int, up: bool) -> tuple[int, FloatArray]:
        """Return a strip, of `count` in all, and the number of its first row; later ones follow it."""
        first, last = self.height * number // count, self.height * (number + 1) // count
        return first, self.take(first, last, first if up else last)


class _ImageRows(_Rows):
    def __init__(self, step: Step, up: bool, dtype: DTypeLike, image: Image) -> None:
        super().__init__(step, up, dtype)
        self._image = image

    def _compute(self, first: int, last: int) -> FloatArray:
        return self._image.rows(first, last)


class _StoredRows(_Rows):
    def __init__(self, step: Step, up: bool, dtype: DTypeLike, file: ScratchRows) -> None:
        super().__init__(step, up, dtype)
        self._file = file

    def _compute(self, first: int, last: int) -> FloatArray:
        rows: FloatArray = kernels.arena.empty((1, last - first, *self.step.shape[1:]), self.dtype)
        self._file.read(first, rows)
        return rows


class _LocalRows(_Rows):
    def __init__(self, step: Step, up: bool, dtype: DTypeLike, inputs: Sequence[_Reader]) -> None:
        super().__init__(step, up, dtype)
        self._inputs = inputs

    def _compute(self, first: int, last: int) -> FloatArray:
        height = self._inputs[0].height
        low, high = rows_of_input(self.step, first, last, height)
        if self.up:
            needed = rows_of_input(self.step, first - 1, first, height)[1] if first else 0
        else:
            needed = rows_of_input(self.step, last, last + 1, height)[0] if last < self.height else height
        parts = [reader.take(low, high, needed) for reader in self._inputs]
        return computed(self.step, parts, first, last, height)


class _ScanRows(_Rows):
    """The map of a scan: one half is read, the other one computed."""

    def __init__(self, step: Step, up: bool, dtype: DTypeLike, reader: _Reader, half: ScratchRows) -> None:
        super().__init__(step, up, dtype)
        self._reader, self._half = reader, half
        self._carry: Carry | None = None

    def _compute(self, first: int, last: int) -> FloatArray:
        x = self._reader.take(first, last, first if self.up else last)
        new, self._carry = scanned(self.step, x, self.up, self._carry)
        units = self._half.shape[-1]
        stored: FloatArray = kernels.empty(new.shape, new.dtype, like=new)
        self._half.read(first, stored)
        rows: FloatArray = kernels.empty((*new.shape[:3], 2 * units), new.dtype, like=new)
        rows[..., :units], rows[..., units:] = (stored, new) if self.up else (new, stored)
        return rows
