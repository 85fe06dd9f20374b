"""Objectives of networks that score subclasses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d import kernels
from lstm2d.hierarchy.labels import IGNORED
from lstm2d.models import Network, Step
from lstm2d.models.subclasses import scoring_classes
from lstm2d.objectives.sparse import factor_of
from lstm2d.ops import add, scale
from lstm2d.tape import no_grad
from lstm2d.tensor import FloatArray, Tensor


@dataclass(frozen=True, slots=True)
class OnSubclasses:
    """Compare the scores of the subclasses with labels of subclasses.

    Parameters
    ----------
    parents : ndarray of shape (n,)
        The class of each subclass, on the device of the network.
    class_weights : ndarray of shape (K,), optional
        Factor of each class, and of its subclasses, on the device of the network.
    largest_factor : float, default 1.0
        Of the loss of sparsely labelled images, see `lstm2d.objectives.sparse`.
    """

    parents: NDArray[np.integer[Any]]
    class_weights: NDArray[np.floating[Any]] | None = None
    largest_factor: float = field(default=1.0, kw_only=True)

    def loss(self, network: Network, z: Tensor, labels: NDArray[np.integer[Any]], step: Step) -> Tensor:
        """Return the loss that `Network.compare` computes; pixels that are `IGNORED` do not count."""
        return self._scaled(self._compared(network, network.scores(z, step), labels), labels)

    def _scaled(self, loss: Tensor, labels: NDArray[np.integer[Any]]) -> Tensor:
        factor = factor_of(labels, self.largest_factor, ignore_index=IGNORED)
        return loss if factor == 1 else scale(loss, factor)

    def _compared(self, network: Network, scores: Tensor, labels: NDArray[np.integer[Any]]) -> Tensor:
        weights = None if self.class_weights is None else self.class_weights[self.parents]
        return network.compare(scores, labels, weights, ignore_index=IGNORED)

    def terms(self, network: Network, labels: NDArray[np.integer[Any]]) -> float:
        """Return the number of terms that `Network.terms` counts, times the factor of the loss."""
        factor = factor_of(labels, self.largest_factor, ignore_index=IGNORED)
        return factor * network.terms(labels, ignore_index=IGNORED)

    def probabilities(self, network: Network, z: Tensor) -> FloatArray:
        """Return the sum of the probabilities of the subclasses of each class."""
        fine = network.probabilities_from(z)
        with no_grad():
            return network.class_scores(Tensor(fine)).data


@dataclass(frozen=True, slots=True)
class Hierarchical(OnSubclasses):
    r"""Compare the scores of the subclasses, and those of the classes that follow from them [1]_.

    Parameters
    ----------
    parents : ndarray of shape (n,)
        As in `OnSubclasses`.
    class_weights : ndarray of shape (K,), optional
        As in `OnSubclasses`.
    largest_factor : float, default 1.0
        As in `OnSubclasses`.
    alpha : float, default 1.0
        Weight of the loss on classes.

    Notes
    -----
    The scores of the classes are :math:`W p`, with :math:`W` in `Network.membership` and :math:`p` from the
    head:

    .. math:: L = L_{sub}(p) + \alpha \, L_{class}(W p)

    Both losses are those of `Network.compare`. The term :math:`\frac{\beta}{2} \|\theta\|^2` of the paper is
    the weight decay of the optimizer.

    References
    ----------
    .. [1] Z. Wang, H. Li, W. Ouyang, X. Wang, "Learning Deep Representations for Scene Labeling with Semantic
       Context Guided Supervision", 2017, section 3.2.2.
    """

    alpha: float = 1.0

    def loss(self, network: Network, z: Tensor, labels: NDArray[np.integer[Any]], step: Step) -> Tensor:
        """Return the sum of both losses."""
        scores = network.scores(z, step)
        on_subclasses = self._compared(network, scores, labels)
        on_classes = network.compare(
            network.class_scores(scores), self._classes(labels), self.class_weights, ignore_index=IGNORED
        )
        return self._scaled(add(on_subclasses, scale(on_classes, self.alpha)), labels)

    def _classes(self, labels: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
        """Return the classes of labels of subclasses."""
        table = kernels.empty((len(self.parents) + 1,), np.int32, like=self.parents)
        table[:-1] = self.parents
        table[IGNORED] = IGNORED  # its last entry
        found: NDArray[np.integer[Any]] = table[labels]
        return found

    def probabilities(self, network: Network, z: Tensor) -> FloatArray:
        """Return the probabilities that prediction with the saved model gives: the softmax of W p."""
        with scoring_classes(network):
            return network.probabilities_from(z)
