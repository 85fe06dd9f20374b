"""Build the network of a model file."""

from __future__ import annotations

import numpy as np

from lstm2d.errors import ConfigError, DataError
from lstm2d.io.model_file import ModelFile
from lstm2d.models import ModelConfig, Network, build, model_config, parameter_count, restore_imported

CHANNELS = 3


def network_of(model: ModelFile, source: object) -> Network:
    """Build the network of a model file, whose contents are not trusted.

    Parameters
    ----------
    model : ModelFile
        The model.
    source : object
        Its file, for messages.

    Returns
    -------
    Network
        With the weights of the file, and imported ones from the user's store.

    Raises
    ------
    DataError
        If the parameters do not match the configuration, or imported weights are not in the store.
    """
    try:
        config = model_config(model.config["model"])
        _refuse_other_size(config, model)
        network = build(config, len(model.classes), np.random.default_rng(0), channels=CHANNELS)
        differing = network.load_state_dict(model.state, strict=False)
        names = [name for name in differing.missing if name not in network.imported]
        if names or differing.unexpected:
            raise DataError(f"it has other parameters: {', '.join([*names, *differing.unexpected][:4])}")
    except DataError as e:
        raise DataError(f"the model file is damaged ({e.what})", where=source) from e
    except (ConfigError, KeyError, TypeError, ValueError, OverflowError) as e:
        what = e.what if isinstance(e, ConfigError) else f"{type(e).__name__}: {e}"
        raise DataError(
            f"the model file has a configuration that cannot be built ({what})", where=source
        ) from e
    if len(model.mean) != CHANNELS:
        raise DataError(f"the model is for images of {len(model.mean)} channels", where=source, expected="3")
    restore_imported(network, model.imported, source=source)
    return network


def _refuse_other_size(config: ModelConfig, model: ModelFile) -> None:
    """Check the number of parameters before building: wrong sizes in a file must not exhaust memory."""
    stored = sum(values.size for values in model.state.values())
    expected = parameter_count(config, len(model.classes), channels=CHANNELS)
    if expected != stored:
        raise ValueError(f"its sizes need {expected} parameters, the file has {stored}")
