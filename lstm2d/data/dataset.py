"""What training asks of a dataset, whether it is a folder or a caller's arrays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.layout import Sample
from lstm2d.io.classes import ClassInfo
from lstm2d.io.photo import Reading
from lstm2d.notes import Notes


class Images(Protocol):
    """Images with labels, and what they are called."""

    @property
    def root(self) -> Path:
        """Where they are, for messages."""

    @property
    def name(self) -> str:
        """Name of the dataset."""

    @property
    def classes(self) -> tuple[ClassInfo, ...]:
        """The classes, ordered by number."""

    @property
    def meaning(self) -> dict[str, Any]:
        """The mask encoding, see `Description.meaning`."""

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, sorted; none if all images form one set."""

    @property
    def scenes(self) -> Mapping[str, str]:
        """Scene of each stem; empty without scene names."""

    def load(self, sample: Sample) -> tuple[NDArray[np.uint8] | NDArray[np.float32], NDArray[np.uint8]]:
        """Read an image and its mask.

        Parameters
        ----------
        sample : Sample
            Image and mask to read.

        Returns
        -------
        image : array of shape (H, W, 3), uint8 or float32
            Red, green, blue in 0..255.
        labels : array of shape (H, W), uint8
            Class numbers; 255 where ignored.

        Raises
        ------
        DataError
            If they cannot be read, or do not fit together.
        """


class Dataset(Images, Protocol):
    """A dataset that a run can be trained on.

    Attributes
    ----------
    reading : Reading
        How images are read. A run sets it.
    notes : Notes
        What was guessed, converted or left out in the images and masks loaded so far.
    guessed : bool
        Whether the classes were guessed from the masks.
    """

    reading: Reading
    notes: Notes
    guessed: bool

    @property
    def ignore(self) -> int:
        """Label of ignored pixels in the output of `load`: 255."""

    @property
    def native(self) -> bool:
        """Whether pixels have a fixed scale."""

    @property
    def guessed_toml(self) -> str | None:
        """The guessed description as dataset.toml, to show; None if there is nothing to show."""

    def size_of(self, sample: Sample) -> tuple[int, int]:
        """Rows and columns of an image; nothing is noted about it."""

    def training_splits(
        self, train: str = "train", val: str = "val", *, fraction: float = 0.1, seed: int = 0
    ) -> tuple[list[Sample], list[Sample]]:
        """List the images to train on and those to validate on.

        Parameters
        ----------
        train, val : str
            Names of the splits. Without splits, all images are the training split.
        fraction : float
            Share to hold out if there is no split `val`.
        seed : int
            Seed for the choice of held-out images.

        Returns
        -------
        train, val : list of Sample
            No image is in both.

        Raises
        ------
        DataError
            If a split cannot be used, or there are too few images to hold any out.
        """
