"""Progress and result of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any


@dataclass(slots=True)
class Progress:
    """The counters of a run.

    Parameters
    ----------
    step : int
        Steps done.
    epoch : int
        Epochs completed.
    position : int
        Examples of the current epoch done; all of them until its validation has ended.
    busy : float
        Seconds of training steps in the current epoch.
    loss : float
        Sum of the loss over the examples of the current epoch.
    terms : float
        Number of terms of the loss, such as labelled pixels or windows.
    norm : float
        Sum of the gradient's norm over the steps of the current epoch.
    clipped : int
        Steps of the current epoch with a clipped gradient.
    stage : int
        Number of the current stage, from 0.
    stage_step, stage_epoch : int
        Steps and epochs before that stage.
    """

    step: int = 0
    epoch: int = 0
    position: int = 0
    busy: float = 0.0
    loss: float = 0.0
    terms: float = 0.0
    norm: float = 0.0
    clipped: int = 0
    stage: int = 0
    stage_step: int = 0
    stage_epoch: int = 0

    def next_epoch(self) -> None:
        """Count an epoch and reset the sums."""
        self.epoch += 1
        self.position = self.clipped = 0
        self.busy = self.loss = self.terms = self.norm = 0.0

    def next_stage(self) -> None:
        """Begin a stage, with a new epoch."""
        if self.position:
            self.next_epoch()
        self.stage += 1
        self.stage_step, self.stage_epoch = self.step, self.epoch

    def to_dict(self) -> dict[str, Any]:
        """Return all values, for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Progress:
        """Return the inverse of `to_dict`; a checkpoint without stages is in the first one."""
        values = {"stage": 0, "stage_step": 0, "stage_epoch": 0} | dict(values)
        return cls(**{field.name: values[field.name] for field in fields(cls)})


@dataclass(frozen=True, slots=True)
class TrainResult:
    """Result of a run.

    Parameters
    ----------
    run : Path
        The run folder.
    epochs : int
        Epochs completed.
    steps : int
        Steps done.
    seconds : float
        Time taken in all sessions.
    best : dict of str to float
        Validation metrics of the saved model; None without a validation, or without a model.
    model : Path or None
        The saved model; None if the run ended in a stage before the first one that saves it.
    reason : str
        Why the run ended: "epochs", "steps", "time", "patience" or "minutes".
    """

    run: Path
    epochs: int
    steps: int
    seconds: float
    best: dict[str, float | None]
    model: Path | None
    reason: str
