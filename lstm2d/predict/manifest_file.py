"""Read manifests, even damaged ones, and format their rows."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lstm2d.io.safe_open import read_file
from lstm2d.predict.csv_text import csv_line
from lstm2d.predict.result_names import EVERY_MODEL, KINDS

FIXED = ("image", "labels", "seconds", "error", "crf")
OLDEST = FIXED[:4]  # columns that every version has written
FILES = {kind: f"{kind} file" for kind in KINDS}
IMAGE_FILE = "image file"
NETWORK_SIZE = "network size"
MARKS = ("model", "settings", NETWORK_SIZE, IMAGE_FILE, *(FILES[kind] for kind in EVERY_MODEL))
MORE_MARKS = tuple(FILES[kind] for kind in KINDS if kind not in EVERY_MODEL)  # columns where they are needed
LONGEST_ROW = 40  # lines: names may hold line breaks

Row = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """The contents of a manifest.

    Parameters
    ----------
    columns : tuple of str
        Its header; empty if the file is not a manifest.
    rows : tuple of mapping
        Column to text, one per complete row.
    fragments : tuple of str
        Label images named in incomplete rows.
    damaged : bool
        Whether the file has incomplete rows.
    """

    columns: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    fragments: tuple[str, ...] = ()
    damaged: bool = False


def read_table(path: Path) -> Table:
    """Read a manifest, even a damaged one.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    Table
        Without rows if the file does not exist or is not a manifest.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    if not os.path.isfile(path):
        return Table()
    text = read_file(path).removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    *lines, rest = text.split("\n")  # not splitlines: names may contain other line separators
    lines = [line + "\n" for line in lines] + ([rest] if rest else [])
    header, used = _record(lines, 0)
    if tuple(header[: len(OLDEST)]) != OLDEST:
        return Table(damaged=bool(text))
    with suppress(csv.Error):  # the common case, quickly
        records = list(csv.reader(io.StringIO("".join(lines[used:]), newline=""), strict=True))
        if text.endswith("\n") and all(len(cells) == len(header) and cells[1] for cells in records):
            table = Table(tuple(header), tuple(dict(zip(header, cells, strict=True)) for cells in records))
            return _complete(table)
    return _complete(_salvaged(lines[used:], header))


def read_manifest(path: Path) -> list[Row]:
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
    return list(read_table(path).rows)


def row_line(columns: Sequence[str], row: Row) -> str:
    """Return a row as a line of CSV.

    Parameters
    ----------
    columns : sequence of str
        The columns.
    row : mapping
        Column to text; cells that it lacks are empty.

    Returns
    -------
    str
        The line, with its end.
    """
    return csv_line([row.get(name, "") for name in columns])


def _complete(table: Table) -> Table:
    """Return a table whose rows have all `MARKS`, whatever the header lacks: by version, or by damage."""
    columns = tuple(dict.fromkeys(table.columns))
    rows = ({name: row.get(name, "") for name in (*columns, *MARKS)} for row in table.rows)
    # the oldest versions wrote neither model nor settings
    damaged = columns != table.columns or ("model" in columns) != ("settings" in columns)
    return Table(columns, tuple(rows), table.fragments, table.damaged or damaged)


def _salvaged(lines: Sequence[str], header: Sequence[str]) -> Table:
    """Return the complete rows among damaged ones."""
    rows, fragments, damaged, at = [], [], False, 0
    while at < len(lines):
        cells, used = _record(lines, at, len(header))
        if cells and cells[1]:
            rows.append(dict(zip(header, cells, strict=True)))
        else:
            damaged = True
            fragments += _fragment(lines[at])
        at += used
    return Table(tuple(header), tuple(rows), tuple(fragments), damaged)


def _record(lines: Sequence[str], at: int, cells: int = 0) -> tuple[list[str], int]:
    """Return the cells of the record that begins at a line, and the number of its lines.

    An incomplete record, or one with another number of cells, is reduced to its first line: an open quote in
    a damaged line must not consume the valid ones after it.
    """
    for used in range(1, min(LONGEST_ROW, len(lines) - at) + 1):
        text = "".join(lines[at : at + used])
        if not text.endswith("\n"):
            break
        with suppress(csv.Error):
            (found, *others) = csv.reader(io.StringIO(text, newline=""), strict=True)
            if not others and (not cells or len(found) == cells):
                return found, used
        if text.count('"') % 2 == 0:  # no open quote: further lines cannot complete it
            break
    return [], 1


def _fragment(line: str) -> list[str]:
    """Return the name of the label image in a truncated row, if it is complete."""
    with suppress(csv.Error):
        for cells in csv.reader([line]):
            if len(cells) > 2 and cells[1]:
                return [cells[1]]
    return []
