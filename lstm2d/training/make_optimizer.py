"""The optimizer of a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lstm2d.config import TrainSection
from lstm2d.errors import ConfigError
from lstm2d.models import Network
from lstm2d.tensor import Tensor
from lstm2d.training.adadelta import Adadelta
from lstm2d.training.optimizer import Group, Optimizer, belongs, group_of, is_bias, is_frozen
from lstm2d.training.sgd import SGD


def parameter_groups(train: TrainSection, network: Network) -> dict[str, Group]:
    """Return the groups of parameters of a network.

    Parameters
    ----------
    train : TrainSection
        Its `groups` name parts of the network.
    network : Network
        Its trained parameters require a gradient.

    Returns
    -------
    dict of str to Group
        Groups for `Optimizer`, without parts that the network never trains.

    Raises
    ------
    ConfigError
        If a name is not a part of the network, if that part is never trained, or if nothing is left to train.
    """
    names = [name for name, _ in network.named_parameters()]
    trained = [name for name, p in network.named_parameters() if p.requires_grad]
    groups, wrong = {}, []
    for part, group in train.groups.items():
        if any(belongs(name, part) for name in trained):
            groups[part] = Group(group.rate, group.frozen)
        elif not any(belongs(name, part) for name in names):
            wrong.append(f"{part} is no part of this network")
        elif not group.frozen:
            wrong.append(f"{part} is never trained in this network")
    parts = {name[:dot] for name in trained for dot in range(len(name)) if name[dot] == "."}
    if wrong:
        raise ConfigError(f"train.groups: {'; '.join(wrong)}", expected=", ".join(sorted(parts)))
    if all(is_frozen(name, groups) for name in trained):
        raise ConfigError("train.groups freezes the whole network", expected="something left to train")
    return groups


def with_factors(
    train: TrainSection, parameters: Mapping[str, Tensor], groups: Mapping[str, Group]
) -> dict[str, Group]:
    """Return a group for each parameter, with the factors for new layers and for biases.

    Parameters
    ----------
    train : TrainSection
        The rate of a group is multiplied by its `new_rate` outside of the backbone, and by its `bias_rate`
        for biases.
    parameters : mapping of str to Tensor
        By their names in the network.
    groups : mapping of str to Group
        Output of `parameter_groups`.

    Returns
    -------
    dict of str to Group
        By the names of `parameters`.
    """
    found = {}
    for name in parameters:
        group = group_of(name, groups)
        new = 1.0 if name.startswith("backbone.") else train.new_rate
        bias = train.bias_rate if is_bias(name) else 1.0
        found[name] = replace(group, rate=group.rate * new * bias)
    return found


def make_optimizer(
    train: TrainSection, parameters: Mapping[str, Tensor], groups: Mapping[str, Group]
) -> Optimizer:
    """Return the optimizer of a configuration."""
    groups = with_factors(train, parameters, groups)
    weight_decay, clip_norm, average = train.weight_decay, train.clip_norm, train.average
    if train.optimizer == "adadelta":
        return Adadelta(
            parameters,
            rho=train.rho,
            eps=train.eps,
            weight_decay=weight_decay,
            clip_norm=clip_norm,
            average=average,
            groups=groups,
        )
    return SGD(
        parameters,
        momentum=train.momentum,
        weight_decay=weight_decay,
        clip_norm=clip_norm,
        average=average,
        groups=groups,
    )
