"""Run a network strip by strip.

Steps that see a few rows at a time pass strips on directly. A step that scans the image down and up needs all
rows twice: one half of its map is computed and stored on the way through the image, the other one on the
way back, together with what follows. So a network of n scans runs in n + 1 *passes*, up and down in turn, the
last one down.

A strip is computed in *pieces* of a few rows, which stay in the cache, but for scans, and for sweeps along
the rows: their products are of a whole strip.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import DTypeLike

from lstm2d import kernels
from lstm2d.io.scratch import ScratchRows
from lstm2d.strips.graph import Step, not_streamed
from lstm2d.strips.local import CHEAP, LOCAL, computed, rows_of_input
from lstm2d.strips.scans import Carry, is_scan, is_sweep, scanned
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
    pieces: int = 1,
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
    pieces : int, default 1
        Number of pieces of a strip.
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
            this = _Pass(plan, turn, image, files, _Cuts(strips, pieces, plan.up(turn)))
            for strip in range(strips):
                yield from this.strip(strip)
                if progress is not None:
                    progress((turn + (strip + 1) / strips) / plan.passes)
            del this
            for key, last in plan.stored.items():
                if last == turn:
                    files[key].close()
            kernels.arena.clear()


@dataclass(frozen=True, slots=True)
class _Cuts:
    """Where the rows of a map are cut into strips and pieces."""

    strips: int
    each: int  # pieces of a strip
    up: bool

    def strip(self, turn: int, height: int) -> tuple[int, int]:
        """Return the rows of a strip, in the order of the pass."""
        number = self.strips - 1 - turn if self.up else turn
        return height * number // self.strips, height * (number + 1) // self.strips

    def piece(self, turn: int, number: int, height: int) -> tuple[int, int]:
        """Return the rows of a piece of a strip, in the order of the pass."""
        first, last = self.strip(turn, height)
        k = self.each - 1 - number if self.up else number
        return first + (last - first) * k // self.each, first + (last - first) * (k + 1) // self.each


class _Pass:
    """One way through the image."""

    def __init__(
        self, plan: Plan, turn: int, image: Image, files: dict[Stored, ScratchRows], cuts: _Cuts
    ) -> None:
        self._plan, self._turn, self._image, self._files, self._cuts = plan, turn, image, files, cuts
        self._sources: dict[int, _Rows] = {}
        self._sinks: list[_Store] = []
        for key in plan.stored:
            if plan.written(key) == turn:
                number, half = key
                step = plan.steps[number]
                to = _StoreHalf if half else _Store
                read = next(iter(step.inputs.values())) if half else number
                self._sinks.append(to(step, self._reader(read), files[key], cuts))
        last = len(plan.steps) - 1
        self._output = self._reader(last) if turn == plan.passes - 1 else None

    def _reader(self, number: int) -> _Reader:
        """Return a new reader of a map."""
        if number not in self._sources:
            self._sources[number] = self._new(number)
        return _Reader(self._sources[number])

    def _new(self, number: int) -> _Rows:
        plan, step, cuts = self._plan, self._plan.steps[number], self._cuts
        if step.op == "image":
            return _ImageRows(step, plan, cuts, self._image)
        if (number, False) in plan.stored and plan.level[number] < self._turn:
            return _StoredRows(step, plan, cuts, self._files[number, False])
        inputs = [self._reader(n) for n in step.inputs.values()]
        if is_scan(step):
            return _ScanRows(step, plan, cuts, inputs[0], self._files[number, True])
        if is_sweep(step):
            return _SweptRows(step, plan, cuts, inputs[0])
        return _LocalRows(step, plan, cuts, inputs)

    def strip(self, turn: int) -> Iterator[FloatArray]:
        """Compute the next strip of all that is stored; in the last pass, yield pieces of the output."""
        for number in range(self._cuts.each):
            for sink in self._sinks:
                sink.feed(turn, number)
            if self._output is not None:
                rows = self._output.piece(turn, number, self._cuts)
                if rows.shape[1]:
                    yield rows
                del rows


class _Store:
    """Stores a map."""

    def __init__(self, step: Step, reader: _Reader, to: ScratchRows, cuts: _Cuts) -> None:
        self._step, self._reader, self._to, self._cuts = step, reader, to, cuts

    def feed(self, turn: int, number: int) -> None:
        """Take a piece of a strip."""
        first, last = self._cuts.piece(turn, number, self._reader.height)
        if first < last:
            self._to.write(first, self._reader.take(first, last, first if self._cuts.up else last))


class _StoreHalf(_Store):
    """Scans an image in the direction of a pass, and stores the hidden states."""

    _carry: Carry | None = None
    _x: FloatArray | None = None

    def feed(self, turn: int, number: int) -> None:
        """Take a piece of a strip; scan the strip when it is complete."""
        top, bottom = self._cuts.strip(turn, self._reader.height)
        rows = self._reader.piece(turn, number, self._cuts)
        if self._x is None:
            self._x = kernels.empty((1, bottom - top, *rows.shape[2:]), rows.dtype, like=rows)
        first, last = self._cuts.piece(turn, number, self._reader.height)
        self._x[:, first - top : last - top] = rows
        if number == self._cuts.each - 1:
            half, self._carry = scanned(self._step, self._x, self._cuts.up, self._carry)
            self._to.write(top, half)
            self._x = None


class _Rows(ABC):
    """The rows of a map in one pass; those that a reader still needs are kept.

    Parameters
    ----------
    step : Step
        The step of the map.
    plan : Plan
        Its network.
    cuts : _Cuts
        Strips and pieces.
    """

    def __init__(self, step: Step, plan: Plan, cuts: _Cuts) -> None:
        self.step, self.cuts, self.up, self.height, self.dtype = (
            step,
            cuts,
            cuts.up,
            step.shape[0],
            plan.dtype,
        )
        self._needed: list[int] = []  # by reader: the rows from here on, in the direction of the pass
        self._kept: FloatArray | None = None
        self._first = self._last = self.height if self.up else 0  # of the rows that are kept

    @abstractmethod
    def _compute(self, first: int, last: int) -> FloatArray:
        """Return new rows, which follow those of the last call in the direction of the pass."""

    def empty(self, rows: int, channels: int | None = None) -> FloatArray:
        """Return an array for rows of this map, or of another number of channels."""
        columns, own = self.step.shape[1:]
        shape = (1, rows, columns, own if channels is None else channels)
        values: FloatArray = kernels.arena.empty(shape, self.dtype)
        return values

    def join(self) -> int:
        """Return the number of a new reader."""
        self._needed.append(self.height if self.up else 0)
        return len(self._needed) - 1

    def take(self, reader: int, first: int, last: int, needed: int) -> FloatArray:
        """Return rows; later, this reader takes rows below `needed` in an upward pass, else from it on."""
        begin, end = (first, self._first) if self.up else (self._last, last)
        if begin < end:
            new = self._compute(begin, end)
            self._kept = new if self._kept is None else self._joined(self._kept, new)
            self._first, self._last = min(self._first, begin), max(self._last, end)
        if self._kept is None:
            return self.empty(0)
        assert self._first <= first <= last <= self._last, "a reader went back"
        rows = self._kept[:, first - self._first : last - self._first]
        self._needed[reader] = needed
        self._forget()
        return rows

    def _joined(self, kept: FloatArray, new: FloatArray) -> FloatArray:
        first, second = (new, kept) if self.up else (kept, new)
        both = self.empty(first.shape[1] + second.shape[1])
        both[:, : first.shape[1]], both[:, first.shape[1] :] = first, second
        return both

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


class _Reader:
    """One of those that take rows of a map."""

    def __init__(self, source: _Rows) -> None:
        self._source, self._number, self.height = source, source.join(), source.height

    def take(self, first: int, last: int, needed: int) -> FloatArray:
        """Return rows; see `_Rows.take`."""
        return self._source.take(self._number, first, last, needed)

    def piece(self, turn: int, number: int, cuts: _Cuts) -> FloatArray:
        """Return a piece of a strip; later ones follow it."""
        first, last = cuts.piece(turn, number, self.height)
        return self.take(first, last, first if cuts.up else last)

    def strip(self, turn: int, cuts: _Cuts) -> FloatArray:
        """Return a strip, which is put together from pieces."""
        top, bottom = cuts.strip(turn, self.height)
        if isinstance(self._source, _StoredRows):
            return self.take(top, bottom, top if cuts.up else bottom)
        rows = self._source.empty(bottom - top)
        for number in range(cuts.each):
            first, last = cuts.piece(turn, number, self.height)
            rows[:, first - top : last - top] = self.take(first, last, first if cuts.up else last)
        return rows


class _ImageRows(_Rows):
    def __init__(self, step: Step, plan: Plan, cuts: _Cuts, image: Image) -> None:
        super().__init__(step, plan, cuts)
        self._image = image

    def _compute(self, first: int, last: int) -> FloatArray:
        return self._image.rows(first, last)


class _StoredRows(_Rows):
    def __init__(self, step: Step, plan: Plan, cuts: _Cuts, file: ScratchRows) -> None:
        super().__init__(step, plan, cuts)
        self._file = file

    def _compute(self, first: int, last: int) -> FloatArray:
        rows = self.empty(last - first)
        self._file.read(first, rows)
        return rows


class _LocalRows(_Rows):
    def __init__(self, step: Step, plan: Plan, cuts: _Cuts, inputs: Sequence[_Reader]) -> None:
        super().__init__(step, plan, cuts)
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


class _SweptRows(_Rows):
    """The map of a sweep along the rows, a strip at a time."""

    def __init__(self, step: Step, plan: Plan, cuts: _Cuts, reader: _Reader) -> None:
        super().__init__(step, plan, cuts)
        self._reader = reader
        self._turn = 0  # strips that were computed
        self._strip: tuple[int, FloatArray] | None = None  # the last one, and its first row

    def _next(self, x: FloatArray) -> FloatArray:
        """Return what is computed from the next strip of the input."""
        rows = x.shape[1]
        return computed(self.step, [x], 0, rows, rows)

    def _compute(self, first: int, last: int) -> FloatArray:
        parts = [self._part(*rows) for rows in self._within(first, last)]
        whole = parts[0]
        for part in parts[1:]:
            whole = self._joined(whole, part)
        return whole

    def _within(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Yield these rows, cut where strips meet, in the order of the pass; compute the strips meanwhile."""
        begin, end = (last, first) if self.up else (first, last)
        while begin != end:
            strip = self._strip
            low, high = (strip[0], strip[0] + strip[1].shape[1]) if strip else (begin, begin)
            if not (low < begin <= high if self.up else low <= begin < high):
                self._strip = None  # its memory serves the next one
                top, _ = self.cuts.strip(self._turn, self.height)
                self._strip = top, self._next(self._reader.strip(self._turn, self.cuts))
                self._turn += 1
                continue
            until = max(end, low) if self.up else min(end, high)
            yield (until, begin) if self.up else (begin, until)
            begin = until

    def _part(self, first: int, last: int) -> FloatArray:
        """Return rows within the strip."""
        assert self._strip is not None
        top, rows = self._strip
        return rows[:, first - top : last - top]


class _ScanRows(_SweptRows):
    """The map of a scan: one half is read, the other one computed."""

    def __init__(self, step: Step, plan: Plan, cuts: _Cuts, reader: _Reader, half: ScratchRows) -> None:
        super().__init__(step, plan, cuts, reader)
        self._half = half
        self._carry: Carry | None = None

    def _next(self, x: FloatArray) -> FloatArray:
        half, self._carry = scanned(self.step, x, self.up, self._carry)
        return half

    def _part(self, first: int, last: int) -> FloatArray:
        units = self._half.shape[-1]
        stored, rows = self.empty(last - first, units), self.empty(last - first)
        self._half.read(first, stored)
        new = super()._part(first, last)
        rows[..., :units], rows[..., units:] = (stored, new) if self.up else (new, stored)
        return rows
