"""Features: the output of the frozen layers of a network for the images of a run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lstm2d import kernels
from lstm2d.models.network import Network
from lstm2d.tensor import FloatArray, Tensor


class Store(Protocol):
    """Store of arrays by name."""

    def get(self, key: str, compute: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """Return the array of that name; compute it if there is none yet."""


class FrozenFeatures:
    """Run images through the frozen layers of a network, once per image if a store keeps the result.

    Parameters
    ----------
    network : Network
        The network.
    store : Store, optional
        Store of the results. It must return the same bits the first time and later, so that a resumed run
        equals an uninterrupted one.
    exact : Store, optional
        Store of results that must not be rounded; by default `store`.
    """

    def __init__(self, network: Network, store: Store | None = None, exact: Store | None = None) -> None:
        self.network, self.store, self.exact = network, store, exact

    def __call__(self, x: FloatArray, *, keep: bool, exact: bool = False) -> FloatArray:
        """Return the input of `Network.scores`.

        Parameters
        ----------
        x : ndarray of shape (1, H, W, C)
            Prepared image, on the host.
        keep : bool
            Whether to keep the result for later use.
        exact : bool, default False
            Whether the result must equal that of prediction exactly.

        Returns
        -------
        ndarray of shape (1, H', W', C)
            On the device of the network; must not be modified. `x` itself if no layer is frozen.
        """
        device = self.network.device
        if not self.network.frozen_part:
            image: FloatArray = kernels.to_device(x, device)
            return image
        store = self.store_of(exact)
        if store is None or not keep:
            return self._computed(x)
        kept = store.get(image_key(x), lambda: kernels.to_host(self._computed(x)))
        values: FloatArray = kernels.to_device(kept.astype(x.dtype, copy=False), device)
        return values

    def store_of(self, exact: bool) -> Store | None:
        """Return the store for results of this kind."""
        return self.exact if exact and self.exact is not None else self.store

    def _computed(self, x: FloatArray) -> FloatArray:
        return self.network.frozen(Tensor(kernels.to_device(x, self.network.device))).data


def frozen_digest(network: Network) -> str:
    """Return a digest of all that determines the features of an image.

    Parameters
    ----------
    network : Network
        Network with frozen layers.

    Returns
    -------
    str
        64 hexadecimal digits, from the frozen parameters and the features of a test pattern. Networks with
        the same frozen layers share features, whatever layers follow, unless a kernel rounds differently.
    """
    digest = hashlib.sha256()
    dtype = network.parameters()[0].data.dtype
    for name, p in network.named_parameters():
        if not p.requires_grad:
            digest.update(f"{name} {p.data.dtype.str} {p.data.shape}".encode())
            digest.update(np.ascontiguousarray(kernels.to_host(p.data)).data)
    side = network.stride * -(-24 // network.stride)  # room for several tiles of every kernel
    pattern = 255 * np.sin(np.arange(side * side * 3) ** 1.5) / 2
    image = kernels.to_device(pattern.reshape(1, side, side, 3).astype(dtype), network.device)
    output = kernels.to_host(network.frozen(Tensor(image)).data)
    digest.update(f"{output.shape}".encode())
    digest.update(np.ascontiguousarray(output).data)
    return digest.hexdigest()


def image_key(x: FloatArray) -> str:
    """Return a digest of the values, shape and dtype of an image."""
    digest = hashlib.sha256(f"{x.dtype.str}{x.shape}".encode())
    digest.update(np.ascontiguousarray(x).data)
    return digest.hexdigest()
