"""The rows of the maps of a network in one pass through an image; see `lstm2d.strips.run`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from lstm2d import kernels
from lstm2d.io.scratch import ScratchRows
from lstm2d.strips.graph import Step
from lstm2d.strips.local import computed, rows_of_input
from lstm2d.strips.plan import Plan
from lstm2d.strips.scans import Carry, scanned
from lstm2d.tensor import FloatArray


class Image(Protocol):
    """The input of a network, by rows."""

    def rows(self, first: int, last: int) -> FloatArray:
        """Return rows `first` to `last` - 1, of shape (1, rows, columns, channels)."""


@dataclass(frozen=True, slots=True)
class Cuts:
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


class Rows(ABC):
    """The rows of a map in one pass; those that a reader still needs are kept.

    Parameters
    ----------
    step : Step
        The step of the map.
    plan : Plan
        Its network.
    cuts : Cuts
        Strips and pieces.
    """

    def __init__(self, step: Step, plan: Plan, cuts: Cuts) -> None:
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


class Reader:
    """One of those that take rows of a map."""

    def __init__(self, source: Rows) -> None:
        self._source, self._number, self.height = source, source.join(), source.height

    def take(self, first: int, last: int, needed: int) -> FloatArray:
        """Return rows; see `Rows.take`."""
        return self._source.take(self._number, first, last, needed)

    def piece(self, turn: int, number: int, cuts: Cuts) -> FloatArray:
        """Return a piece of a strip; later ones follow it."""
        first, last = cuts.piece(turn, number, self.height)
        return self.take(first, last, first if cuts.up else last)

    def strip(self, turn: int, cuts: Cuts) -> FloatArray:
        """Return a strip, which is put together from pieces."""
        top, bottom = cuts.strip(turn, self.height)
        if isinstance(self._source, StoredRows):
            return self.take(top, bottom, top if cuts.up else bottom)
        rows = self._source.empty(bottom - top)
        for number in range(cuts.each):
            first, last = cuts.piece(turn, number, self.height)
            rows[:, first - top : last - top] = self.take(first, last, first if cuts.up else last)
        return rows


class ImageRows(Rows):
    """The rows of the image."""

    def __init__(self, step: Step, plan: Plan, cuts: Cuts, image: Image) -> None:
        super().__init__(step, plan, cuts)
        self._image = image

    def _compute(self, first: int, last: int) -> FloatArray:
        return self._image.rows(first, last)


class StoredRows(Rows):
    """The rows of a map that an earlier pass has stored."""

    def __init__(self, step: Step, plan: Plan, cuts: Cuts, file: ScratchRows) -> None:
        super().__init__(step, plan, cuts)
        self._file = file

    def _compute(self, first: int, last: int) -> FloatArray:
        rows = self.empty(last - first)
        self._file.read(first, rows)
        return rows


class LocalRows(Rows):
    """The rows of a map that depend on a few rows of its inputs."""

    def __init__(self, step: Step, plan: Plan, cuts: Cuts, inputs: Sequence[Reader]) -> None:
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


class SweptRows(Rows):
    """The map of a sweep along the rows, a strip at a time."""

    def __init__(self, step: Step, plan: Plan, cuts: Cuts, reader: Reader) -> None:
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


class ScanRows(SweptRows):
    """The map of a scan: one half is read, the other one computed."""

    def __init__(self, step: Step, plan: Plan, cuts: Cuts, reader: Reader, half: ScratchRows) -> None:
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
