"""How the learning rate changes over the steps of a run."""

from __future__ import annotations

import math


def learning_rate(step: int, total: int, *, rate: float, schedule: str, warmup_steps: int = 0) -> float:
    """Return the learning rate of one step.

    Parameters
    ----------
    step : int
        Steps done before, from 0.
    total : int
        Steps of the whole run.
    rate : float
        Largest rate.
    schedule : str
        "constant"; "linear" and "cosine" fall to 0 behind the last step.
    warmup_steps : int, default 0
        First steps, in which the rate rises linearly to `rate`; the schedule begins behind them.

    Returns
    -------
    float
        Never negative; 0 behind the last step of a falling schedule.

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
    raise ValueError(f"unknown schedule {schedule!r}")
