"""Stop a run cleanly when the user or the system asks for it."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

from lstm2d.training.listeners import Listener

HANGUP: int | None = getattr(signal, "SIGHUP", None)  # not on Windows
ENDING = [number for number in (signal.SIGINT, signal.SIGTERM, HANGUP) if number is not None]


class SignalHandler:
    """While active, `receive` gets the signals that end a program: Ctrl-C, SIGTERM and SIGHUP.

    Signals that the process ignores, as ``nohup`` does with SIGHUP, stay ignored. Outside the main thread,
    where Python delivers no signals, nothing happens.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        """Install the signal handlers."""
        if threading.current_thread() is threading.main_thread():
            for number in ENDING:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self.take(number)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Restore the previous signal handlers."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def take(self, number: int) -> None:
        """Handle a signal."""
        self._before[number] = signal.signal(number, self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        repeated, self.asked = self.asked, True
        if number != HANGUP or not repeated:  # closed terminal: shell and system send it
            self.receive(number, frame, repeated)

    def receive(self, number: int, frame: FrameType | None, repeated: bool) -> None:
        """Act on a signal, the first or a later one. Defined by subclasses."""
        raise NotImplementedError


class StopSignal(SignalHandler, Listener):
    """While active, the first Ctrl-C, SIGTERM or SIGHUP only sets `asked`; the second ends the program."""

    def receive(self, number: int, frame: FrameType | None, repeated: bool) -> None:
        """Raise KeyboardInterrupt for the second signal."""
        if repeated:
            raise KeyboardInterrupt

    def why_stop(self) -> str:
        """Return "signal" after the first signal."""
        return "signal" if self.asked else ""
