"""The networks: one file for each published system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from lstm2d.errors import ConfigError
from lstm2d.models.lstm2d import LSTM2DConfig, LSTM2DNetwork

__all__ = ["LSTM2DConfig", "LSTM2DNetwork", "build"]


def build(
    config: LSTM2DConfig | Mapping[str, Any],
    n_classes: int,
    rng: np.random.Generator,
    *,
    channels: int = 3,
    dtype: DTypeLike = np.float32,
) -> LSTM2DNetwork:
    """Build a network with new weights.

    Parameters
    ----------
    config : LSTM2DConfig or mapping
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
    LSTM2DNetwork
        The network.

    Raises
    ------
    ConfigError
        If the kind is unknown, or a field is missing, unknown or out of its range.
    """
    if n_classes < 1:
        raise ConfigError(f"a network for {n_classes} classes", expected="1 or more")
    if not isinstance(config, LSTM2DConfig):
        config = _config(config)
    return LSTM2DNetwork(config, n_classes, rng, channels=channels, dtype=dtype)


def _config(section: Mapping[str, Any]) -> LSTM2DConfig:
    if section.get("kind") != "lstm2d":
        raise ConfigError(f"model.kind is {section.get('kind')!r}", expected="lstm2d")
    values: dict[str, Any] = {
        key: tuple(v) if isinstance(v, list) else v for key, v in section.items() if key != "kind"
    }
    known = [f.name for f in fields(LSTM2DConfig)]
    unknown = [key for key in values if key not in known]
    missing = [key for key in ("window", "units", "features") if key not in values]
    if unknown or missing:
        text = [f"unknown {', '.join(unknown)}"] * bool(unknown) + [f"no {', '.join(missing)}"] * bool(
            missing
        )
        raise ConfigError(f"[model]: {'; '.join(text)}", expected=", ".join(["kind", *known]))
    return LSTM2DConfig(**values)
