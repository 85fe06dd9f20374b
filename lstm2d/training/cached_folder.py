"""A dataset folder that keeps decoded images in memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.folder import DatasetFolder, Sample
from lstm2d.hierarchy.fill import Fill, filled
from lstm2d.training.contents import Contents

Image = NDArray[np.uint8] | NDArray[np.float32]
Labels = NDArray[np.uint8]


class CachedFolder(DatasetFolder):
    """A dataset folder that keeps the images it has decoded, up to a limit.

    Parameters
    ----------
    folder : DatasetFolder
        Where the images are.
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
        folder: DatasetFolder,
        limit: int,
        change: Callable[[Image, Labels], tuple[Image, Labels]],
        contents: Contents,
        fill: Fill | None = None,
    ) -> None:
        vars(self).update(vars(folder))  # including cached properties, which may have read all masks
        self.limit, self.change, self.contents, self.fill = limit, change, contents, fill
        self.size = 0
        self._kept: dict[str, tuple[Image, Labels]] = {}

    def load(self, sample: Sample) -> tuple[Image, Labels]:
        """Return an image and its labels, from memory if they are there; see `DatasetFolder.load`."""
        if sample.stem in self._kept:
            return self._kept[sample.stem]
        image, labels = super().load(sample)
        labels = filled(image, labels, self.fill)
        self.contents.see(sample, labels)
        image, labels = self.change(image, labels)
        size = image.nbytes + labels.nbytes
        if self.size + size <= self.limit:
            self.size += size
            self._kept[sample.stem] = (image, labels)
        return image, labels
