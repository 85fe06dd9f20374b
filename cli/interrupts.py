"""Handle signals that stop a running command."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from lstm2d.cli import leave
from lstm2d.training.signals import SignalHandler

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

RETRY_SECONDS = 0.02  # before a signal that could not be handled is retried
# Windows has neither alarms nor their timer: a thread sends another signal, which is handled in the same way
ALARM: int = getattr(signal, "SIGALRM", signal.SIGTERM)
_set_timer: Any = getattr(signal, "setitimer", None)
_CLOCK: int = getattr(signal, "ITIMER_REAL", 0)


class Interruptible(SignalHandler):
    """While active, Ctrl-C, SIGTERM and SIGHUP raise KeyboardInterrupt, so that temporary files are removed.

    During an import the exception is delayed until the import is complete: an extension module might replace
    or lose it. A second Ctrl-C in the meantime ends the process at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self._waiting = False
        self._timer: threading.Timer | None = None
        self._base: FrameType | None = None
        self._hook = sys.unraisablehook

    def __enter__(self) -> Self:
        """Install the handlers."""
        self._base = sys._getframe(1)
        sys.unraisablehook = self._unraisable
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Restore the previous handlers."""
        if self._waiting:
            self._retry_in(0)
        super().__exit__(kind, error, trace)
        sys.unraisablehook = self._hook
        self._base = None

    def receive(self, number: int, frame: FrameType | None, repeated: bool) -> None:
        """Raise KeyboardInterrupt, now or after the current import."""
        if self._waiting and number == signal.SIGINT:
            leave(number, frame)
        if self._importing(frame):
            self._retry()
        else:
            self._waiting = False
            raise KeyboardInterrupt

    def _importing(self, frame: FrameType | None) -> bool:
        """Return whether a frame is within an import by the command."""
        while frame is not None and frame is not self._base:
            if frame.f_code.co_filename.startswith("<frozen importlib"):
                return True
            frame = frame.f_back
        return False

    def _retry(self) -> None:
        self._waiting = True
        if ALARM not in self._before:
            self.take(ALARM)
        self._retry_in(RETRY_SECONDS)

    def _retry_in(self, seconds: float) -> None:
        """Send the alarm once, later; 0 sends none."""
        if _set_timer is not None:  # it also ends a call of the system that waits
            _set_timer(_CLOCK, seconds)
            return
        if self._timer is not None:
            self._timer.cancel()
        if seconds:
            self._timer = threading.Timer(seconds, _thread.interrupt_main, [ALARM])
            self._timer.daemon = True
            self._timer.start()

    def _unraisable(self, args: UnraisableHookArgs) -> None:
        """Retry an interrupt that arrived where no exception can be raised, such as in a destructor."""
        if issubclass(args.exc_type, KeyboardInterrupt):
            self._retry()
        else:
            self._hook(args)
