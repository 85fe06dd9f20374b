"""Patches around the centres of superpixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lstm2d.config import TrainSection
from lstm2d.data.superpixels import centres, superpixels
from lstm2d.models import Network
from lstm2d.random import Purpose, generator
from lstm2d.training.samples import TrainingData
from lstm2d.training.sources import Example, Source
from lstm2d.training.sources.whole import WholeImages


class Superpixels(Source):
    """Patches of the augmented images, each around the centre of a superpixel; unlabelled ones are left out.

    A superpixel that is labelled, but not at its centre, has a patch around the labelled pixel nearest to it.

    An epoch draws one augmented copy of every image and `train.patches` of its superpixels: each once, in
    random order, and again if the copy has fewer. An image without a labelled pixel gives patches that do
    not count.

    Parameters
    ----------
    train : TrainSection
        Patches per image and epoch, augmentation and seed.
    data : TrainingData
        The images.
    network : Network
        Says how large the patches are: its padding is on each side of the middle.
    """

    repeats = False

    def __init__(self, train: TrainSection, data: TrainingData, network: Network) -> None:
        self.images, self.padding = WholeImages(train, data), network.padding
        self._epoch = -1
        self._middles: dict[int, NDArray[np.int64]] = {}  # of the copies of this epoch

    def __len__(self) -> int:
        return len(self.images) * self.images.train.patches

    def example(self, number: int, epoch: int) -> Example:
        """Return a patch, with zeros where it extends beyond the image, and the label of its middle pixel."""
        k, position = divmod(number, self.images.train.patches)
        image, labels = self.images.uncropped(k, epoch)
        middles = self._labelled(k, epoch, image, labels)
        row, column = middles[position % len(middles)].tolist()
        place = slice(row, row + 1), slice(column, column + 1)
        x = self.images.data.preprocessing.prepare_window(image, *place, self.padding)
        targets = self.images.data.targets(labels, k, place)
        return Example(x, targets[np.newaxis].copy(), (self.images.name(k),))

    def _labelled(
        self, k: int, epoch: int, image: NDArray[np.float32], labels: NDArray[np.uint8]
    ) -> NDArray[np.int64]:
        """Return rows and columns of the middles of patches, in the random order of an epoch.

        First the centres that are labelled; then, for the superpixels whose centre is not, the labelled pixel
        nearest to it, if they have one.
        """
        if epoch != self._epoch:
            self._epoch, self._middles = epoch, {}
        if k not in self._middles:
            segments, known = superpixels(image), labels != self.images.data.ignore
            found = np.stack(centres(segments), axis=1)
            at_centre = known[tuple(found.T)]
            rng = generator(self.images.train.seed, epoch, k, Purpose.SUPERPIXEL)
            middles = rng.permutation(found[at_centre])
            elsewhere = known & ~at_centre[segments]
            if elsewhere.any():
                others = np.stack(centres(segments, elsewhere), axis=1)
                middles = np.concatenate([middles, rng.permutation(others)])
            self._middles[k] = middles if len(middles) else found[:1]
        return self._middles[k]

    def name(self, number: int) -> str:
        """Return the image and the number of the patch in it."""
        k, position = divmod(number, self.images.train.patches)
        return f"{self.images.name(k)}, patch {position}"
