"""Command line: `lstm2d predict | evaluate | train | ...`."""

from __future__ import annotations

# signal imports enum first: for a millisecond, Ctrl-C would show a traceback
import _signal  # type: ignore[import-not-found]
import atexit
import os

TYPE_CHECKING = False  # importing typing takes milliseconds
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType
    from typing import NoReturn

RANKS = {"PMI_RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK"}  # variables that a launcher of MPI programs sets


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run a command line in this process, and exit with its code.

    Parameters
    ----------
    args : sequence of str, optional
        The command line without the program's name; by default that of this process.
    """
    if _signal.getsignal(_signal.SIGINT) != _signal.SIG_IGN:
        # until a command has something to clean up, see `Interruptible`
        _signal.signal(_signal.SIGINT, leave)
        # ignored while the interpreter shuts down
        atexit.register(_signal.signal, _signal.SIGINT, _signal.SIG_IGN)
    from lstm2d.cli import streams

    streams.guard()
    from lstm2d.cli.own_caches import keep_caches_together

    keep_caches_together()
    if not RANKS.isdisjoint(os.environ):
        from lstm2d.cli.launched import run_launched

        run_launched(args)
    from lstm2d.cli.program import program

    program.main(args, prog_name="lstm2d")


def leave(number: int, frame: FrameType | None) -> NoReturn:
    """End the process at once; a signal handler.

    No exception is raised: during an import it might be replaced by another one, or lost.
    """
    try:
        os.write(2, b"Interrupted.\n")
    finally:  # also if writing fails
        os._exit(130)
