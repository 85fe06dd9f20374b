"""Tables, and their plain text form of 80 columns."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from lstm2d.shown import shown

WIDTH = 80


@dataclass(frozen=True, slots=True)
class Table:
    """A table; as a string it is plain text.

    Parameters
    ----------
    header : sequence of str
        Names of the columns.
    rows : sequence of sequence of str
        Cells, one per column.
    left : int, default 1
        Columns aligned to the left; the others, numbers, are aligned to the right.
    title : str, optional
        A line above the table.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1
    title: str = ""

    def __str__(self) -> str:
        """Return the table as aligned columns."""
        text = text_table(self.header, self.rows, left=self.left)
        return f"{shown(self.title)}\n{text}" if self.title else text


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """Return a `Table` of these values as aligned columns, lines without trailing blanks."""
    cells = [[shown(cell) for cell in row] for row in (header, *rows)]
    widths = [max(columns(row[k]) for row in cells) for k in range(len(header))]
    lines = []
    for row in cells:
        parts = [
            text + " " * (width - columns(text)) if k < left else " " * (width - columns(text)) + text
            for k, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(parts).rstrip())
    return "\n".join(lines)


def fields(pairs: Sequence[tuple[str, str]]) -> str:
    """Return names and values, one pair per line, long values wrapped.

    Parameters
    ----------
    pairs : sequence of (str, str)
        Name and value.

    Returns
    -------
    str
        The lines.
    """
    indent = max(columns(name) for name, _ in pairs) + 2
    lines = []
    for name, value in pairs:
        begin = name + " " * (indent - columns(name))
        lines += textwrap.wrap(
            value or "-",
            WIDTH,
            initial_indent=begin,
            subsequent_indent=" " * indent,
            break_on_hyphens=False,
            break_long_words=False,  # keep paths intact
        )
    return "\n".join(lines)


def confusion_tables(matrix: Sequence[Sequence[int]], names: Sequence[str]) -> list[Table]:
    """Return a confusion matrix in percent of the true pixels, as tables that fit the width.

    Parameters
    ----------
    matrix : sequence of sequence of int
        Pixels; rows are the true classes, columns the predicted ones.
    names : sequence of str
        Names of the classes.

    Returns
    -------
    list of Table
        Columns are headed by the number of the class; a class without pixels has dashes.
    """
    numbers = [str(k) for k in range(len(names))]
    labels = [f"{k} {shortened(name, 20)}" for k, name in enumerate(names)]
    first = max(columns(label) for label in ["truth \\ label", *labels])
    per_block = max(1, (WIDTH - first) // 7)
    blocks = []
    for start in range(0, len(names), per_block):
        part = slice(start, start + per_block)
        rows = [
            [label, *(_percent(v, sum(row)) for v in row[part])]
            for label, row in zip(labels, matrix, strict=True)
        ]
        blocks.append(Table(["truth \\ label", *(n.rjust(5) for n in numbers[part])], rows))
    return blocks


def percent(fraction: float | None) -> str:
    """Return a fraction as percent with two digits, "absent" for None."""
    return "absent" if fraction is None else f"{100 * fraction:.2f}"


def points(difference: float | None) -> str:
    """Return a difference of fractions in points with sign and two digits, "absent" for None."""
    return "absent" if difference is None else f"{100 * difference:+z.2f}"


def shortened(text: str, width: int) -> str:
    """Return `text`, cut to at most `width` characters."""
    return text if len(text) <= width else text[: width - 1] + "…"


def columns(text: str) -> int:
    """Return the width of `text` on a terminal; a Chinese character, for example, takes two columns."""
    if text.isascii():
        return len(text)
    return sum(
        2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text if not unicodedata.combining(c)
    )


def _percent(value: int, total: int) -> str:
    return f"{100 * value / total:.1f}" if total else "-"


def span(layers: Sequence[str]) -> str:
    """Abbreviate a list of layers: first and last layer if they are contiguous.

    Parameters
    ----------
    layers : sequence of str
        Names, in the order of the network.

    Returns
    -------
    str
        For example "conv1_1 ... conv3_3"; otherwise the names, or their number.
    """
    from lstm2d.weights.vgg16 import LAYERS

    names = list(LAYERS)
    if (
        len(layers) > 1
        and layers[0] in names
        and names[names.index(layers[0]) :][: len(layers)] == list(layers)
    ):
        return f"{layers[0]} ... {layers[-1]}"
    return ", ".join(layers) if len(layers) <= 3 else f"{len(layers)} layers"
