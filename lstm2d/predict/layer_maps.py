"""Feature maps of a network for one photograph, without the padding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lstm2d import kernels
from lstm2d.models import Network
from lstm2d.pipeline.finite import not_finite
from lstm2d.tensor import Tensor


@dataclass(frozen=True, slots=True)
class LayerMaps:
    """The activations of one layer for a photograph.

    Parameters
    ----------
    name : str
        Name of the layer, as in `lstm2d.models.Network.feature_maps`.
    values : ndarray of float32, shape (rows, columns, channels)
        One map per channel.
    stride : int
        Side of the square of pixels that belongs to a position, at the size of the network's input. Squares
        in the last row and the last column may extend beyond the photograph.
    """

    name: str
    values: NDArray[np.float32]
    stride: int


def layer_maps(
    network: Network, x: NDArray[np.float32], height: int, width: int, *, source: object
) -> list[LayerMaps]:
    """Return the activations of every layer, without positions that lie in the padding entirely.

    Parameters
    ----------
    network : Network
        The network.
    x : array of shape (1, H', W', C), float32
        Its input, on the host.
    height, width : int
        Size of the photograph in it; around it are the network's zeros, and padding at the bottom and at the
        right.
    source : object
        The model's file, for messages.

    Returns
    -------
    list of LayerMaps
        First layer to last; on the host.

    Raises
    ------
    DataError
        If activations are NaN or infinite.
    """
    x = _whole_squares(x, network)
    z = kernels.to_device(x, network.device)
    with np.errstate(over="ignore", invalid="ignore"):  # checked below
        maps = network.feature_maps(Tensor(z))
    layers, side = [], x.shape[1] - 2 * network.padding
    for name in list(maps):
        values = kernels.to_host(maps.pop(name)[0])
        if not np.isfinite(values).all():
            raise not_finite(network, z, source)
        stride = side // values.shape[0]
        rows, columns = -(-height // stride), -(-width // stride)
        layers.append(LayerMaps(name, values[:rows, :columns], stride))
    return layers


def _whole_squares(x: NDArray[np.float32], network: Network) -> NDArray[np.float32]:
    """Append zeros, as around the image, so that every pixel of it belongs to a position."""
    bottom, right = (-(side - 2 * network.padding) % network.resolution for side in x.shape[1:3])
    return np.pad(x, ((0, 0), (0, bottom), (0, right), (0, 0)))
