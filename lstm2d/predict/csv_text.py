"""Names and numbers in CSV files."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

# spreadsheets treat cells with these prefixes as formulas
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


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
    for row in (columns, *rows):
        text.write(csv_line([f"{cell:.6f}" if isinstance(cell, float) else cell for cell in row]))
    return text.getvalue()


def csv_line(cells: Sequence[str | int | None]) -> str:
    """Return a row of a CSV file.

    Parameters
    ----------
    cells : sequence
        Names (see `csv_text`), numbers, or None for an empty cell.

    Returns
    -------
    str
        The row and a line feed. Cells with any line break are in quotes.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)  # only so, "\r" is quoted too
    return text.getvalue().removesuffix("\r\n") + "\n"
