"""The record of a prediction: one CSV row per image, written right after its results."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from lstm2d.errors import OutputError
from lstm2d.io.atomic import append, write_text
from lstm2d.io.set_aside import copy_aside
from lstm2d.predict.csv_text import csv_text
from lstm2d.predict.manifest_file import (
    FIXED,
    MARKS,
    MORE_MARKS,
    Row,
    read_manifest,
    read_table,
    row_line,
)
from lstm2d.predict.row_store import RowStore

__all__ = ["Manifest", "area_columns", "read_manifest"]


class Manifest:
    """The record of a prediction, `predictions.csv`.

    Columns: image, labels (relative to the output folder), seconds, error (empty on success), crf (the
    settings of the CRF after the network, empty if there is none); the fraction of the image's area
    that each class covers; then the `MARKS`, by which later runs check whether the results are still valid,
    and those of the `MORE_MARKS` that some row has.

    While images are labelled, rows are only appended, so that a crash costs one row. Leaving the `with` block
    drops replaced rows and unused area columns.

    Parameters
    ----------
    path : Path
        The file. Rows of earlier predictions are kept, also those of other models. A damaged file, or one
        that is not a record, is kept as a copy next to it.
    classes : sequence of str
        Names of the classes.
    renewed : iterable of mapping
        Rows to keep in place of those about the same label images.

    Attributes
    ----------
    damaged_copy : Path or None
        The copy of a damaged file.
    last : str
        Label image of the row that was added last; "" if none was.
    complete : bool
        Whether the file holds all added rows.
    """

    def __init__(self, path: Path, classes: Sequence[str], renewed: Iterable[Row] = ()) -> None:
        self.path = path
        table = read_table(path)
        self.damaged_copy = copy_aside(path) if table.damaged else None
        self._own = area_columns(classes)
        others = [name for name in table.columns if name not in (*FIXED, *MARKS, *MORE_MARKS)]
        self._areas = list(dict.fromkeys([*others, *self._own]))
        self._rows = RowStore((*table.rows, *renewed))
        self._replaced = False  # whether the file holds a row that a later one replaces
        self.last = ""
        self.complete = True
        self._write()

    def __enter__(self) -> Manifest:
        """Return the manifest itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop replaced rows; an error here does not hide one of the prediction."""
        try:
            if self._replaced or not self.complete:
                self._write()
        except OutputError:
            if error is None:
                raise

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return [*FIXED, *self._areas, *MARKS, *self._more]

    def add(
        self,
        image: str,
        labels: str,
        *,
        seconds: float | None,
        error: str = "",
        crf: str = "",
        areas: Sequence[float] = (),
        marks: Mapping[str, str] | None = None,
    ) -> None:
        """Append one row.

        Parameters
        ----------
        image : str
            The file that was read.
        labels : str
            The label image, relative to the output folder.
        seconds : float or None
            Time to read, label and write; None if not measured.
        error : str
            Reason of a failure.
        crf : str
            Settings of the CRF.
        areas : sequence of float
            Fraction of the pixels of each class.
        marks : mapping, optional
            Values of the columns `MARKS` and `MORE_MARKS`.

        Raises
        ------
        OutputError
            If the file cannot be written, or was deleted.
        """
        row = {
            "image": csv_text(image),
            "labels": csv_text(labels),
            "seconds": "" if seconds is None else f"{seconds:.4f}",
            "error": csv_text(error),
            "crf": csv_text(crf),
            **dict(zip(self._own, (f"{area:.6f}" for area in areas), strict=False)),
            **(marks or {}),
        }
        self.last = labels
        self._replaced |= self._rows.add(row)
        self.complete = False
        if not row.keys() <= set(self.columns):
            self._write()  # with a new column
            return
        # appended, not rewritten: after a crash at most this row is truncated; a deleted file must not be
        # created without its header
        append(self.path, row_line(self.columns, row), create=False)
        self.complete = True

    def _write(self) -> None:
        """Rewrite the file atomically."""
        kept = list(self._rows)
        used = {name for row in kept for name, cell in row.items() if cell}
        self._areas = [name for name in self._areas if name in used or name in self._own]
        self._more = [name for name in MORE_MARKS if name in used]
        header = row_line(self.columns, dict(zip(self.columns, self.columns, strict=True)))
        rows = (row_line(self.columns, row) for row in kept)
        write_text(self.path, header + "".join(rows))
        self.complete = True


def area_columns(classes: Collection[str]) -> list[str]:
    """Return the names of the columns of areas.

    Parameters
    ----------
    classes : collection of str
        Names of the classes, in their order.

    Returns
    -------
    list of str
        One column per class; a repeated name gets the number of its class added.
    """
    columns: list[str] = []
    for number, name in enumerate(classes):
        column = f"area {name}"
        columns.append(f"{column} ({number})" if column in columns else column)
    return columns
