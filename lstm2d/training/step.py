"""The gradient of one training step: the mean over the examples of a minibatch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lstm2d import kernels
from lstm2d.models import Step
from lstm2d.tape import backward
from lstm2d.tensor import Tensor
from lstm2d.training.diagnose import first_not_finite
from lstm2d.training.features import FrozenFeatures
from lstm2d.training.ranks import Order, Ranks
from lstm2d.training.sources import Example
from lstm2d.training.stages import ActiveStage
from lstm2d.training.tree_sum import tree_sum


class NotFiniteError(Exception):
    """A loss is not finite.

    Parameters
    ----------
    names : sequence of str
        Example with that loss; several if they run as one batch.
    layer : str
        Layer in which it arose.
    """

    def __init__(self, names: Sequence[str], layer: str) -> None:
        super().__init__(layer)
        self.names, self.layer = list(names), layer


def batch_gradient(
    features: FrozenFeatures, stage: ActiveStage, numbers: Sequence[int], epoch: int, ranks: Ranks
) -> tuple[float, float]:
    """Compute the gradient of the mean loss of some examples, in the `grad` of the network's parameters.

    Parameters
    ----------
    features : FrozenFeatures
        The network and its frozen layers. The examples are processed one by one, and their gradients summed
        as a tree over their positions in `numbers`, unless the network normalises over the minibatch.
    stage : ActiveStage
        Source of the examples, objective, and optimizer: the owner of the parameters.
    numbers : sequence of int
        Indices of the examples; at least one.
    epoch : int
        Epoch of the run, from 0.
    ranks : Ranks
        Those that share the examples. They take over the weights of rank 0 first; it alone gets the result.

    Returns
    -------
    loss, terms : float
        Sum of the losses of the examples, and the number of its terms.

    Raises
    ------
    DataError
        If a file cannot be read.
    NotFiniteError
        If a loss is not finite.
    """
    network, source, objective = features.network, stage.source, stage.objective
    averaged = network.joint and network.reduction == "mean"  # over all examples already
    share = 1.0 if averaged else 1 / len(numbers)
    batches = [tuple(numbers)] if network.joint else [(number,) for number in numbers]
    ranks.order(Order.STEP, epoch, *numbers)
    ranks.share([stage.optimizer.weights])

    def gradient(position: int) -> tuple[float, float]:
        samples = batches[position]
        images = (source.example(number, epoch) for number in samples)
        example = _stacked([replace(image, x=features(image.x, keep=source.repeats)) for image in images])
        labels = kernels.to_device(example.labels, network.device)
        step = Step(seed=stage.train.seed, epoch=epoch, samples=samples, training=True)
        value = objective.loss(network, Tensor(example.x), labels, step)
        if not math.isfinite(float(value.data)):
            layer = first_not_finite(value, dict(network.named_parameters()))
            raise NotFiniteError(example.names, layer)
        loss, terms = float(value.data), float(objective.terms(network, example.labels))
        backward(value, np.full_like(value.data, share))
        return loss, terms

    return tree_sum(len(batches), gradient, stage.optimizer, ranks)


def _stacked(parts: Sequence[Example]) -> Example:
    """Return all examples, which have the same size, as one batch: features on the device, labels on host."""
    if len(parts) == 1:
        return parts[0]
    names = tuple(name for part in parts for name in part.names)
    first = parts[0].x
    x = kernels.empty((len(parts), *first.shape[1:]), first.dtype, like=first)
    for image, part in zip(x, parts, strict=True):
        image[...] = part.x[0]
    return Example(x, np.concatenate([part.labels for part in parts]), names)
