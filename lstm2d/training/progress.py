"""Where a run stands, and what it gives in the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from lstm2d.config import TrainSection


@dataclass(slots=True)
class Progress:
    """The numbers of a run that change with every step.

    Parameters
    ----------
    step : int
        Steps done.
    epoch : int
        Epochs completed.
    position : int
        Images of the current epoch done; all of them while its validation has not ended.
    seconds : float
        Time the run has taken in all its sessions.
    busy : float
        Seconds of training steps in the current epoch.
    loss : float
        Sum of the loss over the images of the current epoch.
    terms : float
        How many terms it has: labelled pixels, or windows, as the network counts.
    norm : float
        Sum of the gradient's norm over the steps of the current epoch.
    clipped : int
        Steps of the current epoch with a clipped gradient.
    stale : int
        Validations since the best one.
    validated : int
        Step of the last validation; -1 before the first.
    best : dict or None
        Metrics of the best validation with its "epoch" and "step"; None before the first.
    """

    step: int = 0
    epoch: int = 0
    position: int = 0
    seconds: float = 0.0
    busy: float = 0.0
    loss: float = 0.0
    terms: float = 0.0
    norm: float = 0.0
    clipped: int = 0
    stale: int = 0
    validated: int = -1
    best: dict[str, Any] | None = None

    def next_epoch(self) -> None:
        """Count an epoch and begin the sums of the next one."""
        self.epoch += 1
        self.position = self.clipped = 0
        self.busy = self.loss = self.terms = self.norm = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return all values, for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Progress:
        """Return what `to_dict` was called on."""
        return cls(**{field.name: values[field.name] for field in fields(cls)})


def nothing_left(reason: str, progress: Progress, train: TrainSection) -> str:
    """Return in words why a run has nothing left to train.

    Parameters
    ----------
    reason : str
        Why it ends here, as in `TrainResult`; "" if it goes on.
    progress : Progress
        Where it stands.
    train : TrainSection
        How long it was to go.

    Returns
    -------
    str
        "" if it goes on, or would with more time.
    """
    texts = {
        "epochs": f"{progress.epoch} epochs are done already, train.epochs is {train.epochs}",
        "steps": f"{progress.step} steps are done already, train.steps is {train.steps}",
        "patience": f"{progress.stale} validations since the best one, train.patience is {train.patience}",
    }
    return f"nothing is left to train: {texts[reason]}; a higher number goes on" if reason in texts else ""


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a run has led to.

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
        Validation metrics of the saved model.
    model : Path
        The saved model.
    reason : str
        Why the run ended: "epochs", "steps", "time" or "patience".
    """

    run: Path
    epochs: int
    steps: int
    seconds: float
    best: dict[str, float | None]
    model: Path
    reason: str
