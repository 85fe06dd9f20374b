"""Output and exit codes of all commands.

A command is declared as::

    @click.command()
    @click.option(...)
    @output_options
    def predict(console: Console, ...) -> None:

It gets a `Console` and raises `Lstm2dError` for errors that users should see; the decorator reports them on
stderr, and as a JSON object with ``--json``, and sets the exit code.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Mapping
from traceback import extract_tb
from typing import TYPE_CHECKING

import click

from lstm2d.cli import streams
from lstm2d.cli.failures import show_failure, traceback_of
from lstm2d.cli.interrupts import Interruptible
from lstm2d.cli.option_names import with_options
from lstm2d.cli.tables import Table
from lstm2d.cli.text import to_json
from lstm2d.errors import Lstm2dError
from lstm2d.shown import printable, shown, shown_lines
from lstm2d.waits import heard_by

if TYPE_CHECKING:
    from lstm2d.cli.terminal import Bar

PROGRESS_SECONDS = 10.0  # between two plain progress lines if stderr is not a terminal
LIVE_SECONDS = 0.1  # between two redraws of the bar


class Console:
    """Writes text for people on stderr and JSON for programs on stdout.

    Parameters
    ----------
    as_json : bool, default False
        Write JSON on stdout.
    quiet : bool, default False
        Write no notes and no progress.
    """

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.finished = False  # the result was written: later errors are not written as JSON
        self._bar: Bar | None = None
        self._shown_at = time.monotonic()
        self._faults: set[str] = set()
        self._waiting = False  # a line says what is waited for

    def say(self, text: str, block: str = "") -> None:
        """Write a note, unless ``--quiet``.

        Parameters
        ----------
        text : str
            The note; further lines are indented, so that names in it cannot forge another note.
        block : str, optional
            Lines that follow as they are, such as a file.
        """
        if not self.quiet:
            self._write("\n".join(filter(None, (shown_lines(with_options(text)), block))))

    def warn(self, text: str) -> None:
        """Write a warning, also with ``--quiet``."""
        self._write(f"Warning: {shown_lines(with_options(text))}")

    def fault(self, error: Exception, where: object) -> None:
        """Write the traceback of an unexpected error after which work continues.

        Parameters
        ----------
        error : Exception
            The error. Errors of the same type from the same line are written once; a `MemoryError` is not
            written, as it is not a bug.
        where : object
            What was being processed.
        """
        *_, last = extract_tb(error.__traceback__)
        fault = getattr(error, "place", f"{type(error).__name__}, {last.filename}:{last.lineno}")
        if fault not in self._faults and not isinstance(error, MemoryError):
            self._faults.add(fault)
            what = f"Warning: {shown(where)}: an error in the program, please report it"
            self._write(f"{what}\n{traceback_of(error).rstrip()}")

    def answer(self, *parts: str | Table) -> None:
        """Write the answer of the command: on stdout, or on stderr with ``--json``.

        Parameters
        ----------
        *parts : str or Table
            Separated by empty lines.
        """
        if self.as_json and self.quiet:
            return
        stream = sys.stderr if self.as_json else sys.stdout
        columns = streams.columns(stream)
        if columns is None or not any(isinstance(part, Table) for part in parts):
            self._write("\n\n".join(map(str, parts)), err=self.as_json)
            return
        from lstm2d.cli.terminal import show

        self.end_progress()
        show(parts, stream, columns)

    def event(self, content: Mapping[str, object]) -> None:
        """Write one JSON line on stdout, before the result; nothing without ``--json``."""
        if self.as_json:
            self.end_progress()
            click.echo(to_json(content))

    def result(self, content: Mapping[str, object]) -> None:
        """Write the final JSON object; nothing without ``--json``."""
        self.event(content)
        self.finished = True

    def progress(self, text: str, done: float | None = None, total: float | None = None) -> None:
        """Show progress: a bar on a terminal, else a plain line every few seconds.

        Parameters
        ----------
        text : str
            The plain line; it follows the bar.
        done, total : float, optional
            Completed and total work, in any unit.
        """
        # while there is a bar, sys.stderr is a proxy that in older versions of rich is no terminal
        columns = streams.columns(sys.stderr if self._bar is None else self._bar.stream)
        seconds = PROGRESS_SECONDS if columns is None else LIVE_SECONDS
        if self.quiet or time.monotonic() - self._shown_at < seconds:
            return
        self._shown_at = time.monotonic()
        if columns is None:
            self._write(shown(text))
        elif self._bar is not None or done is None or done != total:  # else already done: draw no bar
            from lstm2d.cli.terminal import Bar

            self._bar = self._bar or Bar(sys.stderr)
            self._bar.draw(shown(text), done, total, columns)

    def waiting(self, what: str, seconds: float) -> None:
        """Show what the user is waiting for: a line, then its seconds as progress."""
        if not self._waiting:
            self._waiting = True
            self.say(f"{what} ...")
        self.progress(f"{what}: {seconds:.0f} s")

    def end_progress(self) -> None:
        """Remove the bar from the terminal."""
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.close()

    def _write(self, text: str, *, err: bool = True) -> None:
        self.end_progress()
        click.echo(printable(text), err=err)


def output_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--json``, ``--quiet`` and ``--traceback``; report errors and set the exit code.

    Parameters
    ----------
    command : callable
        Takes a `Console` and then the command's own parameters.

    Returns
    -------
    callable
        To be decorated by `click.command` and its options.
    """

    @click.option("--json", "as_json", is_flag=True, help="Write one JSON object on stdout.")
    @click.option("--quiet", "-q", is_flag=True, help="Write only warnings, errors and the result.")
    @click.option(
        "--traceback",
        is_flag=True,
        envvar="LSTM2D_TRACEBACK",
        help="Show the Python traceback of an error.",
    )
    @functools.wraps(command)
    def run(*args: object, as_json: bool, quiet: bool, traceback: bool, **kwargs: object) -> None:
        console, signals = Console(as_json=as_json, quiet=quiet), Interruptible()
        try:
            with signals, heard_by(console.waiting):
                try:
                    command(console, *args, **kwargs)
                finally:
                    console.end_progress()
        except (click.ClickException, click.exceptions.Exit):
            raise  # click reports wrong usage and early exits
        except (Exception, KeyboardInterrupt) as error:
            if signals.asked and not isinstance(error, Lstm2dError):
                error = KeyboardInterrupt()  # native code may have replaced it by another exception
            as_json = as_json and not console.finished
            code = show_failure(error, as_json=as_json, traceback=traceback)
            click.get_current_context().exit(code)

    return run
