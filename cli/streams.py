"""Standard streams that cannot stop the work: text that cannot be written is dropped, and remembered.

All text goes through them, also that of click and of Python's warnings: `guard` replaces ``sys.stdout`` and
``sys.stderr`` when the program starts, and `unwritten` returns at its end what went wrong.
"""

from __future__ import annotations

import io
import os
import select
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

CLOSED = -1  # a descriptor that no file has: writing to it fails as to a closed one


class Sink(io.RawIOBase):
    """Writes to a descriptor; what cannot be written is dropped.

    Parameters
    ----------
    descriptor : int
        Where to write; it is never closed.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.error: OSError | None = None  # the first one

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the descriptor."""
        return self.descriptor

    def isatty(self) -> bool:
        """Return whether the descriptor is a terminal that is still there."""
        return self.descriptor != CLOSED and os.isatty(self.descriptor)

    def write(self, data: ReadableBuffer) -> int:
        """Write all of `data`, or as much as is possible.

        Parameters
        ----------
        data : bytes-like
            What to write.

        Returns
        -------
        int
            The length of `data` in any case.
        """
        view = memoryview(data).cast("B")
        size = len(view)
        try:
            while view:
                view = view[self._write_some(view) :]
        except OSError as error:  # the next line may find room, or another reader: it is tried
            self.error = self.error or error
        return size

    def _write_some(self, view: memoryview) -> int:
        while True:
            try:
                return os.write(self.descriptor, view)
            except BlockingIOError:  # a pipe that another program has made non-blocking: wait for its reader
                select.select([], [self.descriptor], [])


def guard() -> None:
    """Make the standard streams of this process such that writing never fails.

    Descriptors 0 to 2 that are closed are opened, so that no file gets one of these numbers and then the text
    meant for people. A stream that was closed stays one that cannot be written. Streams that the program's
    host has replaced are left alone.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):
                os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number: this one
    if sys.stdout is sys.__stdout__:
        sys.stdout = _guarded(sys.stdout, 1)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _guarded(sys.stderr, 2)


def _guarded(stream: TextIO | None, descriptor: int) -> TextIO:
    """Return a stream that never fails; `stream` is None if Python found the descriptor closed."""
    return io.TextIOWrapper(  # type: ignore[type-var]  # without a buffer, nothing is left over at the exit
        Sink(CLOSED if stream is None else descriptor),
        encoding=getattr(stream, "encoding", None) or "utf-8",
        errors="backslashreplace",
        write_through=True,
    )


def unwritten(stream: TextIO) -> OSError | None:
    """Return why something could not be written to a guarded stream; None if everything was."""
    sink = getattr(stream, "buffer", None)
    return sink.error if isinstance(sink, Sink) else None


def columns(stream: TextIO | None) -> int | None:
    """Return the width of the terminal that a stream writes to.

    Parameters
    ----------
    stream : text stream or None
        Any stream, None for one that is closed.

    Returns
    -------
    int or None
        Columns; 80 if the terminal does not know its width. None if the stream is no terminal, or a dumb
        one, on which nothing can be drawn.
    """
    try:
        if stream is None or os.environ.get("TERM") in ("dumb", "unknown") or not stream.isatty():
            return None
    except (AttributeError, ValueError):  # one of a host that has only write(); closed
        return None
    try:
        width = int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        width = 0
    if width <= 0:
        with suppress(OSError):  # the terminal went away meanwhile
            width = os.get_terminal_size(stream.fileno()).columns
    return width if width > 0 else 80
