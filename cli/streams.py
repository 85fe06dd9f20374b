"""Standard streams whose write errors do not stop a command: the text is dropped and the error recorded.

All text, also of click and Python's warnings, is written to them: `guard` replaces ``sys.stdout`` and
``sys.stderr`` when the program starts, and `unwritten` returns the first error at its end.
"""

from __future__ import annotations

import io
import os
import select
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

CLOSED = -1  # an invalid descriptor: writing fails as for a closed one
PAUSE = 0.01  # seconds


class Sink(io.RawIOBase):
    """Write to a descriptor; drop what cannot be written.

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
        """Return whether the descriptor is an open terminal."""
        return self.descriptor != CLOSED and os.isatty(self.descriptor)

    def write(self, data: ReadableBuffer) -> int:
        """Write `data`, as far as possible.

        Parameters
        ----------
        data : bytes-like
            What to write.

        Returns
        -------
        int
            Always the length of `data`.
        """
        view = memoryview(data).cast("B")
        size = len(view)
        try:
            while view:
                view = view[self._write_some(view) :]
        except OSError as error:  # later writes are still tried: space may be freed
            self.error = self.error or error
        return size

    def _write_some(self, view: memoryview) -> int:
        while True:
            try:
                return os.write(self.descriptor, view)
            except BlockingIOError:  # a pipe made non-blocking by another program: wait for its reader
                if sys.platform == "win32":  # where only sockets can be waited for
                    time.sleep(PAUSE)
                else:
                    select.select([], [self.descriptor], [])


def guard() -> None:
    """Replace the standard streams of this process so that writing never fails.

    Closed descriptors 0 to 2 are opened on the null device, so that no other file gets these numbers and the
    text written to them. Writing to a stream that was closed is still recorded as an error. Streams that the
    host program has replaced are not changed.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):
                os.set_inheritable(
                    os.open(os.devnull, os.O_RDWR), True
                )  # gets the lowest free number, this one
    if sys.stdout is sys.__stdout__:
        sys.stdout = _guarded(sys.stdout, 1)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _guarded(sys.stderr, 2)


def _guarded(stream: TextIO | None, descriptor: int) -> TextIO:
    """Return a stream that never fails; `stream` is None if Python found the descriptor closed."""
    return io.TextIOWrapper(  # type: ignore[type-var]  # unbuffered: nothing remains at exit
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
        Any stream; None if closed.

    Returns
    -------
    int or None
        Columns; 80 if the width is unknown. None if the stream is not a terminal, or a dumb one that cannot
        be drawn on.
    """
    try:
        if stream is None or os.environ.get("TERM") in ("dumb", "unknown") or not stream.isatty():
            return None
    except (AttributeError, ValueError):  # a replaced stream with only write(), or closed
        return None
    try:
        width = int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        width = 0
    if width <= 0:
        with suppress(OSError):  # the terminal was closed in the meantime
            width = os.get_terminal_size(stream.fileno()).columns
    return width if width > 0 else 80
