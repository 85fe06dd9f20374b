"""Checkpoints of a run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from lstm2d.training.checkpoint import save_checkpoint
from lstm2d.training.diagnose import check_weights
from lstm2d.training.events import Report
from lstm2d.training.listeners import EpochEnd, Listener
from lstm2d.training.run import Run


class Checkpoints(Listener):
    """Saves a checkpoint after every epoch and every `train.checkpoint_minutes`.

    Parameters
    ----------
    run : Run
        The run.
    tell : callable
        Gets the event if the weights cannot be saved.
    state : callable
        Returns the state of all listeners.
    """

    def __init__(self, run: Run, tell: Report, state: Callable[[], dict[str, Any]]) -> None:
        self.run, self.tell, self.state = run, tell, state
        self.is_due = False
        self.saved_at = time.monotonic()
        self.saved = self._place() if run.resumed else None  # what the last checkpoint holds

    def _place(self) -> tuple[int, int, int]:
        progress = self.run.progress
        return progress.stage, progress.epoch, progress.step

    def end_epoch(self, end: EpochEnd) -> None:
        """Have a complete epoch saved, after it is counted."""
        self.is_due = end.complete

    def after_step(self) -> None:
        """Save if it is time."""
        minutes = self.run.config.train.checkpoint_minutes or math.inf
        if self.is_due or time.monotonic() - self.saved_at > 60 * minutes:
            self.save()

    def save(self, *, anew: bool = False) -> None:
        """Write a checkpoint, unless the last one holds the same.

        Parameters
        ----------
        anew : bool, default False
            Write it in any case.

        Raises
        ------
        DivergedError
            If the weights are not finite, or out of any sensible range.
        OutputError
            If it cannot be written.
        """
        run = self.run
        self.is_due, self.saved_at = False, time.monotonic()
        if self.saved == self._place() and not anew:
            return
        check_weights(run, self.tell)
        save_checkpoint(run.folder.checkpoints, run.progress.step, run.checkpoint(self.state()))
        self.saved = self._place()
