"""All cells of a shifted grid over an image, for networks whose score planes are coarser than the image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lstm2d.config import TrainSection
from lstm2d.models.rcnn import RCNNNetwork
from lstm2d.random import Purpose, generator
from lstm2d.training.samples import TrainingData
from lstm2d.training.sources import Example, Source
from lstm2d.training.sources.labelled import labelled_pixel
from lstm2d.training.sources.whole import WholeImages


class Cells(Source):
    """One example for each training image: the patches around every S-th pixel, which share their work.

    The grid is shifted at random, so that each pixel is the middle of a patch in some epochs; at least one
    middle is labelled, if any pixel is. The gradient is that of these patches. A crop limits their middles
    alone: they see what lies beside it in the image.

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
        """Return the pixels that the cells see, and the labels under the cells."""
        train, prepare = self.images.train, self.images.data.preprocessing
        image, labels = self.images.uncropped(number, epoch)
        field = self.network.fields[self.network.instances_of(train.seed, epoch, number) - 1]
        top, left, down, right = self._grid(labels, field.stride, number, epoch)
        height, width = np.minimum(labels.shape, train.crop or labels.shape)
        rows, columns = slice(top + down, top + height), slice(left + right, left + width)
        x = prepare.prepare_window(image, rows, columns, field.size // 2)
        under = slice(top + down, top + height, field.stride), slice(left + right, left + width, field.stride)
        cells = self.images.data.targets(labels, number, under)[np.newaxis]
        return Example(x, np.ascontiguousarray(cells), (self.name(number),))

    def _grid(
        self, labels: NDArray[np.uint8], stride: int, number: int, epoch: int
    ) -> tuple[int, int, int, int]:
        """Return the corner of the crop and that of the grid in it; a cell is labelled if any pixel is."""
        train, ignore = self.images.train, self.images.data.ignore
        rng = generator(train.seed, epoch, number, Purpose.CROP)
        height, width = np.minimum(labels.shape, train.crop or labels.shape)
        top, left = rng.integers(np.subtract(labels.shape, (height, width)) + 1)
        rng = generator(train.seed, epoch, number, Purpose.SHIFT)
        down, right = rng.integers(np.minimum(stride, (height, width)))
        under = slice(top + down, top + height, stride), slice(left + right, left + width, stride)
        if (labels[under] != ignore).any() or (pixel := labelled_pixel(labels, ignore, rng)) is None:
            return top, left, down, right
        lowest = np.maximum(0, np.subtract(pixel, (height, width)) + 1)
        top, left = rng.integers(lowest, np.minimum(pixel, np.subtract(labels.shape, (height, width))) + 1)
        return top, left, (pixel[0] - top) % stride, (pixel[1] - left) % stride

    def name(self, number: int) -> str:
        """Return the image file."""
        return self.images.name(number)
