"""Run a network strip by strip.

Steps that see a few rows at a time pass strips on directly. A step that scans the image down and up needs all
rows twice: one half of its map is computed and stored on the way through the image, the other one on the
way back, together with what follows. So a network of n scans runs in n + 1 *passes*, up and down in turn, the
last one down.

A strip is computed in *pieces* of a few rows, which stay in the cache, but for scans, and for sweeps along
the rows: their products are of a whole strip.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

from lstm2d import kernels
from lstm2d.io.scratch import ScratchRows
from lstm2d.strips.graph import Step
from lstm2d.strips.plan import Plan, Stored
from lstm2d.strips.rows import (
    Cuts,
    Image,
    ImageRows,
    LocalRows,
    Reader,
    Rows,
    ScanRows,
    StoredRows,
    SweptRows,
)
from lstm2d.strips.scans import Carry, is_scan, is_sweep, scanned
from lstm2d.tensor import FloatArray


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
            this = _Pass(plan, turn, image, files, Cuts(strips, pieces, plan.up(turn)))
            for strip in range(strips):
                yield from this.strip(strip)
                if progress is not None:
                    progress((turn + (strip + 1) / strips) / plan.passes)
            del this
            for key, last in plan.stored.items():
                if last == turn:
                    files[key].close()
            kernels.arena.clear()


class _Pass:
    """One way through the image."""

    def __init__(
        self, plan: Plan, turn: int, image: Image, files: dict[Stored, ScratchRows], cuts: Cuts
    ) -> None:
        self._plan, self._turn, self._image, self._files, self._cuts = plan, turn, image, files, cuts
        self._sources: dict[int, Rows] = {}
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

    def _reader(self, number: int) -> Reader:
        """Return a new reader of a map."""
        if number not in self._sources:
            self._sources[number] = self._new(number)
        return Reader(self._sources[number])

    def _new(self, number: int) -> Rows:
        plan, step, cuts = self._plan, self._plan.steps[number], self._cuts
        if step.op == "image":
            return ImageRows(step, plan, cuts, self._image)
        if (number, False) in plan.stored and plan.level[number] < self._turn:
            return StoredRows(step, plan, cuts, self._files[number, False])
        inputs = [self._reader(n) for n in step.inputs.values()]
        if is_scan(step):
            return ScanRows(step, plan, cuts, inputs[0], self._files[number, True])
        if is_sweep(step):
            return SweptRows(step, plan, cuts, inputs[0])
        return LocalRows(step, plan, cuts, inputs)

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

    def __init__(self, step: Step, reader: Reader, to: ScratchRows, cuts: Cuts) -> None:
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
