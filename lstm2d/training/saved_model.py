"""The last saved model of a run, stored in its checkpoints so that its file can be replaced."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lstm2d.tensor import FloatArray
from lstm2d.training.checkpoint import Checkpoint
from lstm2d.training.progress import Progress

PREFIX = "best."  # of the names of the arrays in a checkpoint

Arrays = Mapping[str, FloatArray]


@dataclass(slots=True)
class SavedModel:
    """Contents of the model file of a run.

    Parameters
    ----------
    step : int
        Steps done when it was saved.
    metrics : dict
        Metrics of its validation; empty if there was none.
    arrays : dict of str to ndarray, or None
        Parameters and buffers, on the host. None if only the model file has them, as in runs of version 0.1.0
        and earlier.
    sha256 : str
        Digest of the file; "" if unknown.
    stage : int
        Stage of the run that trained it, from 0.
    """

    step: int
    metrics: dict[str, Any]
    arrays: Arrays | None
    sha256: str = ""
    stage: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return everything except the arrays, for the state of a checkpoint."""
        return {"step": self.step, "metrics": self.metrics, "sha256": self.sha256, "stage": self.stage}

    def to_tensors(self, progress: Progress) -> dict[str, FloatArray]:
        """Return the arrays for a checkpoint; empty if they equal the weights in it."""
        own = self.step == progress.step > progress.stage_step  # a new stage may have changed the network
        if own or self.arrays is None:
            return {}
        return {f"{PREFIX}{name}": values for name, values in self.arrays.items()}


def from_checkpoint(checkpoint: Checkpoint, current: Callable[[], Arrays]) -> SavedModel | None:
    """Return the last saved model at the time of a checkpoint.

    Parameters
    ----------
    checkpoint : Checkpoint
        The checkpoint.
    current : callable
        Returns the arrays of a model file for the weights in the checkpoint.

    Returns
    -------
    SavedModel or None
        None if no model was saved before.
    """
    progress = checkpoint.state["progress"]
    if "model" in checkpoint.state:
        saved = checkpoint.state["model"]
        if saved is None:
            return None
        model = SavedModel(saved["step"], saved["metrics"], None, saved["sha256"], saved.get("stage", 0))
    elif progress["validated"] < 0:
        return None
    else:  # of an earlier version, with only the metrics of the best validation
        best = dict(progress["best"] or {})
        model = SavedModel(best.pop("step", progress["validated"]), best, None)
    tensors = checkpoint.tensors.items()
    arrays = {name.removeprefix(PREFIX): a for name, a in tensors if name.startswith(PREFIX)}
    if not arrays and model.step == progress["step"]:
        model.arrays = current()
    else:
        model.arrays = arrays or None
    return model
