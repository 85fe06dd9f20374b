"""The two records of a run: log.jsonl (all events) and results.csv (one row per epoch)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lstm2d.errors import OutputError
from lstm2d.io.atomic import write_text
from lstm2d.io.parse import parse_json
from lstm2d.io.safe_open import read_existing
from lstm2d.training.events import EpochDone, Event

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

    def rewind(self, step: int, epoch: int) -> None:
        """Drop records written after a checkpoint, so that a resumed run does not duplicate them.

        Parameters
        ----------
        step : int
            Steps before the checkpoint; later events are dropped, and so is a line truncated by a crash.
        epoch : int
            Epochs before it; later rows of results.csv are dropped.

        Raises
        ------
        DataError
            If a record cannot be read.
        OutputError
            If it cannot be written.
        """
        self._filter(self.log, lambda line: _log_step(line) <= step)
        self._filter(self.results, lambda line: _row_epoch(line) <= epoch, _with_columns)

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
            header = "" if self.results.exists() else HEADER
            self._append(self.results, header + _csv_line(event.values))

    @staticmethod
    def _append(path: Path, text: str) -> None:
        try:
            with path.open("a", encoding="utf-8", newline="") as file:
                file.write(text)
        except OSError as error:
            raise OutputError(
                f"cannot write ({error.strerror})",
                where=path,
                hint="make room, then go on with `resume=True`",
            ) from error

    @staticmethod
    def _filter(path: Path, keep: Callable[[str], bool], change: Callable[[str], str] = str) -> None:
        data = read_existing(path)
        if data is not None:
            lines = data.decode("utf-8", errors="replace").splitlines(keepends=True)
            text = "".join(line for line in lines if line.endswith("\n") and keep(line))
            write_text(path, change(text))


def _csv_line(values: Mapping[str, Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow([values.get(name, "") for name in COLUMNS])
    return text.getvalue()


def _with_columns(text: str) -> str:
    """Return results.csv with the columns of this version; earlier ones wrote fewer."""
    rows = list(csv.reader(io.StringIO(text)))
    if not rows or tuple(rows[0]) == COLUMNS or tuple(rows[0]) != COLUMNS[: len(rows[0])]:
        return text
    named = [dict(zip(COLUMNS, row, strict=False)) for row in rows[1:]]
    return HEADER + "".join(map(_csv_line, named))


def _log_step(line: str) -> float:
    """Return the step of a line of log.jsonl; lines that are no event belong after every checkpoint."""
    try:
        return float(parse_json(line)["step"])
    except (ValueError, KeyError, TypeError, OverflowError):
        return float("inf")


def _row_epoch(line: str) -> float:
    """Return the epoch of a row of results.csv; the header belongs before every checkpoint."""
    first = line.partition(",")[0]
    if first == "epoch":
        return 0.0
    try:
        return float(first)
    except ValueError:
        return float("inf")
