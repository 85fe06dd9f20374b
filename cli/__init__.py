"""Command line: `lstm2d predict | evaluate | train | ...`."""

from __future__ import annotations

# signal itself first imports enum: a millisecond in which Ctrl-C would be a traceback
import _signal  # type: ignore[import-not-found]
import atexit
import os

TYPE_CHECKING = False  # typing takes milliseconds too
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType
    from typing import NoReturn


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run a command line in this process, and exit with its code.

    Parameters
    ----------
    args : sequence of str, optional
        The command line without the program's name; by default that of this process.
    """
    if _signal.getsignal(_signal.SIGINT) != _signal.SIG_IGN:
        _signal.signal(
            _signal.SIGINT, leave
        )  # until a command has something to clean up, see `Interruptible`
        atexit.register(
            _signal.signal, _signal.SIGINT, _signal.SIG_IGN
        )  # done: Python only takes itself apart
    from lstm2d.cli import streams

    streams.guard()
    from lstm2d.cli.program import program

    program.main(args, prog_name="lstm2d")


def leave(number: int, frame: FrameType | None) -> NoReturn:
    """End the process at once, as the handler of a signal.

    No exception is raised: in an import it might be turned into another one, or be lost.
    """
    try:
        os.write(2, b"Interrupted.\n")
    finally:  # also if it cannot be written
        os._exit(130)
