"""All cells of a shifted grid over an image, for networks whose score planes are coarser than the image."""

from __future__ import annotations

import numpy as np

from lstm2d.config import TrainSection
from lstm2d.data.transforms import normalise
from lstm2d.models.rcnn import RCNNNetwork
from lstm2d.pipeline.preprocess import surrounded
from lstm2d.random import Purpose, generator
from lstm2d.training.samples import TrainingData
from lstm2d.training.sources import Example, Source
from lstm2d.training.sources.whole import WholeImages


class Cells(Source):
    """One example for each training image: the patches around every S-th pixel, which share their work.

    The grid is shifted at random, so that each pixel is the middle of a patch in some epochs. The gradient is
    that of these patches.

    Parameters
    ----------
    train : TrainSection
        Augmentation, crop and seed.
    data : TrainingData
        The images.
    network : RCNNNetwork
        Says how large the patches are.
    """

    repeats = False

    def __init__(self, train: TrainSection, data: TrainingData, network: RCNNNetwork) -> None:
        self.images, self.network = WholeImages(train, data), network

    def __len__(self) -> int:
        return len(self.images)

    def example(self, number: int, epoch: int) -> Example:
        """Return the padded image without its first rows and columns, and the labels under the cells."""
        seed, data = self.images.train.seed, self.images.data
        image, labels = self.images.augmented(number, epoch)
        field = self.network.fields[self.network.instances_of(seed, epoch, number) - 1]
        rng = generator(seed, epoch, number, Purpose.SHIFT)
        top, left = (int(rng.integers(min(field.stride, side))) for side in labels.shape)
        prepare = data.preprocessing
        padded = surrounded(normalise(image, prepare.mean, prepare.std), field.size // 2)
        x = np.ascontiguousarray(padded[np.newaxis, top:, left:])
        cells = np.ascontiguousarray(labels[np.newaxis, top :: field.stride, left :: field.stride])
        return Example(x, cells, (self.name(number),))

    def name(self, number: int) -> str:
        """Return the image file."""
        return self.images.name(number)
