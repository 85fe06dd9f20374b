"""The images of a run: decoded once where they fit into memory, and changed a little each epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.folder import DatasetFolder, Sample

Image = NDArray[Any]
Mask = NDArray[np.uint8]


class ImageStore:
    """Images and masks by number; read from the disk once, as long as `limit` is not reached.

    Parameters
    ----------
    folder : DatasetFolder
        Where they lie.
    samples : sequence of Sample
        Which ones.
    limit : int
        Bytes of decoded images and masks to keep. Those that do not fit any more are read each time.
    """

    def __init__(self, folder: DatasetFolder, samples: Sequence[Sample], limit: int) -> None:
        self.folder, self.samples, self.limit = folder, list(samples), limit
        self.kept: dict[int, tuple[Image, Mask]] = {}
        self.size = 0

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, number: int) -> tuple[Image, Mask]:
        if number in self.kept:
            return self.kept[number]
        image, mask = self.folder.load(self.samples[number])
        size = image.nbytes + mask.nbytes
        if self.size + size <= self.limit:
            self.size += size
            self.kept[number] = (image, mask)
        return image, mask
