"""Schedules of the learning rate."""

from __future__ import annotations

import math
from collections.abc import Sequence


def learning_rate(
    step: int,
    total: int,
    *,
    rate: float,
    schedule: str,
    warmup_steps: int = 0,
    step_factor: float = 10.0,
    step_every: int = 0,
    step_at: Sequence[float] = (),
) -> float:
    """Return the learning rate of one step.

    Parameters
    ----------
    step : int
        Steps done before it, from 0.
    total : int
        Steps of the whole stage.
    rate : float
        Largest rate.
    schedule : str
        "constant"; "linear" and "cosine" fall to 0 after the last step; "step" falls by a constant factor at
        given steps.
    warmup_steps : int, default 0
        First steps, in which the rate rises linearly to `rate`; the schedule begins after them.
    step_factor : float, default 10.0
        Divisor of the rate at each fall of "step".
    step_every : int, default 0
        Number of steps between falls; 0 for none.
    step_at : sequence of float, default ()
        Fractions of the stage after which it falls.

    Returns
    -------
    float
        Never negative; 0 after the last step of a falling schedule.

    Examples
    --------
    >>> [learning_rate(t, 4, rate=1.0, schedule="linear") for t in range(4)]
    [1.0, 0.75, 0.5, 0.25]
    """
    if step < warmup_steps:
        return rate * (step + 1) / warmup_steps
    if schedule == "constant":
        return rate
    done = min(1.0, (step - warmup_steps) / max(1, total - warmup_steps))
    if schedule == "linear":
        return rate * (1.0 - done)
    if schedule == "cosine":
        return rate * 0.5 * (1.0 + math.cos(math.pi * done))
    if schedule == "step":
        falls = (step - warmup_steps) // step_every if step_every else 0
        return rate / step_factor ** (falls + sum(done >= fraction for fraction in step_at))
    raise ValueError(f"unknown schedule {schedule!r}")
