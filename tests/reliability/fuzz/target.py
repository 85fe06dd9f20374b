"""A reader to fuzz, and what it may do with an input."""

from __future__ import annotations

import random
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from lstm2d.errors import Lstm2dError

Mutate = Callable[[bytes], bytes]
Form = Callable[[bytes, random.Random, Mutate], bytes]

CODES = (2, 3, 5)  # exit codes of a command that meets a bad input
MEGABYTE = 2**20


@dataclass(frozen=True)
class Target:
    """A reader of files.

    Parameters
    ----------
    name : str
        Its name.
    seeds : callable
        Returns the bytes of valid files, small ones.
    read : callable
        Reads the file at a path, as a command would. May raise an `Lstm2dError` of one of `CODES`.
    file : str, default "input"
        Name of the file, relative to a folder.
    around : callable, optional
        Writes the other files that the reader needs into the folder, once.
    words : tuple of bytes
        Pieces of the format, which mutations insert.
    forms : tuple of callable
        Mutations that keep the rest of a file valid, such as checksums. They raise ValueError for bytes that
        they cannot take apart.
    seconds : float
        Maximum CPU time for one input.
    megabytes : int
        Maximum growth of the resident memory, besides four times the size of the input.
    """

    name: str
    seeds: Callable[[], Sequence[bytes]]
    read: Callable[[Path], object]
    file: str = "input"
    around: Callable[[Path], None] | None = None
    words: tuple[bytes, ...] = ()
    forms: tuple[Form, ...] = ()
    seconds: float = 2.0
    megabytes: int = 64


class TooSlow(BaseException):
    """The CPU time for one input is used up; no handler of a reader catches it."""


class Reader:
    """A target in a folder, ready to read inputs.

    Parameters
    ----------
    target : Target
        What to run.
    folder : Path
        An empty folder.
    patience : float, default 1.0
        Factor on the CPU time, for code that is slowed down by instrumentation.
    """

    def __init__(self, target: Target, folder: Path, *, patience: float = 1.0) -> None:
        self.target, self._seconds = target, target.seconds * patience
        if target.around is not None:
            target.around(folder)
        self.path = folder / target.file
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def warm_up(self) -> None:
        """Read the seeds: every one is valid, and what is imported late takes no time and memory later."""
        for seed in self.target.seeds():
            self.path.write_bytes(seed)
            self.target.read(self.path)

    def problem(self, data: bytes) -> str | None:
        """Read an input.

        Parameters
        ----------
        data : bytes
            Contents of the file.

        Returns
        -------
        str or None
            What is wrong: another exception than allowed, too much time or memory; None if nothing is.
        """
        self.path.write_bytes(data)
        before = _forget_peak()
        try:
            with _limited(self._seconds), warnings.catch_warnings():
                warnings.simplefilter("error")
                warnings.filterwarnings("default", category=UserWarning, module="lstm2d")
                self.target.read(self.path)
        except Lstm2dError as error:
            if error.exit_code not in CODES:
                return f"exit code {error.exit_code}: {error}"
        except TooSlow:
            return f"more than {self._seconds:g} s of CPU time"
        except Exception as error:  # what is looked for
            return f"{type(error).__name__}: {error}"
        grown = _peak() - before
        allowed = self.target.megabytes * MEGABYTE + 4 * len(data)
        if grown > allowed:
            return f"{grown / MEGABYTE:.0f} MiB of memory for {len(data)} bytes"
        return None


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raise TooSlow in the block after this CPU time."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _forget_peak() -> int:
    """Set the peak of the resident memory to what is resident now, where the system can; return it."""
    with suppress(OSError), open("/proc/self/clear_refs", "wb", buffering=0) as file:
        file.write(b"5")
    return _peak()


def _peak() -> int:
    """Return the peak of the resident memory in bytes; 0 where the system does not state it."""
    with suppress(OSError, ValueError), open("/proc/self/status", "rb", buffering=0) as file:
        return int(file.read(8192).partition(b"VmHWM:")[2].split()[0]) * 1024
    return 0
