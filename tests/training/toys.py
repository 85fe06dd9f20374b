"""A toy source of patches, a toy objective with subclasses, and runs of two stages that use them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.config import RunConfig, TrainSection
from lstm2d.models import Network, Step
from lstm2d.nn import Linear
from lstm2d.random import Purpose, generator
from lstm2d.tensor import FloatArray, Tensor
from lstm2d.training.samples import TrainingData
from lstm2d.training.sources import Example, Source
from lstm2d.training.stages import Stage, flat, whole_images

PER_IMAGE, SIDE = 3, 6


class Patches(Source):
    """Three patches of 6x6 pixels from each image, at random places."""

    repeats = False

    def __init__(self, train: TrainSection, data: TrainingData) -> None:
        self.train, self.data = train, data

    def __len__(self) -> int:
        return PER_IMAGE * len(self.data.training)

    def example(self, number: int, epoch: int) -> Example:
        """Return a patch, padded if it extends beyond the image."""
        prepare = self.data.preprocessing
        image, labels = self.data.dataset.load(self.data.training[number // PER_IMAGE])
        rng = generator(self.train.seed, epoch, number, Purpose.CROP)
        top, left = (int(rng.integers(0, max(1, side - SIDE + 1))) for side in labels.shape)
        place = slice(top, top + SIDE), slice(left, left + SIDE)
        x = prepare.prepare_part(prepare.prepare_whole(image)[place])
        return Example(x, prepare.prepare_labels(labels[place], self.data.ignore), (self.name(number),))

    def name(self, number: int) -> str:
        """Return the image and the number of the patch in it."""
        return f"{self.data.training[number // PER_IMAGE].stem}, patch {number % PER_IMAGE}"


@dataclass(frozen=True)
class Halves:
    """Two subclasses for each class: one in even columns, one in odd columns."""

    ignore: int

    def loss(self, network: Network, z: Tensor, labels: NDArray[np.integer[Any]], step: Step) -> Tensor:
        """Return the loss on the subclasses."""
        columns = np.arange(labels.shape[-1]) % 2
        fine = np.where(labels == self.ignore, self.ignore, 2 * labels + columns).astype(np.uint8)
        return network.compare(network.scores(z, step), fine, ignore_index=self.ignore)

    def terms(self, network: Network, labels: NDArray[np.integer[Any]]) -> float:
        """Return the number of terms, the same as on the classes."""
        return network.terms(labels, ignore_index=self.ignore)

    def probabilities(self, network: Network, z: Tensor) -> FloatArray:
        """Return the sum over the subclasses of each class."""
        fine = network.probabilities_from(z)
        total: FloatArray = fine.reshape(*fine.shape[:-1], -1, 2).sum(-1)
        return total


def fine_head(network: Network, data: TrainingData, rng: np.random.Generator) -> None:
    """Give the network a head for the subclasses."""
    network.head = Linear(network.head.weight.shape[0], 2 * len(data.classes), rng=rng)


def coarse_head(network: Network, data: TrainingData, rng: np.random.Generator) -> None:
    """Give the network a head for the classes."""
    network.head = Linear(network.head.weight.shape[0], len(data.classes), rng=rng)


def fine_to_coarse(config: RunConfig) -> Sequence[Stage]:
    """Return two stages: a new head on the subclasses of patches, then all layers on the classes."""
    short = {"batch": 4, "steps": 7, "average": 0.0, "optimizer": "adadelta", "learning_rate": 1.0}
    first = config.train.model_copy(update=short)
    return [
        Stage(
            name="subclasses",
            train=first,
            source=lambda data, network: Patches(first, data),
            objective=lambda data, network: Halves(data.ignore),
            begin=fine_head,
            trained=lambda network: network.head.parameters(),
            saves_model=False,
        ),
        Stage(
            name="classes",
            train=config.train,
            source=whole_images(config.train),
            objective=flat,
            begin=coarse_head,
        ),
    ]


def twice(config: RunConfig) -> Sequence[Stage]:
    """Return two equal stages that train all layers; both save their model, which states its stage."""
    train = config.train
    return [
        Stage(name=name, train=train, source=whole_images(train), objective=flat, model={"gate_clip": number})
        for number, name in enumerate(("one", "two"), start=3)
    ]
