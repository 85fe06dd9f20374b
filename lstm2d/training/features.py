"""What the part of a network that is never trained makes of the images of a run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lstm2d.models.network import Network
from lstm2d.tensor import FloatArray, Tensor


class Store(Protocol):
    """Keeps arrays by name."""

    def get(self, key: str, compute: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """Return the array of that name; what `compute` returns where there is none yet."""


class FrozenFeatures:
    """Runs images through the frozen part of a network; each one only once, where a store keeps the result.

    Parameters
    ----------
    network : Network
        The network.
    store : Store, optional
        Where results are kept; it must give the same bits the first time as later, so that a resumed run does
        not differ from an uninterrupted one.
    """

    def __init__(self, network: Network, store: Store | None = None) -> None:
        self.network, self.store = network, store

    def __call__(self, x: FloatArray, *, again: bool) -> FloatArray:
        """Return what `Network.scores` and `Network.loss` take.

        Parameters
        ----------
        x : ndarray of shape (1, H, W, 3)
            Normalised image.
        again : bool
            Whether it will be asked for again: what comes once is not kept.

        Returns
        -------
        ndarray of shape (1, H', W', C)
            Not to be changed. The image itself where no part of the network is frozen.
        """
        if not self.network.frozen_part:
            return x
        if self.store is None or not again:
            return self._computed(x)
        return self.store.get(image_key(x), lambda: self._computed(x)).astype(x.dtype, copy=False)

    def _computed(self, x: FloatArray) -> FloatArray:
        return self.network.frozen(Tensor(x)).data


def image_key(x: FloatArray) -> str:
    """Return a name that only this image has, in this size, mirrored or not, with these numbers."""
    digest = hashlib.sha256(f"{x.dtype.str}{x.shape}".encode())
    digest.update(np.ascontiguousarray(x).data)
    return digest.hexdigest()
