"""The time of a run and of its stages."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from lstm2d.training.listeners import Listener
from lstm2d.training.run import Run


class TimeLimit(Listener):
    """Ends a run or a stage after a time.

    Parameters
    ----------
    run : Run
        The run; its stages have limits of their own.
    limit : float
        Seconds of the run, over all sessions; infinity for no limit.

    Attributes
    ----------
    is_unfitted : bool
        Whether the length of the run is still to be fitted to its limit. Runs that began without a limit, or
        with an earlier version, are never fitted: steps that were done belong to a longer schedule.
    """

    def __init__(self, run: Run, limit: float) -> None:
        self.run, self.limit, self.before = run, limit, 0.0
        self.started = time.monotonic()
        self.stage_began = 0.0  # seconds of the run when the stage began
        self.is_unfitted = math.isfinite(limit)

    @property
    def seconds(self) -> float:
        """Time that the run has taken, in all its sessions."""
        return self.before + time.monotonic() - self.started

    @property
    def seconds_left(self) -> float:
        """Time until a limit is reached."""
        return min(self.limit, self.stage_began + self.run.active.stage.seconds) - self.seconds

    def why_stop(self) -> str:
        """Return "time" if that of the run is up, "minutes" if that of the stage is."""
        if self.seconds >= self.limit:
            return "time"
        return "minutes" if self.seconds_left <= 0 else ""

    def begin_stage(self) -> None:
        """Begin to measure the stage."""
        self.stage_began = self.seconds

    def state_dict(self) -> dict[str, Any]:
        """Return the time taken, and that before the stage."""
        state = {"seconds": self.seconds, "stage_began": self.stage_began}
        return state | ({"unfitted": True} if self.is_unfitted else {})

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the time of the sessions before."""
        self.before = state["seconds"]
        self.stage_began = state.get("stage_began", 0.0)  # missing before stages had limits
        self.is_unfitted = math.isfinite(self.limit) and state.get("unfitted", False)
