"""The best model of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lstm2d.training.listeners import EpochEnd, Listener, metrics_of
from lstm2d.training.model_file import write_model
from lstm2d.training.run import Run
from lstm2d.training.saved_model import SavedModel


class BestModel(Listener):
    """Keeps the model with the best validation of a stage; without labelled validation images, the last one.

    Each stage begins anew: the model of the run is the best of the last stage that was validated.

    Parameters
    ----------
    run : Run
        The run.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.best: dict[str, Any] | None = None  # metrics of the best validation, and its step

    def end_epoch(self, end: EpochEnd) -> None:
        """Save the model if it is the best, or if nothing can be compared."""
        if end.metrics is None:
            return
        if end.metrics:
            select = self.run.active.train.select
            before = self.best
            end.best = before is None or (end.metrics[select] or 0.0) > (before.get(select) or 0.0)
            if not end.best:
                return
            names = metrics_of(len(self.run.data.classes))
            self.best = {name: end.metrics[name] for name in names} | {"step": self.run.progress.step}
        if self.run.active.stage.saves_model:
            self.run.saved = SavedModel(
                self.run.progress.step,
                end.metrics,
                self.run.model_arrays(),
                stage=self.run.progress.stage,
            )
            write_model(self.run, self.run.saved)

    def begin_stage(self) -> None:
        """Forget the best validation of the stage before; its model file stays until the next one."""
        self.best = None

    def state_dict(self) -> dict[str, Any]:
        """Return the metrics of the best validation."""
        return {"best": self.best}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the metrics of the best validation."""
        self.best = state["best"]
