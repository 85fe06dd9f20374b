"""Consecutive stages of a run, each with its own settings, examples, loss and trained parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d import kernels
from lstm2d.config import RunConfig, TrainSection
from lstm2d.errors import ConfigError
from lstm2d.models import FCNNetwork, Network
from lstm2d.models.fcn import Finest
from lstm2d.models.rcnn import RCNNNetwork
from lstm2d.objectives import Flat, Objective
from lstm2d.random import Purpose, generator
from lstm2d.tensor import FloatArray, Tensor
from lstm2d.training.make_optimizer import make_optimizer, parameter_groups
from lstm2d.training.optimizer import belongs
from lstm2d.training.samples import TrainingData
from lstm2d.training.schedule import learning_rate
from lstm2d.training.sources import Source, epoch_order
from lstm2d.training.sources.cells import Cells
from lstm2d.training.sources.patches import Patches
from lstm2d.training.sources.superpixels import Superpixels
from lstm2d.training.sources.whole import WholeImages
from lstm2d.training.whitening import whitening


def keep_network(network: Network, data: TrainingData, rng: np.random.Generator) -> None:
    """Begin a stage with the network as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A part of a run.

    Parameters
    ----------
    name : str
        Name for messages and records.
    train : TrainSection
        Settings of the stage: length, learning rate, batch, optimizer, patience. Schedule and optimizer state
        restart with each stage. `max_time` and `checkpoint_minutes` apply to the whole run.
    source : callable
        Returns the source of its examples, from the images of the run and the network.
    objective : callable
        Returns its objective, from the same two.
    begin : callable, optional
        Changes the network before the first step, for example its head, with a random generator of its own. A
        resumed run repeats this before loading the weights, so it must depend only on its arguments.
    trained : callable, optional
        Returns the parameters to train; by default all that the network trains.
    model : mapping of str to object, optional
        Options of ``[model]`` that the network has in this stage instead of the configured ones. The model
        file has them too.
    saves_model : bool, default True
        Whether the best weights are written as the model of the run; False if the network differs from the
        configured one, for example if its head scores subclasses.
    stored : callable, optional
        Returns the arrays of the model file; by default those of the network.
    seconds : float, optional
        Longest time of the stage, over all sessions; no limit by default.
    """

    name: str
    train: TrainSection
    source: Callable[[TrainingData, Network], Source]
    objective: Callable[[TrainingData, Network], Objective]
    begin: Callable[[Network, TrainingData, np.random.Generator], None] = keep_network
    trained: Callable[[Network], Iterable[Tensor]] = Network.parameters
    model: Mapping[str, Any] = field(default_factory=dict)
    saves_model: bool = True
    stored: Callable[[Network], dict[str, FloatArray]] = Network.stored_arrays
    seconds: float = math.inf


class ActiveStage:
    """A stage with its examples, objective and optimizer.

    Parameters
    ----------
    stage : Stage
        The stage, whose `begin` was called.
    data : TrainingData
        The images of the run.
    network : Network
        Only the parameters of the stage get a gradient from now on.
    fixed : collection of str
        Names of the parameters that the network never trains.

    Raises
    ------
    ConfigError
        If a group of parameters names no part of the network, or if no filters to whiten read the image.
    DataError
        If the images cannot be used.
    """

    def __init__(self, stage: Stage, data: TrainingData, network: Network, fixed: Collection[str]) -> None:
        self.source = stage.source(data, network)
        self.take_length(stage)
        self.objective = stage.objective(data, network)
        for name, parameter in network.named_parameters():
            parameter.requires_grad = name not in fixed
        groups = parameter_groups(self.train, network)
        chosen = {id(parameter) for parameter in stage.trained(network)}
        trained = {}
        for name, parameter in network.named_parameters():
            parameter.requires_grad &= id(parameter) in chosen
            if parameter.requires_grad:
                trained[name] = parameter
        groups = {part: g for part, g in groups.items() if any(belongs(name, part) for name in trained)}
        matrices = {name: m for name, m in whitening(self.train, data, network).items() if name in trained}
        self.optimizer = make_optimizer(self.train, trained, groups)
        self.optimizer.whiten(matrices)
        self._order: tuple[int, NDArray[np.intp]] | None = None  # an epoch and its order

    def take_length(self, stage: Stage) -> None:
        """Take over the length of a stage that differs from this one in nothing else."""
        self.stage, self.train = stage, stage.train
        epochs = self.train.epochs * self.steps_of(len(self.source))
        self.steps = min(epochs, self.train.steps) if self.train.steps else epochs

    @property
    def epochs(self) -> int:
        """Number of epochs; the last one may be incomplete."""
        return -(-self.steps // self.steps_of(len(self.source)))

    @property
    def repeats_examples(self) -> bool:
        """Whether some example is used more than once."""
        return self.steps * self.train.batch > len(self.source)

    def steps_of(self, examples: int) -> int:
        """Return the number of steps in which an epoch uses this many examples."""
        return -(-examples // self.train.batch)

    def minibatch(self, epoch: int, position: int) -> list[int]:
        """Return the indices of the next examples of an epoch; the last batch may be smaller."""
        if self._order is None or self._order[0] != epoch:
            self._order = (epoch, epoch_order(len(self.source), seed=self.train.seed, epoch=epoch))
        found: list[int] = self._order[1][position:][: self.train.batch].tolist()
        return found

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from the beginning of the stage."""
        train = self.train
        return learning_rate(
            step,
            self.steps,
            rate=train.learning_rate,
            schedule=train.schedule,
            warmup_steps=train.warmup_steps,
            step_factor=train.step_factor,
            step_every=train.step_every,
            step_at=train.step_at,
        )


def begin_stage(stage: Stage, number: int, network: Network, data: TrainingData, seed: int) -> None:
    """Let a stage change the network.

    Parameters
    ----------
    stage : Stage
        The stage.
    number : int
        Its number in the run, from 0.
    network : Network
        The network; new parts are moved to its device.
    data : TrainingData
        The images of the run.
    seed : int
        Seed of the run.
    """
    device = network.device
    stage.begin(network, data, generator(seed, 0, number, Purpose.INIT, part=1))
    network.to(device)


def whole_images(train: TrainSection) -> Callable[[TrainingData, Network], Source]:
    """Return the factory of the source of whole images, or of one crop of each."""
    return lambda data, network: WholeImages(train, data, joint=network.joint)


def flat(data: TrainingData, network: Network) -> Objective:
    """Return the objective for the classes of the dataset."""
    return Flat(class_weights(data, network), data.ignore, largest_factor=data.loss_factor(network))


def class_weights(data: TrainingData, network: Network) -> NDArray[np.floating[Any]] | None:
    """Return the weights of the classes on the device of the network; None if all count the same."""
    weights = data.class_weights
    return None if weights is None else kernels.to_device(weights, network.device)


def one_stage(config: RunConfig) -> Sequence[Stage]:
    """Return the only stage of a run that trains everything on whole images or crops."""
    _check_examples(config.train, "images")
    return [Stage(name="", train=config.train, source=whole_images(config.train), objective=flat)]


def _check_examples(train: TrainSection, *allowed: str) -> None:
    """Raise ConfigError if a network cannot be trained on the examples of a configuration."""
    if train.examples not in allowed:
        raise ConfigError(
            f'train.examples = "{train.examples}"',
            expected=" or ".join(f'"{name}"' for name in allowed) + " for this network",
            hint="recurrent convolutional networks are trained on images or patches, patch networks "
            "(clarifai, overfeat) on superpixels, and all others on images",
        )


def rcnn_stages(config: RunConfig) -> Sequence[Stage]:
    """Return the stages of a recurrent CNN: two instances, then three, and so on [1]_.

    Each stage continues from the weights of the one before. A random number of instances has one stage.

    References
    ----------
    .. [1] P. Pinheiro, R. Collobert, ICML 2014, section 4.
    """
    instances, train = config.model["instances"], config.train
    _check_examples(train, "images", "patches")
    source = partial(Patches if train.examples == "patches" else Cells, train)
    counts = [instances] if config.model["random_instances"] else range(min(2, instances), instances + 1)
    return [
        Stage(
            name=f"{count} instance{'s' * (count > 1)}",
            train=train,
            source=source,
            objective=flat,
            begin=partial(_use_instances, count),
            model={"instances": count},
        )
        for count in counts
    ]


def _use_instances(count: int, network: Network, data: TrainingData, rng: np.random.Generator) -> None:
    """Train and validate the labels after a number of instances; validation labels a pixel of each cell."""
    assert isinstance(network, RCNNNetwork)
    network.trained = network.instances = count
    network.resolution = network.fields[count - 1].stride


def patch_stages(config: RunConfig) -> Sequence[Stage]:
    """Return the only stage of a patch network, which sees patches around the centres of superpixels."""
    train = config.train
    _check_examples(train, "superpixels")
    if train.crop:
        raise ConfigError(f"train.crop = {train.crop}", expected="[]: this network is trained on patches")
    return [Stage(name="", train=train, source=partial(Superpixels, train), objective=flat)]


def fcn_stages(config: RunConfig) -> Sequence[Stage]:
    """Return the stages of an FCN: FCN-32s, then FCN-16s, which continues from its weights [1]_.

    References
    ----------
    .. [1] J. Long, E. Shelhamer, T. Darrell, CVPR 2015, section 4.2.
    """
    _check_examples(config.train, "images")
    finest = config.model["finest"]
    distances: list[Finest] = [32] if finest == 32 else [32, finest]
    return [
        Stage(
            name=f"FCN-{distance}s",
            train=config.train if distance == finest else _without_groups(config.train, ("pool4", "double")),
            source=whole_images(config.train),
            objective=flat,
            begin=partial(_refine, distance),
            model={"finest": distance},
        )
        for distance in distances
    ]


def _without_groups(train: TrainSection, parts: Collection[str]) -> TrainSection:
    """Return the settings without groups of these parts, which the network has in a later stage only."""
    groups = {name: group for name, group in train.groups.items() if name.partition(".")[0] not in parts}
    return train.model_copy(update={"groups": groups})


def _refine(finest: Finest, network: Network, data: TrainingData, rng: np.random.Generator) -> None:
    """Give an FCN the parts of a stage, unless it has them."""
    assert isinstance(network, FCNNetwork)
    if network.finest != finest:
        network.refine(finest)


# model.kind -> its stages, if they differ from the default
STAGES: dict[str, Callable[[RunConfig], Sequence[Stage]]] = {
    "rcnn": rcnn_stages,
    "fcn": fcn_stages,
    "patch-cnn": patch_stages,
}


def stages_of(config: RunConfig) -> tuple[Stage, ...]:
    """Return the stages of a run, in order."""
    return tuple(STAGES.get(config.model["kind"], one_stage)(config))
