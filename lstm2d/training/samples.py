"""The images of a run: decoded once where they fit into memory, and changed a little each epoch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.config import RunConfig
from lstm2d.data.contrast import with_contrast
from lstm2d.data.folder import DatasetFolder, Sample
from lstm2d.data.stats import Statistics, inverse_frequency_weights, median_frequency_weights, statistics
from lstm2d.data.transforms import (
    pad_labels_to_multiple,
    random_color,
    random_crop,
    random_flip,
    random_scale,
)
from lstm2d.errors import ConfigError, DataError
from lstm2d.pipeline.preprocess import Preprocessing, reduced
from lstm2d.random import Purpose, generator
from lstm2d.training.contents import Contents, other_contents, other_lists, some, stems_in

Image = NDArray[np.uint8] | NDArray[np.float32]
Labels = NDArray[np.uint8]
MOST = 4  # sizes that a message names


class CachedFolder(DatasetFolder):
    """A dataset folder that keeps what it has decoded, as long as it fits.

    Parameters
    ----------
    folder : DatasetFolder
        Where the images are.
    limit : int
        Bytes of images and labels to keep. Those that do not fit any more are read each time.
    change : callable
        What is done to an image and its labels when they have been read.
    contents : Contents
        Takes the digest of each image that is read, and of its labels.
    """

    def __init__(
        self,
        folder: DatasetFolder,
        limit: int,
        change: Callable[[Image, Labels], tuple[Image, Labels]],
        contents: Contents,
    ) -> None:
        vars(self).update(
            vars(folder)
        )  # what the folder has found out, which may have been a look at all masks
        self.limit, self.change, self.contents = limit, change, contents
        self.size = 0
        self._kept: dict[str, tuple[Image, Labels]] = {}

    def load(self, sample: Sample) -> tuple[Image, Labels]:
        """Return an image and its labels, from memory if they are there; as `DatasetFolder.load` does."""
        if sample.stem in self._kept:
            return self._kept[sample.stem]
        image, labels = super().load(sample)
        self.contents.see(sample, labels)
        image, labels = self.change(image, labels)
        size = image.nbytes + labels.nbytes
        if self.size + size <= self.limit:
            self.size += size
            self._kept[sample.stem] = (image, labels)
        return image, labels


@dataclass(frozen=True, slots=True)
class Example:
    """What a training step reads.

    Parameters
    ----------
    x : ndarray of shape (N, H, W, 3), float32
        Normalised images, mostly one; or what the frozen part of the network makes of them.
    labels : ndarray of shape (N, H, W), uint8
        Classes.
    names : tuple of str
        The images' files, for messages.
    """

    x: NDArray[np.float32]
    labels: Labels
    names: tuple[str, ...]


class TrainingData:
    """The images of a run, and what was measured on those it trains on.

    Parameters
    ----------
    config : RunConfig
        Splits, augmentation, class weights, seed.
    dataset : DatasetFolder
        Where the images are. Each is looked at once now, so that a broken one shows before the first step.
    stride : int
        Sides are padded to multiples of it, in pixels.
    known : Contents, optional
        What the images contained when the run to resume began.

    Attributes
    ----------
    training, validation : list of Sample
        The images.
    held_out : bool
        Whether the validation images were taken from the training split.
    selects : bool
        Whether a validation can choose the best weights: some pixel of its images is labelled.
    unseen : list of str
        Classes that only validation images have.
    preprocessing : Preprocessing
        What is done to an image: channel statistics as configured or measured, and the typical size of the
        training images.
    even : dict of int to float
        Channels with hardly any variance, and their deviation; it is taken as 1.
    sizes : list of (int, int)
        Rows and columns of the training images, each size once.
    class_weights : ndarray of shape (K,) or None
        None where all count the same.
    """

    def __init__(
        self, config: RunConfig, dataset: DatasetFolder, stride: int, known: Contents | None = None
    ) -> None:
        self.train = config.train
        self.contents = Contents(known)
        limit = int(config.data.cache_gib * 2**30)
        change = partial(reduced, size=config.data.size)
        self.dataset = CachedFolder(dataset, limit, change, self.contents)
        self.classes, self.ignore = dataset.classes, dataset.ignore
        self.training, self.validation = _choose(config, dataset)
        self.held_out = config.data.val_split not in dataset.splits
        # a given mean and deviation spares the contrast of all images
        given = bool(config.data.mean and config.data.std)
        contrast = "none" if given else config.data.contrast
        measured = statistics(self.dataset, self.training, contrast=contrast)
        if not any(measured.pixels):
            raise DataError("no pixel of the training images is labelled", where=dataset.root)
        self.preprocessing = Preprocessing(
            _stored(config.data.mean or measured.mean),
            _stored(config.data.std or measured.std),
            stride,
            config.data.contrast,
            measured.typical_size,
            dataset.native,
        )
        self.even = {} if config.data.std else measured.even
        # what a validation measures is what prediction with the saved model gives, on images of any size
        held = CachedFolder(dataset, limit - self.dataset.size, self._as_predicted, self.contents)
        self.validation_image = held.load
        validated = self._validation_pixels()
        self.selects = bool(validated.any())
        self.unseen = [
            item.name
            for item, seen, asked in zip(self.classes, measured.pixels, validated, strict=True)
            if asked and not seen
        ]
        self.class_weights = _class_weights(config, measured)
        self.sizes = list(measured.sizes)

    def _as_predicted(self, image: Image, labels: Labels) -> tuple[Image, Labels]:
        """Return a validation image at the size at which the network sees it, and its labels as they are."""
        return self.preprocessing.resized(image), labels

    def _validation_pixels(self) -> NDArray[np.int64]:
        """Look at all validation images; return the pixels of each class."""
        pixels = np.zeros(len(self.classes), np.int64)
        for sample in self.validation:
            _, labels = self.validation_image(sample)
            pixels += np.bincount(labels.ravel(), minlength=256)[: pixels.size]
        return pixels

    def notes(self) -> list[str]:
        """Return what is odd about the images, a line each."""
        found = []
        if self.unseen:
            names = some(self.unseen)
            found.append(f"only validation images have {names}: the network cannot learn what they look like")
        if self.validation and not self.selects:
            images = f"{len(self.validation)} validation image{'s' * (len(self.validation) > 1)}"
            found.append(f"no pixel of the {images} is labelled: the last weights are kept, not the best")
        return found

    def example(self, number: int, epoch: int) -> Example:
        """Return one training image as an epoch sees it.

        Parameters
        ----------
        number : int
            Which image.
        epoch : int
            Epoch, from 0. Decides, with the seed and the number, how the image is changed.

        Returns
        -------
        Example
            Flipped, resized, recoloured, cut out as configured; normalised and padded.
        """
        train, sample = self.train, self.training[number]
        image: NDArray[Any]
        image, labels = self.dataset.load(sample)
        if train.flip:
            image, labels = random_flip(image, labels, generator(train.seed, epoch, number, Purpose.FLIP))
        if train.scale_jitter or train.brightness_jitter:
            rng = generator(train.seed, epoch, number, Purpose.JITTER)
            if train.scale_jitter:
                image, labels = random_scale(image, labels, rng, amount=train.scale_jitter)
            if train.brightness_jitter:
                image = random_color(image, rng, amount=train.brightness_jitter)
        image = with_contrast(image, self.preprocessing.contrast)  # of the whole image, as prediction has it
        if train.crop:
            rng = generator(train.seed, epoch, number, Purpose.CROP)
            image, labels = random_crop(image, labels, rng, size=train.crop)
        labels = pad_labels_to_multiple(labels, self.preprocessing.stride, ignore=self.ignore)
        return Example(self.preprocessing.normalised(image), labels[np.newaxis], (self.name(number),))

    @property
    def repeats(self) -> bool:
        """Whether an epoch shows the images of another one again, perhaps mirrored."""
        train = self.train
        return not (train.crop or train.scale_jitter or train.brightness_jitter)

    def check_stackable(self) -> None:
        """Make sure that the images of every minibatch have one size when they are padded."""
        train, stride = self.train, self.preprocessing.stride
        if train.batch == 1 or train.crop:
            return
        padded = {tuple(-(-side // stride) for side in size) for size in self.sizes}
        found = ""
        if train.scale_jitter:
            found = "train.scale_jitter gives images of many sizes"
        elif len(padded) > 1:
            sizes = ", ".join(f"{rows}x{columns}" for rows, columns in sorted(self.sizes)[:MOST])
            found = f"images of {len(self.sizes)} sizes ({sizes}{', ...' * (len(self.sizes) > MOST)})"
        if found:
            raise DataError(
                found,
                where=self.dataset.root,
                expected="one size: this network normalises over the minibatch",
                hint="set train.crop, or train.batch=1",
            )

    def name(self, number: int) -> str:
        """Return the file of a training image, for messages."""
        return str(self.training[number].image_path)

    def use_statistics(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Replace the channels' mean and deviation, 0..255: weights expect those they were trained with."""
        self.preprocessing = replace(self.preprocessing, mean=tuple(mean), std=tuple(std))

    def to_dict(self) -> dict[str, Any]:
        """Return what a resumed run must find again, and what it takes over."""
        return {
            "training": _digest(self.training),
            "validation": _digest(self.validation),
            "classes": [item.name for item in self.classes],
            "meaning": self.dataset.meaning,
            "mean": list(self.preprocessing.mean),
            "std": list(self.preprocessing.std),
            "class_weights": None if self.class_weights is None else self.class_weights.tolist(),
        }

    def to_tensors(self) -> dict[str, NDArray[np.uint8]]:
        """Return what the images contain, for a checkpoint."""
        return self.contents.to_tensors(_stems(self.training), _stems(self.validation))

    def load_dict(self, values: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> None:
        """Take over what `to_dict` returned.

        Parameters
        ----------
        values : mapping
            From a checkpoint.
        tensors : mapping
            Arrays of the checkpoint, with those of `to_tensors` if it has them.

        Raises
        ------
        ConfigError
            If the images or their labels are not those the run began with; each is named.
        """
        changed = self._other_names(values, tensors)
        known = self.contents.known
        if known is not None and not changed:
            changed = self._other_contents(known, values)
        if changed:
            raise changed_data(changed, self.dataset)
        self.use_statistics(values["mean"], values["std"])
        weights = values["class_weights"]
        self.class_weights = None if weights is None else np.array(weights)

    def _other_names(self, values: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> list[str]:
        """Return which lists of images or classes are not those of a checkpoint."""
        now, found = self.to_dict(), []
        for kind, samples in (("training", self.training), ("validation", self.validation)):
            if values[kind] != now[kind]:
                found.append(other_lists(kind, stems_in(tensors, kind), _stems(samples)))
        if "scale" in other_keys(self.dataset, values):  # decides what a validation measures, not the labels
            found.append("dataset.toml has another scale")
        return found

    def _other_contents(self, known: Contents, values: Mapping[str, Any]) -> list[str]:
        """Return which files contain something else than at the beginning of the run."""
        samples = [*self.training, *self.validation]
        images, masks = other_contents(known, self.contents, samples)
        found = [f"other contents of {some(images)}"] if images else []
        if masks:
            keys = ", ".join(other_keys(self.dataset, values))
            found.append(
                f"other labels in {some(masks)}" + (f", dataset.toml has another {keys}" if keys else "")
            )
        return found


def other_keys(dataset: DatasetFolder, values: Mapping[str, Any]) -> list[str]:
    """Return the keys of dataset.toml that meant something else when a checkpoint was written.

    Parameters
    ----------
    dataset : DatasetFolder
        As it is now.
    values : mapping
        What `TrainingData.to_dict` returned then.

    Returns
    -------
    list of str
        The keys; none for a checkpoint that does not say it.
    """
    before = values.get("meaning", {})
    return [key for key, value in dataset.meaning.items() if before.get(key, value) != value]


def changed_data(changed: Sequence[str], dataset: DatasetFolder) -> ConfigError:
    """Return the error for a dataset that is not the one the run began with."""
    return ConfigError(
        f"the dataset has changed since the run began: {'; '.join(changed)}",
        where=dataset.root,
        hint="restore it, or start a new run, perhaps with --init-from",
    )


def _choose(config: RunConfig, dataset: DatasetFolder) -> tuple[list[Sample], list[Sample]]:
    """Return the images to train on and to validate on."""
    data = config.data
    if data.val_split not in ("", "val", data.train_split, *dataset.splits):
        raise DataError(
            "no such split", where=data.val_split, expected=", ".join(dataset.splits) or "no --val-split"
        )
    return dataset.training_splits(
        data.train_split, data.val_split, fraction=data.val, seed=config.train.seed
    )


def _stored(values: Sequence[float]) -> tuple[float, ...]:
    """Return channel figures in float32, as model files of half the size would hold them."""
    return tuple(float(np.float32(value)) for value in values)


def _class_weights(config: RunConfig, measured: Statistics) -> NDArray[np.float64] | None:
    asked = config.train.class_weights
    if isinstance(asked, str):
        if asked == "none":
            return None
        rule = median_frequency_weights if asked == "median_frequency" else inverse_frequency_weights
        return rule(measured)
    if len(asked) != len(measured.pixels):
        raise ConfigError(
            f"train.class_weights has {len(asked)} values, the data has {len(measured.pixels)} classes",
            expected="one value a class",
        )
    return np.array(asked, dtype=np.float64)


def _digest(samples: Sequence[Sample]) -> str:
    """Return a short name of a list of images in their order."""
    return hashlib.sha256("\n".join(_stems(samples)).encode("utf-8", "surrogateescape")).hexdigest()


def _stems(samples: Sequence[Sample]) -> list[str]:
    return [sample.stem for sample in samples]
