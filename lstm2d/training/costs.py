"""What the steps of a run cost in time, and how many of them fit into one."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCost:
    """The time that a stage takes; all times in seconds.

    Parameters
    ----------
    steps : int
        Its length as configured; 0 for a stage that is left out.
    epoch_steps : int
        Steps of an epoch.
    step : float
        Time of a step.
    validation : float, default 0.0
        Time of a validation.
    validate_every : int, default 1
        Epochs between validations.
    checkpoint : float, default 0.0
        Time to write a checkpoint; a model file takes no longer.
    checkpoint_every : float, default infinity
        Time between checkpoints besides those after each epoch.
    feature : float, default 0.0
        Time to compute the features of one image.
    absent : float, default 0.0
        Number of inputs of epochs without cached features.
    absent_validation : float, default 0.0
        The same of validations.
    examples : int, default 1
        Examples of an epoch. If no example is used twice, only the features of those used are computed.
    batch : int, default 1
        Examples of a step.
    longest : float, default infinity
        Time after which the stage ends in any case.
    """

    steps: int
    epoch_steps: int
    step: float
    validation: float = 0.0
    validate_every: int = 1
    checkpoint: float = 0.0
    checkpoint_every: float = math.inf
    feature: float = 0.0
    absent: float = 0.0
    absent_validation: float = 0.0
    examples: int = 1
    batch: int = 1
    longest: float = math.inf

    def seconds(self, steps: int) -> float:
        """Return the time of the stage if it has at most this many steps.

        Parameters
        ----------
        steps : int
            At least 0.

        Returns
        -------
        float
            With features, validations and checkpoints; it never falls as the steps rise.
        """
        steps = min(steps, self.steps)
        if not steps:
            return 0.0
        epochs = -(-steps // self.epoch_steps)
        validations = -(-steps // (self.epoch_steps * self.validate_every))
        used = steps * self.batch
        computed = self.absent if used > self.examples else min(self.absent, used)
        work = steps * self.step + validations * self.validation
        work += self.feature * (computed + self.absent_validation)
        written = epochs + validations + work / self.checkpoint_every
        return min(work + written * self.checkpoint, self.longest)


def steps_that_fit(stages: Sequence[StageCost], seconds: float) -> int:
    """Return the largest number of steps of each stage with which all stages fit into a time.

    Parameters
    ----------
    stages : sequence of StageCost
        At least one, one of them with steps.
    seconds : float
        The time.

    Returns
    -------
    int
        From 1 to the length of the longest stage. A shorter stage keeps its length.
    """
    longest = max(stage.steps for stage in stages)
    fitting = bisect_right(
        range(1, longest + 1), seconds, key=lambda steps: sum(stage.seconds(steps) for stage in stages)
    )
    return max(1, fitting)
