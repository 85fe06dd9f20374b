"""The gradient of one training step: the mean over the images of a minibatch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from lstm2d import kernels
from lstm2d.models.network import Step
from lstm2d.tape import backward
from lstm2d.tensor import Tensor
from lstm2d.training.diagnose import first_not_finite
from lstm2d.training.features import FrozenFeatures
from lstm2d.training.samples import Example, TrainingData


class NotFiniteError(Exception):
    """A loss is infinite or no number.

    Parameters
    ----------
    names : sequence of str
        The image it is the loss of; several where they run as one batch.
    layer : str
        Where it arose.
    """

    def __init__(self, names: Sequence[str], layer: str) -> None:
        super().__init__(layer)
        self.names, self.layer = list(names), layer


def batch_gradient(
    features: FrozenFeatures, data: TrainingData, numbers: Sequence[int], epoch: int
) -> tuple[float, float]:
    """Add the gradient of the mean loss of some images to the `grad` of the network's parameters.

    Parameters
    ----------
    features : FrozenFeatures
        The network, and what its frozen part makes of images. They run one by one, in the order of `numbers`,
        unless the network wants them as one batch.
    data : TrainingData
        Where the images come from.
    numbers : sequence of int
        Which ones; at least one.
    epoch : int
        Epoch, from 0.

    Returns
    -------
    loss, terms : float
        Sum of the losses of the images, and how many terms it has.

    Raises
    ------
    DataError
        If a file cannot be used.
    NotFiniteError
        If a loss is not finite.
    """
    network, device = features.network, features.network.device
    class_weights = None if data.class_weights is None else kernels.to_device(data.class_weights, device)
    averaged = network.joint and network.reduction == "mean"  # over all images already
    share, loss, terms = 1.0 if averaged else 1 / len(numbers), 0.0, 0.0
    images = (data.example(number, epoch) for number in numbers)
    examples = (replace(image, x=features(image.x, again=data.repeats)) for image in images)
    batches = [tuple(numbers)] if network.joint else [(number,) for number in numbers]
    for samples, example in zip(batches, _stacked(examples) if network.joint else examples, strict=True):
        labels = kernels.to_device(example.labels, device)
        step = Step(seed=data.train.seed, epoch=epoch, samples=samples, training=True)
        value = network.compare(
            network.scores(Tensor(example.x), step), labels, class_weights, ignore_index=data.ignore
        )
        if not math.isfinite(float(value.data)):
            layer = first_not_finite(value, dict(network.named_parameters()))
            raise NotFiniteError(example.names, layer)
        backward(value, np.full_like(value.data, share))
        loss += float(value.data)
        terms += network.terms(example.labels, ignore_index=data.ignore)
        del value  # its memory serves the next image
    return loss, terms


def images_text(names: Sequence[str], culprits: Sequence[str] = ()) -> str:
    """Return the images of a minibatch in words.

    Parameters
    ----------
    names : sequence of str
        All of them.
    culprits : sequence of str, optional
        Those that it is about, where that is known.

    Returns
    -------
    str
        To stand in a message.
    """
    if 0 < len(culprits) < len(names):
        return f"image {', '.join(culprits)} of the minibatch {', '.join(names)}"
    return f"image{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _stacked(examples: Iterable[Example]) -> Iterator[Example]:
    """Yield all examples, of one size, as one: features on the device and labels on the host as they are."""
    parts = list(examples)
    names = tuple(name for part in parts for name in part.names)
    first = parts[0].x
    x = kernels.empty((len(parts), *first.shape[1:]), first.dtype, like=first)
    for image, part in zip(x, parts, strict=True):
        image[...] = part.x[0]
    yield Example(x, np.concatenate([part.labels for part in parts]), names)
