"""What a training run tells whoever started it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

Kind = str


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Parameters
    ----------
    kind : {"start", "step", "epoch", "checkpoint", "best", "features", "note", "warning", "stop"}
        What happened. All but "step" are written to log.jsonl.
    values : mapping
        Numbers and texts that JSON can hold.
    """

    kind: Kind
    values: Mapping[str, Any] = field(default_factory=dict)


Report = Callable[[Event], None]


def silent(event: Event) -> None:
    """Take an event and do nothing with it."""


def best_effort(report: Report) -> Report:
    """Return a listener that drops what cannot be written: a run does not depend on who listens.

    Parameters
    ----------
    report : callable
        Its OSErrors, of a full disk or a closed pipe, are ignored; it still gets the next event.

    Returns
    -------
    callable
        To be called in its place.
    """

    def deliver(event: Event) -> None:
        with suppress(OSError):
            report(event)

    return deliver
