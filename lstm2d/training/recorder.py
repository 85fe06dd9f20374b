"""The two records of a run: log.jsonl (all events) and results.csv (one row per epoch)."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from lstm2d.errors import OutputError
from lstm2d.io.atomic import append, write_bytes
from lstm2d.io.parse import parse_json
from lstm2d.io.safe_open import read_existing
from lstm2d.io.set_aside import copy_aside
from lstm2d.training.events import EndMeasured, EpochDone, Event

COLUMNS = (
    "epoch",
    "step",
    "seconds",
    "learning_rate",
    "loss",
    "gradient_norm",
    "clipped",
    "images_per_second",
    "pixel_accuracy",
    "class_accuracy",
    "mean_iou",
    "foreground_iou",
)
HEADER = ",".join(COLUMNS) + "\n"
FEWEST_COLUMNS = 11  # the first versions had no foreground_iou


class Recorder:
    """Append events to the records of a run folder.

    Parameters
    ----------
    folder : Path
        The run folder.
    """

    def __init__(self, folder: Path) -> None:
        self.log = folder / "log.jsonl"
        self.results = folder / "results.csv"

    def rewind(self, step: int, epoch: int) -> list[str]:
        """Drop records written after a checkpoint, so that a resumed run does not duplicate them.

        Damaged lines are dropped too, and a line truncated by a crash. Rows that results.csv lacks and
        log.jsonl has are restored.

        Parameters
        ----------
        step : int
            Steps before the checkpoint; later events are dropped.
        epoch : int
            Epochs before it; later rows of results.csv are dropped.

        Returns
        -------
        list of str
            A line for each damaged record: what is lost or restored, and the copy of the damaged file.

        Raises
        ------
        DataError
            If a record cannot be read.
        OutputError
            If it cannot be written.
        """
        notes = []
        log = _Record(self.log)
        events = log.select(_log_step, step)
        if log.exists:
            notes += log.replace("".join(line for _, line in events), len(events))
        table = _Record(self.results)
        found = dict(table.select(_row_epoch, epoch, header=True))
        logged = {number: row for number, row in _logged_rows(events) if number <= epoch}
        restored = sorted(logged.keys() - found.keys()) if found or log.exists else []
        if table.exists or restored:
            rows = {**found, **logged} if table.damaged else {**logged, **found}
            text = HEADER + "".join(_with_columns(rows[number]) for number in sorted(rows))
            notes += table.replace(text, len(rows), [f"{number:g}" for number in restored])
        return notes

    def write(self, event: Event) -> None:
        """Record an event, unless its kind is not recorded.

        Parameters
        ----------
        event : Event
            An `EpochDone` also becomes a row of results.csv.

        Raises
        ------
        OutputError
            If a file cannot be written.
        """
        if not event.is_recorded:
            return
        self._append(self.log, json.dumps({"event": event.kind, **event.values}) + "\n")
        if isinstance(event, EpochDone):
            header = "" if os.path.exists(self.results) else HEADER
            self._append(self.results, header + _csv_line(event.values), sync=True)

    @staticmethod
    def _append(path: Path, text: str, *, sync: bool = False) -> None:
        try:
            append(path, text, sync=sync)
        except OutputError as error:
            hint = "make room, then go on with `resume=True`"
            raise OutputError(error.what, where=path, hint=hint) from error


class _Record:
    """The lines of a record that is rewound.

    Parameters
    ----------
    path : Path
        The file.

    Attributes
    ----------
    exists : bool
        Whether there is such a file.
    damaged : int
        Number of damaged lines.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._data = read_existing(path)
        self.exists, self.damaged = self._data is not None, 0

    def select(
        self, key: Callable[[str], float], limit: float, *, header: bool = False
    ) -> list[tuple[float, str]]:
        """Return the intact lines whose key is at most a limit, with their keys.

        Parameters
        ----------
        key : callable
            Returns the number of a line; raises ValueError if the line is damaged.
        limit : float
            Largest key.
        header : bool
            Whether the first line is a header; keys then differ.

        Returns
        -------
        list of (float, str)
            Key and line, in the order of the file.
        """
        found: list[tuple[float, str]] = []
        later = 0  # lines beyond the limit since the last one that is kept
        *lines, rest = (self._data or b"").split(b"\n")
        for number, line in enumerate(lines):
            try:
                text = line.decode("utf-8").removesuffix("\r")
                if header and number == 0 and _is_header(text):
                    continue
                place = key(text)
            except (ValueError, OverflowError):
                self.damaged += 1
                continue
            if math.isnan(place):  # of the time of the line before it
                place = math.inf if later else found[-1][0] if found else 0.0
            if place > limit:
                later += 1
                continue
            self.damaged, later = self.damaged + later, 0  # lines are in order
            if found and place < found[-1][0] + (1 if header else 0):
                self.damaged += 1
                continue
            found.append((place, text + "\n"))
        # a last line without an end was truncated by a crash, usually after the checkpoint
        with suppress(ValueError, OverflowError):
            if rest and key(rest.decode("utf-8")) <= limit:
                self.damaged += 1
        return found

    def replace(self, text: str, kept: int, restored: Sequence[str] = ()) -> list[str]:
        """Write the lines that are kept; return what was damaged, if anything was."""
        data = text.encode()
        notes = []
        if self.damaged or restored:
            what = []
            if self.damaged:
                copy = copy_aside(self.path)
                what.append(f"damaged, {self.damaged} lines cannot be read; the file is kept as {copy.name}")
            if restored:
                what.append(f"rows of epochs {', '.join(restored)} are restored from log.jsonl")
            notes.append(f"{self.path}: {'; '.join(what)}; {kept} lines are in it now")
        if data != self._data:
            write_bytes(self.path, data)
        return notes


def _csv_line(values: Mapping[str, Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow([values.get(name, "") for name in COLUMNS])
    return text.getvalue()


def _with_columns(line: str) -> str:
    """Return a row of results.csv with the columns of this version; earlier ones wrote fewer."""
    (row,) = csv.reader([line])
    return line if len(row) == len(COLUMNS) else _csv_line(dict(zip(COLUMNS, row, strict=False)))


def _is_header(line: str) -> bool:
    """Return whether a line is the header of this version, or of an earlier one with fewer columns."""
    names = tuple(line.split(","))
    return len(names) >= FEWEST_COLUMNS and names == COLUMNS[: len(names)]


def _log_step(line: str) -> float:
    """Return the step of a line of log.jsonl, NaN if it has none; raise ValueError if it is no event."""
    event = parse_json(line)
    step = event.get("step", math.nan) if isinstance(event, dict) else None
    if not isinstance(step, int | float) or not isinstance(event.get("event"), str):
        raise ValueError("no event")
    return float(step)


def _row_epoch(line: str) -> float:
    """Return the epoch of a row of results.csv; raise ValueError if it is not a row of numbers."""
    cells = line.split(",")
    if not FEWEST_COLUMNS <= len(cells) <= len(COLUMNS):
        raise ValueError("another number of cells")
    if "\r" in line:
        raise ValueError("a line break within a row")
    epoch, *_ = [float(cell) if cell else math.nan for cell in cells]
    if not epoch >= 1:
        raise ValueError("no epoch")
    return epoch


def _logged_rows(events: Sequence[tuple[float, str]]) -> Iterator[tuple[float, str]]:
    """Yield the row of results.csv for each epoch in log.jsonl."""
    for _, line in events:
        event = parse_json(line)
        if event["event"] in (EpochDone.kind, EndMeasured.kind):
            row = _csv_line(event)
            with suppress(ValueError):
                yield _row_epoch(row.rstrip("\n")), row
