"""The flat objective: the network scores the classes of the dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.models import Network, Step
from lstm2d.tensor import FloatArray, Tensor


@dataclass(frozen=True, slots=True)
class Flat:
    """Compare the scores of the classes with the labels, as the network itself does.

    Parameters
    ----------
    class_weights : ndarray of shape (K,), optional
        Factor of each class, on the device of the network; None if all count the same.
    ignore_index : int, default 255
        Label of the pixels that do not count.
    """

    class_weights: NDArray[np.floating[Any]] | None = None
    ignore_index: int = 255

    def loss(self, network: Network, z: Tensor, labels: NDArray[np.integer[Any]], step: Step) -> Tensor:
        """Return the loss that `Network.compare` computes."""
        scores = network.scores(z, step)
        return network.compare(scores, labels, self.class_weights, ignore_index=self.ignore_index)

    def terms(self, network: Network, labels: NDArray[np.integer[Any]]) -> float:
        """Return the number of terms that `Network.terms` counts."""
        return network.terms(labels, ignore_index=self.ignore_index)

    def probabilities(self, network: Network, z: Tensor) -> FloatArray:
        """Return the probabilities that prediction gives."""
        return network.probabilities_from(z)
