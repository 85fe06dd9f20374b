"""Progress bars and tables on a terminal.

The only module that imports rich; imported only if the output is a terminal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from rich import box, table
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from lstm2d.cli.tables import Table
from lstm2d.shown import printable, shown

WIDTHS = (24, 12, 6)  # columns of a bar; the widest one that fits next to its text is used


class Screen(Console):
    """A terminal without markup in texts, as names come from files.

    Parameters
    ----------
    stream : text stream
        The terminal.
    columns : int, optional
        Its width.
    """

    def __init__(self, stream: TextIO, columns: int | None = None) -> None:
        super().__init__(
            file=stream, width=columns, force_terminal=True, markup=False, emoji=False, highlight=False
        )

    def show_cursor(self, show: bool = True) -> bool:
        """Never hide the cursor: a killed process could not restore it."""
        return False


class Bar:
    """A progress bar on the last line of the terminal; other stderr output appears above it.

    Parameters
    ----------
    stream : text stream
        stderr.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self._bar = BarColumn()
        text = TextColumn(
            "{task.description}", markup=False, table_column=table.Column(no_wrap=True, overflow="crop")
        )
        # no refresh thread: a command may fork, and Ctrl-C must not find a lock held
        self._progress = Progress(
            self._bar,
            text,
            console=Screen(stream),
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
        )
        self._text = text
        self._task = self._progress.add_task("", total=None)

    def draw(self, text: str, done: float | None, total: float | None, columns: int) -> None:
        """Draw the bar.

        Parameters
        ----------
        text : str
            Text after the bar, cut to the width of the terminal.
        done, total : float or None
            Completed and total work; without a total, only the text is drawn.
        columns : int
            Width of the terminal.
        """
        self._progress.console.width = columns
        room = columns - 1 - cell_len(text) if total is not None else 0
        self._bar.bar_width = next((width for width in WIDTHS if width <= room), 0)
        self._progress.columns = (self._bar, self._text) if self._bar.bar_width else (self._text,)
        self._progress.update(self._task, description=text, completed=done or 0, total=total)
        self._progress.start()
        self._progress.refresh()

    def close(self) -> None:
        """Remove the bar."""
        self._progress.stop()


def show(parts: Sequence[str | Table], stream: TextIO, columns: int) -> None:
    """Print text and tables.

    Parameters
    ----------
    parts : sequence of str or Table
        Separated by empty lines.
    stream : text stream
        The terminal.
    columns : int
        Its width. Table cells are wrapped; lines of text are not, to keep paths intact.
    """
    screen = Screen(stream, columns)
    for number, part in enumerate(parts):
        if number:
            screen.line()
        if isinstance(part, str):
            screen.print(Text(printable(part)), soft_wrap=True)
            continue
        if part.title:
            screen.print(Text(shown(part.title)), soft_wrap=True)
        screen.print(_drawn(part))


def _drawn(content: Table) -> table.Table:
    drawn = table.Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold"
    )
    for number, name in enumerate(content.header):
        drawn.add_column(
            Text(shown(name)), justify="left" if number < content.left else "right", overflow="fold"
        )
    for row in content.rows:
        drawn.add_row(*(Text(shown(cell)) for cell in row))
    return drawn
