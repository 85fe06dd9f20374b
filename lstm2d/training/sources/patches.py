"""Patches around random pixels of random images."""

from __future__ import annotations

import numpy as np

from lstm2d.config import TrainSection
from lstm2d.models.rcnn import RCNNNetwork
from lstm2d.random import Purpose, generator
from lstm2d.training.samples import TrainingData
from lstm2d.training.sources import Example, Source
from lstm2d.training.sources.labelled import labelled_pixel
from lstm2d.training.sources.whole import WholeImages


class Patches(Source):
    """Examples as in the paper: a random labelled pixel of a random image, and what a cell over it sees.

    Parameters
    ----------
    train : TrainSection
        Patches per image and epoch, augmentation and seed.
    data : TrainingData
        The images.
    network : RCNNNetwork
        Says how large the patches are.
    """

    repeats = False

    def __init__(self, train: TrainSection, data: TrainingData, network: RCNNNetwork) -> None:
        self.images, self.network = WholeImages(train, data), network

    def __len__(self) -> int:
        return len(self.images) * self.images.train.patches

    def example(self, number: int, epoch: int) -> Example:
        """Return a patch, with zeros where it extends beyond the image, and the label of its middle pixel."""
        seed, prepare = self.images.train.seed, self.images.data.preprocessing
        rng, k = self._chosen(number, epoch)
        image, labels = self.images.uncropped(k, epoch)
        row, column = (int(rng.integers(side)) for side in labels.shape)
        if labels[row, column] == self.images.data.ignore:
            row, column = labelled_pixel(labels, self.images.data.ignore, rng) or (row, column)
        size = self.network.fields[self.network.instances_of(seed, epoch, number) - 1].size
        place = slice(row, row + 1), slice(column, column + 1)
        x = prepare.prepare_window(image, *place, size // 2)
        return Example(
            x, self.images.data.targets(labels, k, place)[np.newaxis].copy(), (self.images.name(k),)
        )

    def _chosen(self, number: int, epoch: int) -> tuple[np.random.Generator, int]:
        """Return the generator of an example, and its image."""
        rng = generator(self.images.train.seed, epoch, number, Purpose.PATCH)
        return rng, int(rng.integers(len(self.images)))

    def name(self, number: int) -> str:
        """Return the number of the example; its image depends on the epoch."""
        return f"patch {number}"
