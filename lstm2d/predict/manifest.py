"""The record of a prediction: one CSV row an image, written as soon as its results are."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from lstm2d.errors import OutputError
from lstm2d.io.atomic import write_text
from lstm2d.io.regular import read_text
from lstm2d.predict.csv_text import csv_text

FIXED = ("image", "labels", "seconds", "error", "crf")


class Manifest:
    """Keeps `predictions.csv` in step with the results.

    Columns: image, labels (relative to the output folder), seconds, error (empty where all went well), crf
    (the settings of the CRF behind the network, empty where there is none), then the fraction of the image's
    area that each class covers.

    Parameters
    ----------
    path : Path
        The file. Rows of an earlier prediction with the same classes are kept.
    classes : sequence of str
        Names of the classes.
    replaced : collection of str
        Label images that are made anew: their old rows go.
    """

    def __init__(self, path: Path, classes: Sequence[str], replaced: frozenset[str]) -> None:
        self.path = path
        self.columns = [csv_text(name) for name in (*FIXED, *(f"area {name}" for name in classes))]
        kept = [row for row in self._old_rows() if row[1] not in {csv_text(name) for name in replaced}]
        self._named = {row[1] for row in kept}
        write_text(path, "".join(_line(row) for row in [self.columns, *kept]))

    def __contains__(self, labels: str) -> bool:
        """Tell whether an earlier prediction has left a row about a label image."""
        return csv_text(labels) in self._named

    def add(
        self,
        image: str,
        labels: str,
        *,
        seconds: float | None,
        error: str = "",
        crf: str = "",
        areas: Sequence[float] = (),
    ) -> None:
        """Append one row.

        Parameters
        ----------
        image : str
            The file that was read.
        labels : str
            The label image, relative to the output folder.
        seconds : float or None
            What it took to read, label and write; None where that was not measured.
        error : str
            Why there are no labels.
        crf : str
            Settings of the CRF.
        areas : sequence of float
            Fraction of the pixels of each class.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        numbers = [f"{area:.6f}" for area in areas] or [""] * (len(self.columns) - len(FIXED))
        row = [
            csv_text(image),
            csv_text(labels),
            "" if seconds is None else f"{seconds:.4f}",
            csv_text(error),
            csv_text(crf),
            *numbers,
        ]
        try:
            # appended and not written anew: after a crash at most this one row is cut short
            with self.path.open("a", encoding="utf-8", errors="surrogateescape", newline="") as file:
                file.write(_line(row))
        except OSError as e:
            raise OutputError(f"cannot write ({e.strerror})", where=self.path) from e

    def _old_rows(self) -> list[list[str]]:
        if not self.path.is_file():
            return []
        text = read_text(self.path)
        whole = text[: text.rfind("\n") + 1]
        rows = list(csv.reader(io.StringIO(whole, newline="")))
        if not rows or rows[0] != self.columns:
            return []
        return [row for row in rows[1:] if len(row) == len(self.columns)]


def read_manifest(path: Path) -> list[Mapping[str, str]]:
    """Return the rows of a manifest.

    Parameters
    ----------
    path : Path
        A file that `Manifest` wrote.

    Returns
    -------
    list of mapping
        Column name to text.
    """
    return list(csv.DictReader(io.StringIO(read_text(path), newline="")))


def _line(row: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(row)
    return text.getvalue()
