"""Bring together all that a run needs, new or resumed, before its first step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lstm2d.config import DataSection, RunConfig, TrainSection, parse_duration
from lstm2d.data.folder import DatasetFolder
from lstm2d.errors import ConfigError, DataError
from lstm2d.io.model_file import load_model
from lstm2d.models import Network, build
from lstm2d.predict import find_model
from lstm2d.random import Purpose, generator
from lstm2d.tensor import Tensor
from lstm2d.training.adadelta import Adadelta
from lstm2d.training.checkpoint import Checkpoint, load_newest
from lstm2d.training.events import Event, Report, silent
from lstm2d.training.optimizer import Optimizer
from lstm2d.training.runfolder import RunFolder
from lstm2d.training.samples import TrainingData
from lstm2d.training.sgd import SGD
from lstm2d.training.state import Progress


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
    optimizer : Optimizer
        Owns the network's weights, all but imported ones that are never trained.
    progress : Progress
        Where the run stands.
    seconds_limit : float
        Time after which it stops; infinity for none.
    resumed : bool
        Whether it goes on from a checkpoint.
    """

    config: RunConfig
    folder: RunFolder
    data: TrainingData
    network: Network
    optimizer: Optimizer
    progress: Progress
    seconds_limit: float
    resumed: bool


def prepare(
    config: RunConfig,
    dataset: DatasetFolder,
    folder: RunFolder,
    *,
    resume: bool = False,
    init_from: Path | None = None,
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
    init_from : Path, optional
        Model whose weights, channel mean and deviation a new run starts from.
    report : callable, optional
        Told about notes and warnings.

    Returns
    -------
    Prepared
        Ready for `Trainer`.

    Raises
    ------
    ConfigError
        If `init_from` has other classes or another architecture.
    DataError
        If the data cannot be used, or is not what the run began with, or there is no valid checkpoint.
    """
    checkpoint = newest_checkpoint(folder, report) if resume else None
    rng = generator(config.train.seed, 0, 0, Purpose.INIT)
    network = build(config.model, len(dataset.classes), rng)
    data = TrainingData(config, dataset, network.stride)
    if checkpoint is None and init_from is not None:
        start_from(init_from, network, data, config.data)
    trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
    optimizer = make_optimizer(config.train, trained)
    progress = Progress() if checkpoint is None else restore(checkpoint, folder, data, optimizer)
    limit = parse_duration(config.train.max_time)
    return Prepared(config, folder, data, network, optimizer, progress, limit, checkpoint is not None)


def make_optimizer(train: TrainSection, parameters: Mapping[str, Tensor]) -> Optimizer:
    """Return the optimizer that a configuration asks for."""
    weight_decay, clip_norm, average = train.weight_decay, train.clip_norm, train.average
    if train.optimizer == "adadelta":
        return Adadelta(
            parameters,
            rho=train.rho,
            eps=train.eps,
            weight_decay=weight_decay,
            clip_norm=clip_norm,
            average=average,
        )
    return SGD(
        parameters,
        momentum=train.momentum,
        weight_decay=weight_decay,
        clip_norm=clip_norm,
        average=average,
    )


def newest_checkpoint(folder: RunFolder, report: Report) -> Checkpoint:
    """Return the newest valid checkpoint of a run; report damaged ones, raise DataError if there is none."""
    checkpoint = load_newest(folder.checkpoints, lambda text: report(Event("warning", {"text": text})))
    if checkpoint is None:
        raise DataError("no checkpoint to resume from", where=folder.checkpoints, hint="start a new run")
    return checkpoint


def restore(checkpoint: Checkpoint, folder: RunFolder, data: TrainingData, optimizer: Optimizer) -> Progress:
    """Take over a checkpoint.

    Parameters
    ----------
    checkpoint : Checkpoint
        Where the run stood.
    folder : RunFolder
        For messages.
    data : TrainingData
        Must be the images the run began with; gets the channel statistics it began with.
    optimizer : Optimizer
        Gets its weights and all that its next step depends on.

    Returns
    -------
    Progress
        Where the run stands.

    Raises
    ------
    DataError
        If the data has changed, or the checkpoint is of another network.
    """
    data.load_dict(checkpoint.state["data"])
    try:
        optimizer.load_state_dict(checkpoint.tensors)
    except (KeyError, ValueError) as error:
        what = f"the checkpoint does not fit the network ({error})"
        raise DataError(what, where=folder.checkpoints) from error
    return Progress.from_dict(checkpoint.state["progress"])


def start_from(path: Path, network: Network, data: TrainingData, section: DataSection) -> None:
    """Take weights by name, channel mean and deviation from a model file.

    Parameters
    ----------
    path : Path
        A model file, a run folder that holds one, or the name of a bundled model.
    network : Network
        Its weights are replaced.
    data : TrainingData
        Its channel statistics are replaced: the weights expect those they were trained with.
    section : DataSection
        Its `mean` and `std`, where they are given, go before the model's.

    Raises
    ------
    ConfigError
        If the model has another number of classes or other parameters.
    DataError
        If the file is no model.
    """
    model = load_model(find_model(path))
    if len(model.classes) != len(data.classes):
        raise ConfigError(
            f"--init-from has {len(model.classes)} classes, the data has {len(data.classes)}",
            where=path,
            expected=", ".join(item.name for item in data.classes),
            hint="take a model with the same classes, or train without --init-from",
        )
    wrong = differences(model.state, {name: p.shape for name, p in network.named_parameters()})
    if wrong:
        raise ConfigError(
            "--init-from has another architecture",
            where=path,
            expected="; ".join(wrong[:4]) + ("; ..." if len(wrong) > 4 else ""),
            hint="set [model] as in the file: `lstm2d inspect` shows it",
        )
    network.load_state_dict(model.state)
    data.mean = data.mean if section.mean else model.mean
    data.std = data.std if section.std else model.std


def differences(state: Mapping[str, Any], expected: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Return in which names and shapes two sets of parameters differ, one line each."""
    found = [f"no {name}" for name in state if name not in expected]
    for name, shape in expected.items():
        if name not in state:
            found.append(f"{name} of shape {shape}")
        elif state[name].shape != shape:
            found.append(f"{name} of shape {shape} instead of {state[name].shape}")
    return found
