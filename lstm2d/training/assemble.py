"""Bring together all that a run needs, new or resumed, before its first step."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lstm2d import kernels
from lstm2d.config import RunConfig, parse_duration
from lstm2d.data.folder import DatasetFolder
from lstm2d.errors import ConfigError, DataError, Lstm2dError
from lstm2d.io.model_file import Imported
from lstm2d.kernels import gpu
from lstm2d.models import Network, build, import_weights, restore_imported
from lstm2d.pipeline.preprocess import LARGE
from lstm2d.random import Purpose, generator
from lstm2d.tensor import FloatArray
from lstm2d.training.best_model import BestModel, from_checkpoint
from lstm2d.training.cache_features import open_stores
from lstm2d.training.checkpoint import Checkpoint, newest_file
from lstm2d.training.events import Event, Report, silent
from lstm2d.training.features import FrozenFeatures
from lstm2d.training.init_from import start_from
from lstm2d.training.make_optimizer import make_optimizer, parameter_groups
from lstm2d.training.optimizer import Optimizer
from lstm2d.training.progress import Progress
from lstm2d.training.resume import new_id, newest_checkpoint, read_data, take_up
from lstm2d.training.runfolder import RunFolder
from lstm2d.training.samples import TrainingData

USUAL = 320  # square root of the pixel count: the scale of the published data sets
UNTRAINED = "untrained."  # how the names of such arrays begin in a checkpoint


@dataclass(slots=True)
class Prepared:
    """A run that can begin or go on.

    Parameters
    ----------
    config : RunConfig
        All values.
    folder : RunFolder
        Where everything is written.
    data : TrainingData
        Images and what was measured on them.
    network : Network
        The network.
    features : FrozenFeatures
        What its frozen part makes of images.
    optimizer : Optimizer
        Owns the parameters that are trained.
    imported : Imported or None
        Imported layers that are never trained: neither checkpoints nor the model file hold them.
    progress : Progress
        Where the run stands.
    seconds_limit : float
        Time after which it stops; infinity for none.
    resumed : bool
        Whether it goes on from a checkpoint.
    run_id : str
        Name that the run folder and all its checkpoints have in common.
    recorded : bool
        Whether the folder and the newest checkpoint hold all of this.
    changed : list of str
        Settings that are not those of the checkpoint, with both values.
    model : BestModel or None
        What the model file holds; None before the first.
    """

    config: RunConfig
    folder: RunFolder
    data: TrainingData
    network: Network
    features: FrozenFeatures
    optimizer: Optimizer
    imported: Imported | None
    progress: Progress
    seconds_limit: float
    resumed: bool
    run_id: str
    recorded: bool
    changed: list[str]
    model: BestModel | None = None

    def untrained(self) -> dict[str, FloatArray]:
        """Return the stored arrays that the optimizer does not own, by name: buffers, frozen layers."""
        arrays = self.network.stored_arrays().items()
        return {name: values for name, values in arrays if name not in self.optimizer.parameters}

    def checkpoint(self) -> Checkpoint:
        """Return all that the next step depends on."""
        untrained = {
            f"{UNTRAINED}{name}": kernels.to_host(values.copy()) for name, values in self.untrained().items()
        }
        state = {
            "run": self.run_id,
            "settings": self.config.model_dump(),
            "progress": self.progress.to_dict(),
            "data": self.data.to_dict(),
            "model": None if self.model is None else self.model.to_dict(),
        }
        if self.imported is not None:
            state["imported"] = asdict(self.imported)
        best = {} if self.model is None else self.model.to_tensors(self.progress.step)
        tensors = self.optimizer.state_dict() | untrained | self.data.to_tensors() | best
        return Checkpoint(tensors, state)

    def model_arrays(self) -> dict[str, FloatArray]:
        """Return what a model file of the current weights holds, of their running mean where there is one."""
        self.optimizer.swap_average()
        try:
            arrays = self.network.stored_arrays().items()
            return {name: kernels.to_host(values.copy()) for name, values in arrays}
        finally:
            self.optimizer.swap_average()

    def description(self) -> dict[str, Any]:
        """Return what a run reports about itself when it begins or goes on."""
        data = self.data
        return {
            "epoch": self.progress.epoch,
            "seconds": self.progress.seconds,
            "parameters": sum(p.data.size for p in self.optimizer.parameters.values()),
            "device": self.network.device,
            "images": len(data.training),
            "batch": self.config.train.batch,
            "validation_images": len(data.validation),
            "held_out": data.held_out,
            "classes": [item.name for item in data.classes],
            "mean": list(data.preprocessing.mean),
            "std": list(data.preprocessing.std),
            "class_weights": None if data.class_weights is None else data.class_weights.tolist(),
        }


def prepare(
    config: RunConfig,
    dataset: DatasetFolder,
    folder: RunFolder,
    *,
    resume: bool = False,
    changes: Collection[str] = (),
    init_from: Path | None = None,
    device: str = "cpu",
    report: Report = silent,
) -> Prepared:
    """Read the data, build the network, and take up the newest checkpoint of a run to resume.

    Parameters
    ----------
    config : RunConfig
        All values.
    dataset : DatasetFolder
        Images and masks.
    folder : RunFolder
        The run folder.
    resume : bool, default False
        Go on from its newest valid checkpoint.
    changes : collection of str
        Dotted keys of the configuration whose change the user asked for.
    init_from : Path, optional
        Model whose weights, channel mean and deviation a new run starts from.
    device : str, default "cpu"
        Where it is trained, "cpu" or "cuda:N"; the current one already.
    report : callable, optional
        Told about notes and warnings.

    Returns
    -------
    Prepared
        Ready for `Trainer`.

    Raises
    ------
    ConfigError
        If `init_from` has other classes or another architecture, or a group names no part of the network; if
        run, settings or data are not those of the checkpoint.
    DataError
        If the data cannot be used, or there is no valid checkpoint.
    """
    checkpoint = newest_checkpoint(folder, report) if resume else None
    if checkpoint is None and init_from is None and config.train.init != "all":
        raise ConfigError(f'train.init = "{config.train.init}" without a model', expected="--init-from MODEL")
    run_id, recorded, changed = new_id(), False, list[str]()
    if checkpoint is not None:
        run_id, recorded, changed = take_up(checkpoint, config, folder, report, asked=changes)
    rng = generator(config.train.seed, 0, 0, Purpose.INIT)
    network = build(config.model, len(dataset.classes), rng)
    groups = parameter_groups(config.train, network)
    # with `init_from` another note says what is new: what the imported weights lack may come from there
    told = report if init_from is None else silent
    imported = take_imported(config, network, folder, checkpoint, told)
    data = read_data(config, dataset, network.stride, checkpoint)
    _comment(data, config, report)
    if network.joint:
        data.check_stackable()
    if checkpoint is None and init_from is not None:
        start_from(init_from, network.stored_arrays(), imported, data, config, report)
    network.to(device)
    trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
    optimizer = make_optimizer(config.train, trained, groups)
    features, limit = FrozenFeatures(network), parse_duration(config.train.max_time)
    run = Prepared(
        config,
        folder,
        data,
        network,
        features,
        optimizer,
        imported,
        Progress(),
        limit,
        resume,
        run_id,
        recorded,
        changed,
    )
    if checkpoint is not None:
        restore(checkpoint, run)
    open_stores(config, features, report)
    return run


def _comment(data: TrainingData, config: RunConfig, report: Report) -> None:
    """Report what is unusual about the images of a run and has an option."""
    side = data.preprocessing.typical_size
    if side is not None and side * side > LARGE and config.data.size == "native":
        text = (
            f"the training images have {side * side / 1e6:.1f} megapixels (median): steps take as much more "
            "time and memory, and the network sees a small part of a photograph at a time. "
            f"--set data.size={USUAL} reduces images and masks as they are read"
        )
        report(Event("warning", {"text": text}))
    for channel, deviation in data.even.items():
        text = (
            f"channel {channel} hardly varies in the training images (deviation {deviation:.2g} of 0..255): "
            "it is not scaled up, its deviation is taken as 1; data.std sets another value"
        )
        report(Event("note", {"text": text}))


def take_imported(
    config: RunConfig, network: Network, folder: RunFolder, checkpoint: Checkpoint | None, report: Report
) -> Imported | None:
    """Set the layers of a network that come from imported weights.

    Parameters
    ----------
    config : RunConfig
        Names the weights.
    network : Network
        Its backbone gets them, if it has one.
    folder : RunFolder
        For messages.
    checkpoint : Checkpoint or None
        Of a run to resume: its own weights are taken, whatever the name means by now.
    report : callable
        Told which layers start at random values.

    Returns
    -------
    Imported or None
        The layers that are never trained.

    Raises
    ------
    ConfigError
        If different weights have that name.
    DataError
        If the weights are not in the user's store or lack a layer.
    """
    if checkpoint is not None:
        try:
            imported = Imported.from_json(checkpoint.state.get("imported"))
        except ValueError as error:
            raise DataError(f"the checkpoint is damaged ({error})", where=folder.checkpoints) from error
        restore_imported(network, imported, source=folder.checkpoints)
        return imported
    imported, absent = import_weights(network, config.model.get("weights", ""))
    if absent:
        text = f"the imported weights lack {', '.join(absent)}: training starts them at random values"
        report(Event("note", {"text": text}))
    return imported


def restore(checkpoint: Checkpoint, run: Prepared) -> None:
    """Take over a checkpoint.

    Parameters
    ----------
    checkpoint : Checkpoint
        Where the run stood.
    run : Prepared
        It gets the weights and all that the next step depends on.

    Raises
    ------
    DataError
        If the checkpoint is of another network.
    """
    try:
        run.optimizer.load_state_dict(checkpoint.tensors)
        for name, values in run.untrained().items():
            kernels.copy_into(values, checkpoint.tensors[f"{UNTRAINED}{name}"])
    except (KeyError, ValueError) as error:
        what = f"the checkpoint does not fit the network ({error})"
        raise DataError(what, where=run.folder.checkpoints) from error
    run.progress = Progress.from_dict(checkpoint.state["progress"])
    run.model = from_checkpoint(checkpoint, run.progress, run.model_arrays)


def out_of_memory(error: MemoryError, run: Prepared) -> Lstm2dError:
    """Return the error for memory that ran out in a step, or in the validation behind it.

    Parameters
    ----------
    error : MemoryError
        What happened.
    run : Prepared
        The run.

    Returns
    -------
    Lstm2dError
        It names the last good checkpoint.
    """
    hint = "take smaller images, train.crop or train.batch, or close other programs"
    if run.network.device != "cpu":
        hint += " on the GPU, or use --device cpu"
    good = newest_file(run.folder.checkpoints)
    hint += f"; --resume goes on from the last checkpoint, {good}" if good else ""
    return gpu.out_of_memory(error, where=f"after step {run.progress.step}", hint=hint)
