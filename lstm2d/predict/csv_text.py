"""Names and numbers in CSV files."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

# spreadsheets treat cells with these prefixes as formulas
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(cell: str) -> str:
    """Escape a name that a spreadsheet would treat as a formula, by a leading apostrophe.

    Parameters
    ----------
    cell : str
        The name.

    Returns
    -------
    str
        The escaped name; unique, as apostrophes before a formula are escaped too.
    """
    return "'" + cell if cell.lstrip("'").startswith(_FORMULA) else cell


def csv_name(text: str) -> str:
    """Return the original name; the inverse of `csv_text`.

    Parameters
    ----------
    text : str
        A cell.

    Returns
    -------
    str
        The name.
    """
    return text[1:] if text.startswith("'") and text.lstrip("'").startswith(_FORMULA) else text


def csv_table(columns: Sequence[str], rows: Sequence[Sequence[str | float | None]]) -> str:
    """Return figures as CSV.

    Parameters
    ----------
    columns : sequence of str
        Names of the columns.
    rows : sequence of sequence
        Cells: names (see `csv_text`), integers, floats, or None for an empty cell.

    Returns
    -------
    str
        Lines that end in a line feed; floats with six digits after the point.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([f"{cell:.6f}" if isinstance(cell, float) else cell for cell in row])
    return text.getvalue()
