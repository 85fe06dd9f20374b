"""The flat objective: the network scores the classes of the dataset."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.models import Network, Step
from lstm2d.objectives.sparse import factor_of
from lstm2d.ops import scale
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
    largest_factor : float, default 1.0
        Of the loss of sparsely labelled images, see `lstm2d.objectives.sparse`.
    """

    class_weights: NDArray[np.floating[Any]] | None = None
    ignore_index: int = 255
    largest_factor: float = field(default=1.0, kw_only=True)

    def loss(self, network: Network, z: Tensor, labels: NDArray[np.integer[Any]], step: Step) -> Tensor:
        """Return the loss that `Network.compare` computes, times a factor if few pixels are labelled."""
        scores = network.scores(z, step)
        loss = network.compare(scores, labels, self.class_weights, ignore_index=self.ignore_index)
        factor = factor_of(labels, self.largest_factor, ignore_index=self.ignore_index)
        return loss if factor == 1 else scale(loss, factor)

    def terms(self, network: Network, labels: NDArray[np.integer[Any]]) -> float:
        """Return the number of terms that `Network.terms` counts, times the factor of the loss."""
        factor = factor_of(labels, self.largest_factor, ignore_index=self.ignore_index)
        return factor * network.terms(labels, ignore_index=self.ignore_index)

    def probabilities(self, network: Network, z: Tensor) -> FloatArray:
        """Return the probabilities that prediction gives."""
        return network.probabilities_from(z)
