"""The images of a run, and their statistics, class weights and digests."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.config import RunConfig
from lstm2d.data.dataset import Dataset, Images
from lstm2d.data.layout import Sample
from lstm2d.data.stats import Statistics, inverse_frequency_weights, median_frequency_weights, statistics
from lstm2d.errors import ConfigError, DataError
from lstm2d.hierarchy.fill import Fill
from lstm2d.hierarchy.hierarchy import Hierarchy
from lstm2d.hierarchy.labels import EVERYWHERE, IGNORED, Place, SubclassLabels
from lstm2d.models import Network
from lstm2d.objectives.sparse import largest_factor
from lstm2d.pipeline.preprocess import Preprocessing, reduced
from lstm2d.training.cached_dataset import CachedDataset, Image, Labels
from lstm2d.training.contents import Contents, other_contents, other_lists, some, stems_in


class TrainingData:
    """The images of a run, and statistics of the training images.

    Parameters
    ----------
    config : RunConfig
        Splits, class weights, seed.
    dataset : Dataset
        Dataset of the images. Each is read once, so that damaged ones are reported before the first step.
    stride : int
        Sides are padded to multiples of it, in pixels.
    known : Contents, optional
        Contents of the images when the run to resume began.
    padding : int, default 0
        Zeros on each side of a whole image, in pixels.
    fill : callable, optional
        Fills unlabelled pixels of training images, see `lstm2d.hierarchy.fill.filled`.

    Attributes
    ----------
    training, validation : list of Sample
        The images.
    held_out : bool
        Whether the validation images were taken from the training split.
    selects : bool
        Whether validation can select the best weights, that is, its images have labelled pixels.
    unseen : list of str
        Classes that occur only in validation images.
    preprocessing : Preprocessing
        Preparation of the images: channel statistics as configured or measured, and the typical size of the
        training images.
    even : dict of int to float
        Channels with hardly any variance, and their deviation; it is set to 1.
    sizes : list of (int, int)
        Rows and columns of the training images, each size once.
    class_weights : ndarray of shape (K,) or None
        None if all count the same.
    labelled : float
        Share of labelled pixels in the training images.
    largest_factor : float
        Largest factor of losses that are sums over pixels, see `lstm2d.objectives.sparse`.
    subclasses : SubclassLabels or None
        Finds the subclasses that the targets are; None if they are classes.
    """

    subclasses: SubclassLabels | None = None

    def __init__(
        self,
        config: RunConfig,
        dataset: Dataset,
        stride: int,
        known: Contents | None = None,
        *,
        padding: int = 0,
        fill: Fill | None = None,
    ) -> None:
        self.contents = Contents(known)
        limit = int(config.data.cache_gib * 2**30)
        change = partial(reduced, size=config.data.size)
        self.dataset = CachedDataset(dataset, limit, change, self.contents, fill)
        self.classes, self.ignore = dataset.classes, dataset.ignore
        self.training, self.validation = _choose(config, dataset)
        own = config.data.val_split != config.data.train_split and config.data.val_split in dataset.splits
        self.held_out = not own
        # if mean and deviation are given, the contrast of the images need not be computed
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
            padding,
        )
        self.even = {} if config.data.std else measured.even
        # validation resizes images as the saved model will
        held = CachedDataset(dataset, limit - self.dataset.size, self._as_predicted, self.contents)
        self.validation_image = held.load
        validated = self._validation_pixels()
        self.selects = bool(validated.any())
        self.unseen = [
            item.name
            for item, seen, expected in zip(self.classes, measured.pixels, validated, strict=True)
            if expected and not seen
        ]
        self.class_weights = _class_weights(config, measured)
        self.labelled, self.largest_factor = measured.labelled, largest_factor(measured.labelled)
        self._unlabelled = measured.unlabelled
        self.sizes = list(measured.sizes)

    def _as_predicted(self, image: Image, labels: Labels) -> tuple[Image, Labels]:
        """Return a validation image at the size of the network's input, and its labels at their own size."""
        return self.preprocessing.resized(image), labels

    def _validation_pixels(self) -> NDArray[np.int64]:
        """Read all validation images; return the number of pixels of each class."""
        pixels = np.zeros(len(self.classes), np.int64)
        for sample in self.validation:
            _, labels = self.validation_image(sample)
            pixels += np.bincount(labels.ravel(), minlength=256)[: pixels.size]
        return pixels

    def with_subclasses(self, hierarchy: Hierarchy) -> TrainingData:
        """Return the same images, with subclasses as targets."""
        data = copy(self)
        data.subclasses = SubclassLabels(hierarchy, self.ignore)
        return data

    @property
    def ignored_target(self) -> int:
        """Target of pixels that do not count."""
        return self.ignore if self.subclasses is None else IGNORED

    def targets(self, labels: Labels, number: int, place: Place = EVERYWHERE) -> NDArray[np.integer[Any]]:
        """Return what a network is to predict at some pixels of a training image.

        Parameters
        ----------
        labels : ndarray of shape (H, W), uint8
            Class numbers of the whole image, perhaps flipped or resized.
        number : int
            Number of the image, from 0.
        place : tuple of two slices or two ndarrays of int
            Rows and columns of the pixels, as `SubclassLabels` takes them.

        Returns
        -------
        ndarray of shape (R, C), int
            Numbers of classes or subclasses.
        """
        if self.subclasses is None:
            return labels[place]
        return self.subclasses(labels, self.training[number].stem, place)

    def loss_factor(self, network: Network) -> float:
        """Return the largest factor of the loss of a sparsely labelled image: 1 if the loss is a mean."""
        return self.largest_factor if network.reduction == "sum" else 1.0

    def notes(self) -> list[str]:
        """Return what is unusual about the images, one line each."""
        found = []
        if self.unseen:
            names = some(self.unseen)
            found.append(f"only validation images have {names}: the network cannot learn what they look like")
        if self.validation and not self.selects:
            images = f"{len(self.validation)} validation image{'s' * (len(self.validation) > 1)}"
            found.append(f"no pixel of the {images} is labelled: the last weights are kept, not the best")
        if self._unlabelled:
            images = f"{self._unlabelled} of {len(self.training)} training images"
            found.append(f"no pixel of {images} is labelled: nothing is learned from them")
        return found

    def use_statistics(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Replace the channel statistics (0..255) by those that the weights were trained with."""
        self.preprocessing = replace(self.preprocessing, mean=tuple(mean), std=tuple(std))

    def to_dict(self) -> dict[str, Any]:
        """Return the values that a resumed run checks or takes over."""
        return {
            "training": _digest(self.training),
            "validation": _digest(self.validation),
            "classes": [item.name for item in self.classes],
            "meaning": self.dataset.meaning,
            "mean": list(self.preprocessing.mean),
            "std": list(self.preprocessing.std),
            "class_weights": None if self.class_weights is None else self.class_weights.tolist(),
            "loss_factor": self.largest_factor,
        }

    def to_tensors(self) -> dict[str, NDArray[np.uint8]]:
        """Return the digests of the images, for a checkpoint."""
        return self.contents.to_tensors(_stems(self.training), _stems(self.validation))

    def held_out_digests(self) -> dict[str, str]:
        """Return the digest of each image file that was taken from the training split, by stem."""
        held = self.validation if self.held_out else []
        return {sample.stem: self.contents.entries[sample.stem].image.hex() for sample in held}

    def load_dict(self, values: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> None:
        """Load the output of `to_dict`.

        Parameters
        ----------
        values : mapping
            From a checkpoint.
        tensors : mapping
            Arrays of the checkpoint, with those of `to_tensors` if it has them.

        Raises
        ------
        ConfigError
            If images or labels have changed since the run began; the message names them.
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
        self.largest_factor = values.get("loss_factor", 1.0)  # a run of an earlier version goes on without

    def _other_names(self, values: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> list[str]:
        """Return which lists of images or classes differ from those of a checkpoint."""
        now, found = self.to_dict(), []
        for kind, samples in (("training", self.training), ("validation", self.validation)):
            if values[kind] != now[kind]:
                found.append(other_lists(kind, stems_in(tensors, kind), _stems(samples)))
        if "scale" in other_keys(self.dataset, values):  # changes what a validation measures, not the labels
            found.append("dataset.toml has another scale")
        return found

    def _other_contents(self, known: Contents, values: Mapping[str, Any]) -> list[str]:
        """Return which files have changed since the run began."""
        samples = [*self.training, *self.validation]
        images, masks = other_contents(known, self.contents, samples)
        found = [f"other contents of {some(images)}"] if images else []
        if masks:
            keys = ", ".join(other_keys(self.dataset, values))
            found.append(
                f"other labels in {some(masks)}" + (f", dataset.toml has another {keys}" if keys else "")
            )
        return found


def other_keys(dataset: Images, values: Mapping[str, Any]) -> list[str]:
    """Return the keys of dataset.toml that have changed since a checkpoint was written.

    Parameters
    ----------
    dataset : Images
        Dataset in its current state.
    values : mapping
        Output of `TrainingData.to_dict` in the checkpoint.

    Returns
    -------
    list of str
        The keys; none for a checkpoint without them.
    """
    before = values.get("meaning", {})
    return [key for key, value in dataset.meaning.items() if before.get(key, value) != value]


def changed_data(changed: Sequence[str], dataset: Images) -> ConfigError:
    """Return the error for a dataset that has changed since the run began."""
    return ConfigError(
        f"the dataset has changed since the run began: {'; '.join(changed)}",
        where=dataset.root,
        hint="restore it, or start a new run, perhaps with `init_from`",
    )


def _choose(config: RunConfig, dataset: Dataset) -> tuple[list[Sample], list[Sample]]:
    """Return the images to train on and to validate on."""
    data = config.data
    if data.val_split not in ("", "val", data.train_split, *dataset.splits):
        raise DataError(
            "no such split", where=data.val_split, expected=", ".join(dataset.splits) or "no `val_split`"
        )
    return dataset.training_splits(
        data.train_split, data.val_split, fraction=data.val, seed=config.train.seed
    )


def _stored(values: Sequence[float]) -> tuple[float, ...]:
    """Return channel statistics rounded to float32."""
    return tuple(float(np.float32(value)) for value in values)


def _class_weights(config: RunConfig, measured: Statistics) -> NDArray[np.float64] | None:
    wanted = config.train.class_weights
    if isinstance(wanted, str):
        if wanted == "none":
            return None
        rule = median_frequency_weights if wanted == "median_frequency" else inverse_frequency_weights
        return rule(measured)
    if len(wanted) != len(measured.pixels):
        raise ConfigError(
            f"train.class_weights has {len(wanted)} values, the data has {len(measured.pixels)} classes",
            expected="one value per class",
        )
    return np.array(wanted, dtype=np.float64)


def _digest(samples: Sequence[Sample]) -> str:
    """Return a digest of an ordered list of images."""
    return hashlib.sha256("\n".join(_stems(samples)).encode("utf-8", "surrogateescape")).hexdigest()


def _stems(samples: Sequence[Sample]) -> list[str]:
    return [sample.stem for sample in samples]
