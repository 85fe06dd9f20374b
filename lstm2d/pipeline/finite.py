"""Find the first layer of a network whose output is not finite."""

from __future__ import annotations

import numpy as np

from lstm2d import kernels
from lstm2d.errors import DataError
from lstm2d.kernels.device import Array
from lstm2d.models import Network
from lstm2d.tensor import Tensor


def not_finite(network: Network, x: Array, source: object) -> DataError:
    """Return the error for class probabilities that are NaN or infinite.

    Parameters
    ----------
    network : Network
        The network.
    x : array of shape (1, H, W, C)
        Input of the network.
    source : object
        The model's file, for the message.

    Returns
    -------
    DataError
        The error; it names the first layer whose activations are not finite.
    """
    hint = "use another model: its training has diverged, or its file was modified"
    if not np.isfinite(kernels.to_host(x)).all():
        what = "the normalised image is not finite: the model's channel mean and deviation are out of range"
        return DataError(what, where=source, expected="finite numbers", hint=hint)
    what = f"the output of the network is not finite, first in layer {first_layer(network, x)}"
    return DataError(what, where=source, expected="finite numbers", hint=hint)


def first_layer(network: Network, x: Array) -> str:
    """Return the name of the first layer whose activations are not finite.

    Parameters
    ----------
    network : Network
        The network.
    x : array of shape (1, H, W, C)
        Finite input of the network.

    Returns
    -------
    str
        "softmax" if all layers are finite.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        maps = network.feature_maps(Tensor(x))
    return next((name for name, z in maps.items() if not np.isfinite(kernels.to_host(z)).all()), "softmax")
