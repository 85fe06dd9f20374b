"""The kinds of networks: the value of ``model.kind``, its options and its class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from lstm2d.errors import ConfigError
from lstm2d.models.fcn import FCNConfig, FCNNetwork
from lstm2d.models.h_renet import HReNetConfig, HReNetNetwork
from lstm2d.models.lstm2d import LSTM2DConfig, LSTM2DNetwork
from lstm2d.models.n_renet import NReNetConfig, NReNetNetwork
from lstm2d.models.network import Network
from lstm2d.models.options import ModelConfig
from lstm2d.models.patch_cnn import PatchCNNConfig, PatchCNNNetwork
from lstm2d.models.rcnn import RCNNNetwork
from lstm2d.models.rcnn_config import RCNNConfig
from lstm2d.models.reseg import ReSegConfig, ReSegNetwork
from lstm2d.nn import init


class ModelKind(NamedTuple):
    """A kind of network: the class of its options, and its class."""

    config: type[ModelConfig]
    network: Callable[..., Network]


MODELS: dict[str, ModelKind] = {
    "lstm2d": ModelKind(LSTM2DConfig, LSTM2DNetwork),
    "reseg": ModelKind(ReSegConfig, ReSegNetwork),
    "n-renet": ModelKind(NReNetConfig, NReNetNetwork),
    "h-renet": ModelKind(HReNetConfig, HReNetNetwork),
    "rcnn": ModelKind(RCNNConfig, RCNNNetwork),
    "fcn": ModelKind(FCNConfig, FCNNetwork),
    "patch-cnn": ModelKind(PatchCNNConfig, PatchCNNNetwork),
}


def build(
    config: ModelConfig | Mapping[str, Any],
    n_classes: int,
    rng: np.random.Generator,
    *,
    channels: int = 3,
    dtype: DTypeLike = np.float32,
) -> Network:
    """Build a network with new weights.

    Parameters
    ----------
    config : ModelConfig or mapping
        Sizes and variants. A mapping is section ``[model]`` of a configuration, as for `model_config`.
    n_classes : int
        Number of classes.
    rng : numpy.random.Generator
        Draws the weights.
    channels : int, default 3
        Channels of the images.
    dtype : dtype, default float32
        Data type of the parameters.

    Returns
    -------
    Network
        The network.

    Raises
    ------
    ConfigError
        If the kind is unknown, or a field is missing, unknown or out of its range.
    """
    if n_classes < 1:
        raise ConfigError(f"a network for {n_classes} classes", expected="1 or more")
    if isinstance(config, Mapping):
        config = model_config(config)
    network = {kind.config: kind.network for kind in MODELS.values()}[type(config)]
    return network(config, n_classes, rng, channels=channels, dtype=dtype)


def model_config(section: Mapping[str, Any]) -> ModelConfig:
    """Return the sizes and variants in section ``[model]`` of a configuration.

    Parameters
    ----------
    section : mapping
        The fields of a config class, and ``"kind"``, which names it.

    Returns
    -------
    ModelConfig
        Checked.

    Raises
    ------
    ConfigError
        If the kind is unknown, or a field is missing, unknown or out of its range.
    """
    kind = section.get("kind")
    if not isinstance(kind, str) or kind not in MODELS:
        raise ConfigError(f"model.kind is {kind!r}", expected=" or ".join(MODELS))
    return MODELS[kind].config.from_section(section)


def parameter_count(config: ModelConfig | Mapping[str, Any], n_classes: int, *, channels: int = 3) -> int:
    """Return the number of values in a model file, without the memory and the time to build the network.

    Parameters
    ----------
    config : ModelConfig or mapping
        As for `build`.
    n_classes : int
        Number of classes.
    channels : int, default 3
        Channels of the images.

    Returns
    -------
    int
        Parameters and running statistics, without imported layers that are never trained.

    Raises
    ------
    ConfigError
        As `build` raises it.
    """
    with init.shapes_only():
        network = build(config, n_classes, np.random.default_rng(0), channels=channels)
    return sum(values.size for values in network.stored_arrays().values())
