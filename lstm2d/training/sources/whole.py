"""Whole images as examples, or one crop of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.config import TrainSection
from lstm2d.data.transforms import flip, random_color, random_flip, random_rotation, random_scale
from lstm2d.errors import DataError
from lstm2d.hierarchy.labels import EVERYWHERE, Place
from lstm2d.random import Purpose, generator
from lstm2d.training.samples import TrainingData
from lstm2d.training.sources import Example, Source
from lstm2d.training.sources.labelled import labelled_crop

MAX_SIZES = 4  # sizes listed in a message


class WholeImages(Source):
    """One example for each training image: flipped, resized, recoloured, rotated and cropped as configured.

    A crop of a labelled image has at least one labelled pixel.
    Each epoch draws anew: after five epochs the network has seen five augmented copies of an image.

    Parameters
    ----------
    train : TrainSection
        Augmentation, crop and seed.
    data : TrainingData
        The images.
    joint : bool, default False
        Whether the images of a minibatch run as one batch.

    Raises
    ------
    DataError
        If the images of a joint minibatch differ in size.
    """

    def __init__(self, train: TrainSection, data: TrainingData, *, joint: bool = False) -> None:
        self.train, self.data = train, data
        if joint:
            self._check_stackable()

    @property
    def repeats(self) -> bool:
        """Whether epochs repeat the same images: neither cropped, resized, recoloured nor rotated."""
        train = self.train
        return not (train.crop or train.scale_jitter or train.brightness_jitter or train.rotation)

    def __len__(self) -> int:
        return len(self.data.training)

    def example(self, number: int, epoch: int) -> Example:
        """Return one training image as an epoch sees it."""
        prepare, data = self.data.preprocessing, self.data
        image, labels = self.uncropped(number, epoch)
        place: Place = EVERYWHERE
        if self.train.crop:
            rng = generator(self.train.seed, epoch, number, Purpose.CROP)
            place = labelled_crop(labels, data.ignore, rng, size=self.train.crop)
        targets = prepare.prepare_labels(data.targets(labels, number, place), data.ignored_target)
        return Example(prepare.prepare_part(image[place]), targets, (self.name(number),))

    def uncropped(self, number: int, epoch: int) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        """Return one training image after `Preprocessing.prepare_whole`, and its labels.

        Parameters
        ----------
        number : int
            Number of the image, from 0.
        epoch : int
            Epoch of the run, from 0.

        Returns
        -------
        image : ndarray of shape (H, W, C)
            Flipped, resized, recoloured and rotated as configured.
        labels : ndarray of shape (H, W), uint8
            Class numbers.
        """
        train, prepare = self.train, self.data.preprocessing
        image: NDArray[Any]
        image, labels = self.data.dataset.load(self.data.training[number])
        if train.flip:
            image, labels = random_flip(image, labels, generator(train.seed, epoch, number, Purpose.FLIP))
        if train.scale_jitter or train.brightness_jitter:
            rng = generator(train.seed, epoch, number, Purpose.JITTER)
            if train.scale_jitter:
                image, labels = random_scale(image, labels, rng, amount=train.scale_jitter)
            if train.brightness_jitter:
                image = random_color(image, rng, amount=train.brightness_jitter)
        image = prepare.prepare_whole(image)
        if train.rotation:  # after the contrast: normalising makes the corners 0
            image, labels = random_rotation(
                image,
                labels,
                generator(train.seed, epoch, number, Purpose.ROTATION),
                amount=train.rotation,
                fill=prepare.mean,
                ignore=self.data.ignore,
            )
        return image, labels

    def name(self, number: int) -> str:
        """Return the image file."""
        return str(self.data.training[number].image_path)

    def inputs(self) -> tuple[int, Iterator[NDArray[np.float32]]]:
        """List all images, and their mirror images if epochs flip them."""
        return len(self) * (2 if self.train.flip else 1), self._inputs()

    def _inputs(self) -> Iterator[NDArray[np.float32]]:
        prepare = self.data.preprocessing
        for sample in self.data.training:
            image, labels = self.data.dataset.load(sample)
            yield prepare.network_input(image)
            if self.train.flip:
                yield prepare.network_input(flip(image, labels)[0])

    def _check_stackable(self) -> None:
        """Make sure that the padded images of every minibatch have one size."""
        train, stride, sizes = self.train, self.data.preprocessing.stride, self.data.sizes
        if train.batch == 1 or train.crop:
            return
        padded = {tuple(-(-side // stride) for side in size) for size in sizes}
        found = ""
        if train.scale_jitter:
            found = "train.scale_jitter gives images of many sizes"
        elif len(padded) > 1:
            listed = ", ".join(f"{rows}x{columns}" for rows, columns in sorted(sizes)[:MAX_SIZES])
            found = f"images of {len(sizes)} sizes ({listed}{', ...' * (len(sizes) > MAX_SIZES)})"
        if found:
            raise DataError(
                found,
                where=self.data.dataset.root,
                expected="one size: this network normalises over the minibatch",
                hint="set train.crop, or train.batch=1",
            )
