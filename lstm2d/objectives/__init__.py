"""Objectives: the loss of a network's class scores, and the class probabilities that they stand for."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lstm2d.models import Network, Step
from lstm2d.objectives.flat import Flat
from lstm2d.objectives.hierarchical import Hierarchical, OnSubclasses
from lstm2d.tensor import FloatArray, Tensor

__all__ = ["Flat", "Hierarchical", "Objective", "OnSubclasses"]


class Objective(Protocol):
    """What a stage of a run minimises."""

    def loss(self, network: Network, z: Tensor, labels: NDArray[np.integer[Any]], step: Step) -> Tensor:
        """Return the loss of some images.

        Parameters
        ----------
        network : Network
            The network that is trained.
        z : Tensor of shape (N, H', W', C)
            Output of `Network.frozen`.
        labels : ndarray of int, shape (N, H, W)
            Targets of the pixels, on the device of the network.
        step : Step
            Seed, epoch and numbers of the images.

        Returns
        -------
        Tensor of shape ()
            Sum or mean over the pixels, as `Network.reduction` says.
        """

    def terms(self, network: Network, labels: NDArray[np.integer[Any]]) -> float:
        """Return the number of terms of the loss, to show it per term.

        Parameters
        ----------
        network : Network
            The network that is trained.
        labels : ndarray of int, shape (N, H, W)
            Targets of the pixels.

        Returns
        -------
        float
            1 if the loss is a mean.
        """

    def probabilities(self, network: Network, z: Tensor) -> FloatArray:
        """Return the probabilities of the dataset's classes, for the validation.

        Parameters
        ----------
        network : Network
            The network that is trained.
        z : Tensor of shape (N, H', W', C)
            Output of `Network.frozen`.

        Returns
        -------
        ndarray of shape (N, H, W, K)
            On the device of the network. K is the number of classes of the dataset, whatever the network
            scores.
        """
