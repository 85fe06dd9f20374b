"""Early stopping."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lstm2d.training.listeners import EpochEnd, Listener
from lstm2d.training.run import Run


class Patience(Listener):
    """Ends a stage after `train.patience` validations that are not better than the best one.

    Parameters
    ----------
    run : Run
        The run.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.stale = 0  # validations since the best one

    def end_epoch(self, end: EpochEnd) -> None:
        """Count a validation."""
        if end.metrics:
            self.stale = 0 if end.best else self.stale + 1

    def why_stop(self) -> str:
        """Return "patience" if it is at its end."""
        patience = self.run.active.train.patience
        return "patience" if patience and self.stale >= patience and not self.run.epoch_is_full else ""

    def begin_stage(self) -> None:
        """Begin to count anew."""
        self.stale = 0

    def state_dict(self) -> dict[str, Any]:
        """Return the number of validations since the best one."""
        return {"stale": self.stale}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the number of validations since the best one."""
        self.stale = state["stale"]
