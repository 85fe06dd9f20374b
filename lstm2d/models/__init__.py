"""The networks: one file for each published system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from lstm2d.errors import ConfigError
from lstm2d.models.backbones.imported import import_weights, load_imported, restore_imported
from lstm2d.models.h_renet import HReNetConfig, HReNetNetwork
from lstm2d.models.lstm2d import LSTM2DConfig, LSTM2DNetwork
from lstm2d.models.n_renet import NReNetConfig, NReNetNetwork
from lstm2d.models.network import Network
from lstm2d.models.reseg import ReSegConfig, ReSegNetwork

__all__ = [
    "HReNetConfig",
    "HReNetNetwork",
    "LSTM2DConfig",
    "LSTM2DNetwork",
    "ModelConfig",
    "NReNetConfig",
    "NReNetNetwork",
    "Network",
    "ReSegConfig",
    "ReSegNetwork",
    "build",
    "import_weights",
    "load_imported",
    "model_config",
    "restore_imported",
]

ModelConfig = LSTM2DConfig | ReSegConfig | NReNetConfig | HReNetConfig
# the value of model.kind -> its fields
CONFIGS: dict[str, type[ModelConfig]] = {
    "lstm2d": LSTM2DConfig,
    "reseg": ReSegConfig,
    "n-renet": NReNetConfig,
    "h-renet": HReNetConfig,
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
        Sizes and variants. A mapping holds the fields of the config class and ``"kind"``, which names it:
        section ``[model]`` of a configuration.
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
    if isinstance(config, LSTM2DConfig):
        return LSTM2DNetwork(config, n_classes, rng, channels=channels, dtype=dtype)
    if isinstance(config, ReSegConfig):
        return ReSegNetwork(config, n_classes, rng, channels=channels, dtype=dtype)
    if isinstance(config, HReNetConfig):
        return HReNetNetwork(config, n_classes, rng, channels=channels, dtype=dtype)
    return NReNetNetwork(config, n_classes, rng, channels=channels, dtype=dtype)


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
    if not isinstance(kind, str) or kind not in CONFIGS:
        raise ConfigError(f"model.kind is {kind!r}", expected=" or ".join(CONFIGS))
    known = fields(CONFIGS[kind])
    values: dict[str, Any] = {
        key: tuple(v) if isinstance(v, list) else v for key, v in section.items() if key != "kind"
    }
    names = [f.name for f in known]
    unknown = [key for key in values if key not in names]
    missing = [f.name for f in known if f.default is MISSING and f.name not in values]
    if unknown or missing:
        text = [f"unknown {', '.join(unknown)}"] * bool(unknown)
        text += [f"no {', '.join(missing)}"] * bool(missing)
        raise ConfigError(f"[model]: {'; '.join(text)}", expected=", ".join(["kind", *names]))
    if wrong := [f.name for f in known if f.name in values and not _is_size(values[f.name], str(f.type))]:
        raise ConfigError(f"[model]: wrong sizes in {', '.join(wrong)}", expected="positive integers")
    return CONFIGS[kind](**values)


def _is_size(value: object, annotation: str) -> bool:
    """Tell whether a value is a positive integer, or a tuple of them, where a field is annotated so."""
    if annotation == "int":
        return type(value) is int and value > 0
    if annotation == "tuple[int, ...]" and isinstance(value, tuple):
        return all(type(v) is int and v > 0 for v in value)
    return True
