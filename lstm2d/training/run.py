"""A run: its parts, its progress and its checkpoints."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lstm2d import kernels
from lstm2d.config import RunConfig
from lstm2d.hierarchy.hierarchy import Hierarchy
from lstm2d.io.model_file import Imported
from lstm2d.models import Network
from lstm2d.tensor import FloatArray
from lstm2d.training.checkpoint import Checkpoint
from lstm2d.training.events import Resumed, Started
from lstm2d.training.features import FrozenFeatures
from lstm2d.training.progress import Progress
from lstm2d.training.ranks import Order, Ranks
from lstm2d.training.read_hierarchy import digest
from lstm2d.training.runfolder import RunFolder
from lstm2d.training.samples import TrainingData
from lstm2d.training.saved_model import SavedModel
from lstm2d.training.stages import ActiveStage, Stage, begin_stage
from lstm2d.training.subclass_stages import all_stages

IDENTITY = "data.identity"  # of image files: their place on the disk, which another machine has elsewhere
UNTRAINED = "untrained."  # prefix of such arrays in a checkpoint


@dataclass(slots=True)
class Run:
    """A run, ready to start or resume.

    Parameters
    ----------
    config : RunConfig
        All settings.
    folder : RunFolder
        Folder that everything is written to.
    data : TrainingData
        Images and their statistics.
    network : Network
        The network.
    features : FrozenFeatures
        Runs its frozen layers.
    imported : Imported or None
        Imported layers that are never trained: neither checkpoints nor the model file hold them.
    stages : tuple of Stage
        All stages of the run.
    active : ActiveStage
        The current one.
    progress : Progress
        Progress of the run.
    fixed : frozenset of str
        Names of the parameters that no stage trains.
    resumed : bool
        Whether it was resumed from a checkpoint.
    run_id : str
        Name shared by the run folder and all its checkpoints.
    recorded : bool
        Whether the folder and the newest checkpoint hold all of this.
    changed : list of str
        Settings that differ from those of the checkpoint, with both values.
    hierarchy : Hierarchy or None
        Label hierarchy of the run, if it has one.
    saved : SavedModel or None
        Contents of the model file; None before the first is saved.
    listeners : mapping
        State of the listeners in the checkpoint; empty for a new run.
    ranks : Ranks
        The processes that compute its steps.
    """

    config: RunConfig
    folder: RunFolder
    data: TrainingData
    network: Network
    features: FrozenFeatures
    imported: Imported | None
    stages: tuple[Stage, ...]
    active: ActiveStage
    progress: Progress
    fixed: frozenset[str]
    resumed: bool
    run_id: str
    recorded: bool
    changed: list[str]
    hierarchy: Hierarchy | None = None
    saved: SavedModel | None = None
    listeners: Mapping[str, Any] = field(default_factory=dict)
    ranks: Ranks = field(default_factory=Ranks)

    @property
    def epoch_is_full(self) -> bool:
        """Whether all examples of the epoch are done, and its validation is still to come."""
        return self.progress.position == len(self.active.source)

    @property
    def stage_steps(self) -> int:
        """Steps done in the current stage."""
        return self.progress.step - self.progress.stage_step

    @property
    def steps_left(self) -> int:
        """Steps until the current stage ends."""
        return max(0, self.active.steps - self.stage_steps)

    @property
    def last_step(self) -> int:
        """Steps of the run when the current stage ends."""
        return self.progress.stage_step + self.active.steps

    @property
    def last_epoch(self) -> int:
        """Epochs of the run when the current stage ends."""
        return self.progress.stage_epoch + self.active.epochs

    @property
    def parameters(self) -> int:
        """Number of trained values."""
        return sum(p.data.size for p in self.active.optimizer.parameters.values())

    def figures(self, seconds: float) -> dict[str, Any]:
        """Return the metrics of the current epoch.

        Parameters
        ----------
        seconds : float
            Time taken by the run.

        Returns
        -------
        dict
            The fields of `lstm2d.training.events.Figures`.
        """
        progress = self.progress
        steps = self.active.steps_of(progress.position)
        return {
            "step": progress.step,
            "epoch": progress.epoch + 1,
            "seconds": seconds,
            "loss": progress.loss / progress.terms if progress.terms else None,
            "gradient_norm": progress.norm / steps if steps else None,
            "clipped": progress.clipped / steps if steps else None,
            "images_per_second": progress.position / progress.busy if progress.busy else None,
        }

    def seconds_left(self) -> float:
        """Return an estimate of the time until the stage ends, from the steps of this epoch."""
        progress = self.progress
        return self.steps_left * progress.busy / self.active.steps_of(progress.position)

    def next_stage(self) -> None:
        """Start the next stage: the weights are kept, all other state is reset."""
        self.ranks.order(Order.NEXT_STAGE)
        self.progress.next_stage()
        number = self.progress.stage
        begin_stage(self.stages[number], number, self.network, self.data, self.config.train.seed)
        self.active = ActiveStage(self.stages[number], self.data, self.network, self.fixed)
        self.share_network()

    def digest(self) -> str:
        """Return a digest of what all processes of a run must have in common before they train together."""
        digest = hashlib.sha256()
        shapes = {name: values.shape for name, values in self.network.arrays().items()}
        imported = None if self.imported is None else asdict(self.imported)
        parts = (self.config.model_dump(), self.data.to_dict(), shapes, imported, self.progress.to_dict())
        digest.update(json.dumps(parts, sort_keys=True).encode())
        for name, values in sorted(self.data.to_tensors().items()):
            if name != IDENTITY:
                digest.update(name.encode())
                digest.update(values.tobytes())
        return digest.hexdigest()

    def share_network(self) -> None:
        """Overwrite all arrays of the network by those of rank 0."""
        self.ranks.share([self.active.optimizer.weights, *self.untrained().values()])

    def limit_steps(self, steps: int) -> None:
        """Set `train.steps`, the largest number of steps of each stage, before the first one."""
        train = self.config.train.model_copy(update={"steps": steps})
        self.config = self.config.model_copy(update={"train": train})
        self.stages = all_stages(self.config, self.hierarchy)
        self.active.take_length(self.stages[self.progress.stage])

    def untrained(self) -> dict[str, FloatArray]:
        """Return the stored arrays that the optimizer does not own, by name: buffers, frozen layers."""
        arrays = self.network.stored_arrays().items()
        return {name: values for name, values in arrays if name not in self.active.optimizer.parameters}

    def checkpoint(self, listeners: Mapping[str, Any]) -> Checkpoint:
        """Return a checkpoint of the current state.

        Parameters
        ----------
        listeners : mapping
            State of all listeners.

        Returns
        -------
        Checkpoint
            Copies of all arrays.
        """
        untrained = {
            f"{UNTRAINED}{name}": kernels.to_host(values.copy()) for name, values in self.untrained().items()
        }
        state = {
            "run": self.run_id,
            "settings": self.config.model_dump(),
            "progress": self.progress.to_dict() | dict(listeners),
            "data": self.data.to_dict(),
            "model": None if self.saved is None else self.saved.to_dict(),
        }
        if self.imported is not None:
            state["imported"] = asdict(self.imported)
        if self.hierarchy is not None:
            state["hierarchy"] = digest(self.hierarchy)
        best = {} if self.saved is None else self.saved.to_tensors(self.progress)
        tensors = self.active.optimizer.state_dict() | untrained | self.data.to_tensors() | best
        return Checkpoint(tensors, state)

    def model_arrays(self) -> dict[str, FloatArray]:
        """Return the arrays for a model file: the current weights, or their running mean if one is kept."""
        self.active.optimizer.swap_average()
        try:
            arrays = self.active.stage.stored(self.network).items()
            return {name: kernels.to_host(values.copy()) for name, values in arrays}
        finally:
            self.active.optimizer.swap_average()

    def description(self, seconds: float) -> Started:
        """Return the event for the start of a run.

        Parameters
        ----------
        seconds : float
            Time taken in the sessions before.

        Returns
        -------
        Started or Resumed
            Description of the run.
        """
        data, kind = self.data, Resumed if self.resumed else Started
        return kind(
            step=self.progress.step,
            epoch=self.progress.epoch,
            seconds=seconds,
            parameters=self.parameters,
            device=self.network.device,
            images=len(data.training),
            batch=self.active.train.batch,
            validation_images=len(data.validation),
            held_out=data.held_out,
            classes=[item.name for item in data.classes],
            mean=list(data.preprocessing.mean),
            std=list(data.preprocessing.std),
            class_weights=None if data.class_weights is None else data.class_weights.tolist(),
            stage=self.progress.stage,
            stages=len(self.stages),
            name=self.active.stage.name,
            steps=self.last_step,
            epochs=self.last_epoch,
        )
