"""What all commands share: where text and JSON go, and what an error looks like.

A command is declared as::

    @click.command()
    @click.option(...)
    @output_options
    def predict(console: Console, ...) -> None:

It gets a `Console`, and raises `Lstm2dError` for whatever the user has to know; the decorator turns that
into a message on stderr, one JSON object with ``--json``, and the exit code.
"""

from __future__ import annotations

import errno
import functools
import json
import math
import os
import sys
import time
import traceback as tracebacks
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any

import click

from lstm2d.cli import streams
from lstm2d.cli.interrupts import Interruptible
from lstm2d.errors import ConfigError, DataError, Lstm2dError, OutputError

INTERRUPTED = 130
PROGRESS_SECONDS = 10.0  # between two plain progress lines when stderr is no terminal
LIVE_SECONDS = 0.1  # between two redraws of the live line
# an OSError of these kinds that nobody translated is a result that could not be written
OUTPUT_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EFBIG, errno.EPERM, errno.EPIPE}


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
        self.finished = False  # the result was written: an error after it gets no JSON of its own
        self._live = 0  # characters of the live line on the terminal
        self._shown_at = time.monotonic()

    def say(self, text: str) -> None:
        """Tell people something that the result does not depend on."""
        if not self.quiet:
            self._write(text)

    def warn(self, text: str) -> None:
        """Tell people something they should act upon; shown even with ``--quiet``."""
        self._write(f"Warning: {text}")

    def answer(self, text: str) -> None:
        """Show the text that the command was called for: on stdout, or on stderr with ``--json``."""
        if not self.as_json:
            self._write(text, err=False)
        elif not self.quiet:
            self._write(text)

    def event(self, content: Mapping[str, object]) -> None:
        """Write one JSON line on stdout, before the result; nothing without ``--json``."""
        if self.as_json:
            self.end_progress()
            click.echo(to_json(content))

    def result(self, content: Mapping[str, object]) -> None:
        """Write the one JSON object that a program reads; nothing without ``--json``."""
        self.event(content)
        self.finished = True

    def progress(self, text: str) -> None:
        """Show how far the work is: one live line on a terminal, elsewhere a plain line now and then."""
        if self.quiet:
            return
        columns = streams.columns(sys.stderr)
        live = columns is not None
        if time.monotonic() - self._shown_at < (LIVE_SECONDS if live else PROGRESS_SECONDS):
            return
        self._shown_at = time.monotonic()
        if columns is None:
            self._write(text)
            return
        line = printable(text)[: columns - 1]
        click.echo("\r" + line.ljust(self._live), nl=False, err=True)
        self._live = len(line)

    def end_progress(self) -> None:
        """Take the live line off the terminal."""
        if self._live:
            click.echo("\r" + " " * self._live + "\r", nl=False, err=True)
            self._live = 0

    def _write(self, text: str, *, err: bool = True) -> None:
        self.end_progress()
        click.echo(printable(text), err=err)


def printable(text: str) -> str:
    """Return `text` without what could steer a terminal or cannot be encoded: names come from files."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c if c == "\n" or c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


def to_json(content: object) -> str:
    """Return `content` as one line of JSON; arrays become lists, paths text, NaN and infinity null."""
    return json.dumps(_plain(content), allow_nan=False)


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):  # a NumPy array or number
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def output_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--json``, ``--quiet`` and ``--traceback``, and give errors their form and exit code.

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
    @click.option("--quiet", "-q", is_flag=True, help="Write nothing but warnings, errors and the result.")
    @click.option(
        "--traceback",
        is_flag=True,
        envvar="LSTM2D_TRACEBACK",
        help="With an error, show where in the program it arose.",
    )
    @functools.wraps(command)
    def run(*args: object, as_json: bool, quiet: bool, traceback: bool, **kwargs: object) -> None:
        console, signals = Console(as_json=as_json, quiet=quiet), Interruptible()
        try:
            with signals:
                command(console, *args, **kwargs)
                console.end_progress()
        except (click.ClickException, click.exceptions.Exit):
            raise  # wrong usage and early exits have their form from click
        except (Exception, KeyboardInterrupt) as error:
            console.end_progress()
            if signals.asked and not isinstance(error, Lstm2dError):
                error = KeyboardInterrupt()  # native code may have made another one of it
            as_json = as_json and not console.finished
            code = report_failure(error, as_json=as_json, traceback=traceback)
            click.get_current_context().exit(code)

    return run


def report_failure(error: BaseException, *, as_json: bool, traceback: bool) -> int:
    """Tell people, and with `as_json` programs, what went wrong.

    Parameters
    ----------
    error : BaseException
        What stopped the command.
    as_json : bool
        Write ``{"error": {...}}`` on stdout too.
    traceback : bool
        Show the Python traceback as well.

    Returns
    -------
    int
        The exit code of the process.
    """
    if traceback and not isinstance(error, click.ClickException):
        click.echo(printable("".join(tracebacks.format_exception(error))), err=True, nl=False)
    if isinstance(error, click.ClickException):
        error.show()
        code, described = error.exit_code, {"what": error.format_message()}
    elif isinstance(error, KeyboardInterrupt | click.Abort):
        click.echo("Interrupted.", err=True)
        code, described = INTERRUPTED, {"what": "interrupted"}
    else:
        told = _as_told(error)
        click.echo(printable(f"Error: {told}"), err=True)
        code = told.exit_code
        described = {k: getattr(told, k) for k in ("what", "where", "expected", "hint")}
        described = {k: str(v) for k, v in described.items() if v is not None}
    if as_json:
        kind = type(error).__name__
        click.echo(to_json({"error": {"kind": kind, **described, "exit_code": code}}))
    return code


def final_code(code: int) -> int:
    """Return the exit code of the process: also a command that did its work has failed if its text was lost.

    Parameters
    ----------
    code : int
        What the command itself ended with; its own failure counts more.

    Returns
    -------
    int
        That of `OutputError` where something that was meant for stdout could not be written.
    """
    lost = streams.unwritten(sys.stdout)
    if lost is None or code != 0:
        return code
    if lost.errno == errno.EPIPE:
        return OutputError.exit_code  # the reader has gone, as `head` does: it wants to know no more
    error = OutputError(
        f"cannot write to stdout ({lost.strerror})", hint="send it elsewhere; all files were written"
    )
    return report_failure(error, as_json=False, traceback=False)


def _as_told(error: BaseException) -> Lstm2dError:
    """Return the error in the form that users see."""
    if isinstance(error, FileNotFoundError | DataError | OutputError) and not _has_working_folder():
        error = _without_working_folder(error)
    if isinstance(error, Lstm2dError):
        return error
    if isinstance(error, OSError) and error.errno in OUTPUT_ERRNOS:
        return OutputError(f"cannot write ({error.strerror})", where=error.filename)
    if isinstance(error, MemoryError):
        from lstm2d.kernels.gpu import out_of_memory

        return out_of_memory(error, where=None, hint="use smaller images, or close other programs")
    text = f"unexpected {type(error).__name__}: {error}"
    return Lstm2dError(text, hint="run again with --traceback (or LSTM2D_TRACEBACK=1) to see where it arose")


def _has_working_folder() -> bool:
    try:
        os.getcwd()
    except OSError:
        return False
    return True


def _without_working_folder(error: FileNotFoundError | DataError | OutputError) -> Exception:
    """Return an error that says why a relative path leads nowhere; of an absolute one, the same error."""
    gone = "the working folder was removed"
    where = error.filename if isinstance(error, FileNotFoundError) else error.where
    if where is not None and os.path.isabs(str(where)):
        return error
    if isinstance(error, FileNotFoundError):
        return ConfigError(gone, where=where, hint="change to a folder that exists")
    hint = f"change to a folder that exists: {gone}"
    return type(error)(error.what, where=where, expected=error.expected, hint=hint)
