"""A dataset that keeps decoded images in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.dataset import Images
from lstm2d.data.layout import Sample
from lstm2d.hierarchy.fill import Fill, filled
from lstm2d.io.classes import ClassInfo
from lstm2d.training.contents import Contents

Image = NDArray[np.uint8] | NDArray[np.float32]
Labels = NDArray[np.uint8]


class CachedDataset:
    """A dataset that keeps the images it has read, up to a limit.

    Parameters
    ----------
    images : Images
        The dataset.
    limit : int
        Bytes of images and labels to keep. Images beyond it are read each time.
    change : callable
        Applied to an image and its labels after they are read.
    contents : Contents
        Takes the digest of each image that is read, and of its labels.
    fill : callable, optional
        Fills unlabelled pixels, see `lstm2d.hierarchy.fill.filled`. The digest is of the filled labels.
    """

    def __init__(
        self,
        images: Images,
        limit: int,
        change: Callable[[Image, Labels], tuple[Image, Labels]],
        contents: Contents,
        fill: Fill | None = None,
    ) -> None:
        self._images = images
        self.limit, self.change, self.contents, self.fill = limit, change, contents, fill
        self.size = 0
        self._kept: dict[str, tuple[Image, Labels]] = {}

    def load(self, sample: Sample) -> tuple[Image, Labels]:
        """Return an image and its labels, from memory if they are there; see `Images.load`."""
        if sample.stem in self._kept:
            return self._kept[sample.stem]
        image, labels = self._images.load(sample)
        labels = filled(image, labels, self.fill)
        self.contents.see(sample, labels)
        image, labels = self.change(image, labels)
        size = image.nbytes + labels.nbytes
        if self.size + size <= self.limit:
            self.size += size
            self._kept[sample.stem] = (image, labels)
        return image, labels

    @property
    def root(self) -> Path:
        """Where the images are, for messages."""
        return self._images.root

    @property
    def name(self) -> str:
        """Name of the dataset."""
        return self._images.name

    @property
    def classes(self) -> tuple[ClassInfo, ...]:
        """The classes, ordered by number."""
        return self._images.classes

    @property
    def meaning(self) -> dict[str, Any]:
        """The mask encoding, see `Description.meaning`."""
        return self._images.meaning

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits."""
        return self._images.splits

    @property
    def scenes(self) -> Mapping[str, str]:
        """Scene of each stem."""
        return self._images.scenes
