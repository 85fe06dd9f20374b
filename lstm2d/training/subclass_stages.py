"""Stages of training with a label hierarchy, after Wang et al. (2017), section 3.2."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lstm2d import kernels
from lstm2d.config import RunConfig
from lstm2d.config.schema import HierarchySection
from lstm2d.hierarchy.hierarchy import Hierarchy
from lstm2d.models import Network
from lstm2d.models.subclasses import PREFIX, folded_arrays, score_classes, score_subclasses
from lstm2d.objectives import Hierarchical, Objective, OnSubclasses
from lstm2d.tensor import Tensor
from lstm2d.training.samples import TrainingData
from lstm2d.training.stages import Stage, class_weights, keep_network, stages_of

Begin = Callable[[Network, TrainingData, np.random.Generator], None]


def all_stages(config: RunConfig, hierarchy: Hierarchy | None) -> tuple[Stage, ...]:
    """Return the stages of a run, in order.

    Parameters
    ----------
    config : RunConfig
        All settings.
    hierarchy : Hierarchy or None
        Label hierarchy of the run.

    Returns
    -------
    tuple of Stage
        At least one.
    """
    stages = stages_of(config)
    if config.hierarchy is None or hierarchy is None:
        return stages
    return hierarchy_stages(stages[-1], config.hierarchy, hierarchy)


def hierarchy_stages(base: Stage, settings: HierarchySection, hierarchy: Hierarchy) -> tuple[Stage, ...]:
    """Return the stages of a run with a label hierarchy.

    Parameters
    ----------
    base : Stage
        The last stage of the same run without one: it says how the network is trained. Its length is that of
        each stage, unless `settings` has others; its learning rate and schedule begin anew with each.
    settings : HierarchySection
        Strategy and lengths.
    hierarchy : Hierarchy
        The subclasses.

    Returns
    -------
    tuple of Stage
        Strategy "sequential": a new last layer on subclasses, all layers on subclasses, a new last layer on
        classes, all layers on classes. Strategy "hierarchical": subclasses and classes together, with fixed
        and then with trained weights between them.
    """
    make = sequential if settings.strategy == "sequential" else hierarchical
    stages = make(base, settings, hierarchy)
    return tuple(_with_length(stage, settings, number) for number, stage in enumerate(stages))


def sequential(base: Stage, settings: HierarchySection, hierarchy: Hierarchy) -> list[Stage]:
    """Return the four stages of sequential subclass-class training."""
    fine = replace(
        base,
        source=lambda data, network: base.source(data.with_subclasses(hierarchy), network),
        objective=lambda data, network: OnSubclasses(
            _parents(hierarchy, network),
            class_weights(data, network),
            largest_factor=data.loss_factor(network),
        ),
        saves_model=False,
    )
    return [
        replace(
            fine, name="last layer, subclasses", begin=_new_subclasses(base, hierarchy), trained=last_layer
        ),
        replace(fine, name="all layers, subclasses", begin=keep_network, trained=all_but_membership),
        replace(base, name="last layer, classes", begin=_new_classes, trained=last_layer),
        replace(base, name="all layers, classes", begin=keep_network),
    ]


def hierarchical(base: Stage, settings: HierarchySection, hierarchy: Hierarchy) -> list[Stage]:
    """Return the two stages of hierarchical multi-label training."""

    def objective(data: TrainingData, network: Network) -> Objective:
        return Hierarchical(
            _parents(hierarchy, network),
            class_weights(data, network),
            settings.alpha,
            largest_factor=data.loss_factor(network),
        )

    both = replace(
        base,
        train=base.train.model_copy(update={"weight_decay": settings.beta}),
        source=lambda data, network: base.source(data.with_subclasses(hierarchy), network),
        objective=objective,
        stored=folded_arrays,
    )
    return [
        replace(
            both,
            name="subclasses and classes",
            begin=_new_subclasses(base, hierarchy),
            trained=all_but_membership,
        ),
        replace(both, name="subclasses and classes, membership trained", begin=keep_network),
    ]


def last_layer(network: Network) -> list[Tensor]:
    """Return the parameters of the layers that compute scores, and of those that only enlarge them."""
    return [parameter for layer in network.last_layers() for parameter in layer.parameters()]


def all_but_membership(network: Network) -> list[Tensor]:
    """Return all parameters but the weights between subclasses and classes."""
    return [p for name, p in network.named_parameters() if not name.startswith(PREFIX)]


def _new_subclasses(base: Stage, hierarchy: Hierarchy) -> Begin:
    def begin(network: Network, data: TrainingData, rng: np.random.Generator) -> None:
        base.begin(network, data, rng)
        score_subclasses(network, hierarchy.parents, rng)

    return begin


def _new_classes(network: Network, data: TrainingData, rng: np.random.Generator) -> None:
    score_classes(network, len(data.classes), rng)


def _parents(hierarchy: Hierarchy, network: Network) -> NDArray[np.int64]:
    """Return the class of each subclass, on the device of the network."""
    return kernels.to_device(hierarchy.parents, network.device)


def _with_length(stage: Stage, settings: HierarchySection, number: int) -> Stage:
    changed: dict[str, int] = {}
    if settings.epochs:
        changed["epochs"] = settings.epochs[number]
    seconds = 60 * settings.minutes[number] if settings.minutes else math.inf
    return replace(stage, train=stage.train.model_copy(update=changed), seconds=seconds)
