"""The time of a run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from lstm2d.training.listeners import Listener


class TimeLimit(Listener):
    """Ends a run after a time.

    Parameters
    ----------
    limit : float
        Seconds, over all sessions; infinity for no limit.
    """

    def __init__(self, limit: float) -> None:
        self.limit, self.before = limit, 0.0
        self.started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Time that the run has taken, in all its sessions."""
        return self.before + time.monotonic() - self.started

    def why_stop(self) -> str:
        """Return "time" if it is up."""
        return "time" if self.seconds >= self.limit else ""

    def state_dict(self) -> dict[str, Any]:
        """Return the time taken."""
        return {"seconds": self.seconds}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the time of the sessions before."""
        self.before = state["seconds"]
