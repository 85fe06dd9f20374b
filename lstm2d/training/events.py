"""What a training run tells whoever started it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
