"""Statistics of a dataset: channel mean and deviation, class frequencies, class weights, scenes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.contrast import with_contrast
from lstm2d.data.dataset import Images
from lstm2d.data.layout import Sample
from lstm2d.errors import DataError

MIN_STD = 1.0  # gray levels: channels that vary less are not rescaled, which would amplify noise


@dataclass(frozen=True)
class Statistics:
    """Statistics of a set of images and masks.

    Parameters
    ----------
    images : int
        Number of images.
    mean, std : tuple of float
        Mean and deviation of each channel over all pixels, 0..255. The deviation of a channel in `even` is 1.
    pixels : tuple of int
        Pixels of each class.
    pixels_where_present : tuple of int
        Labelled pixels of the images that contain the class.
    ignored : int
        Number of ignored pixels.
    sizes : dict of tuple to int
        Number of images of each size (rows, columns), most frequent first.
    scenes : dict of str to int
        Number of images of each scene, most frequent first.
    even : dict of int to float
        Channels with a deviation below 1 gray level, and that deviation.
    unlabelled : int
        Number of images without a labelled pixel.
    """

    images: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    pixels: tuple[int, ...]
    pixels_where_present: tuple[int, ...]
    ignored: int
    sizes: dict[tuple[int, int], int]
    scenes: dict[str, int]
    even: dict[int, float] = field(default_factory=dict)
    unlabelled: int = 0

    @property
    def typical_size(self) -> float:
        """Median over the images of the square root of the pixel count, in pixels."""
        sides = [math.sqrt(rows * columns) for (rows, columns), n in self.sizes.items() for _ in range(n)]
        return float(np.median(sides))

    @property
    def labelled(self) -> float:
        """Share of labelled pixels; 0 without pixels."""
        labelled = sum(self.pixels)
        return labelled / (labelled + self.ignored) if labelled else 0.0

    @property
    def frequencies(self) -> tuple[float, ...]:
        """Share of each class in the labelled pixels; 0 if nothing is labelled."""
        total = sum(self.pixels)
        return tuple(p / total if total else 0.0 for p in self.pixels)


def statistics(dataset: Images, samples: Sequence[Sample], *, contrast: str = "none") -> Statistics:
    """Measure the statistics of images and masks.

    Parameters
    ----------
    dataset : Images
        Dataset that contains the samples.
    samples : sequence of Sample
        Images to measure.
    contrast : {"none", "local", "image"}, default "none"
        Contrast normalisation applied before the channels are measured, see `with_contrast`.

    Returns
    -------
    Statistics
        Sums are exact for 8-bit images, so the order of the images does not matter.

    Raises
    ------
    DataError
        If there are no images, or a file cannot be read.
    """
    if not samples:
        raise DataError("no images to measure", where=dataset.root)
    n_classes = len(dataset.classes)
    total, squares = np.zeros(1), np.zeros(1)  # become one value per channel
    count, ignored, unlabelled = 0, 0, 0
    pixels = np.zeros(n_classes, dtype=np.int64)
    where_present = np.zeros(n_classes, dtype=np.int64)
    sizes: Counter[tuple[int, int]] = Counter()
    for sample in samples:
        image, labels = dataset.load(sample)
        image_sum, image_squares = _channel_sums(with_contrast(image, contrast))
        total = total + image_sum
        squares = squares + image_squares
        count += labels.size
        counts = np.bincount(labels.ravel(), minlength=256)[:n_classes]
        pixels += counts
        labelled = int(counts.sum())
        where_present[counts > 0] += labelled
        ignored += labels.size - labelled
        unlabelled += not labelled
        sizes[labels.shape[0], labels.shape[1]] += 1
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 0))
    even = {int(k): float(std[k]) for k in np.flatnonzero(std < MIN_STD)}
    std[list(even)] = 1.0
    scenes = Counter(dataset.scenes[s.stem] for s in samples if s.stem in dataset.scenes)
    return Statistics(
        images=len(samples),
        mean=tuple(mean.tolist()),
        std=tuple(std.tolist()),
        pixels=tuple(pixels.tolist()),
        pixels_where_present=tuple(where_present.tolist()),
        ignored=ignored,
        sizes=dict(sizes.most_common()),
        scenes=dict(scenes.most_common()),
        even=even,
        unlabelled=unlabelled,
    )


def median_frequency_weights(stats: Statistics) -> NDArray[np.float64]:
    r"""Return class weights by median frequency balancing.

    Parameters
    ----------
    stats : Statistics
        Statistics of the training images.

    Returns
    -------
    array of shape (K,), float64
        Weights; 0 for a class that never occurs.

    Notes
    -----
    .. math:: w_c = \operatorname{median}(f) / f_c

    where :math:`f_c` is the number of pixels of class c divided by the labelled pixels of the images that
    contain c, and the median is over the classes that occur [1]_.

    References
    ----------
    .. [1] D. Eigen and R. Fergus, "Predicting Depth, Surface Normals and Semantic Labels with a Common
       Multi-Scale Convolutional Architecture", ICCV 2015.
    """
    weights = np.zeros(len(stats.pixels))
    here = np.array(stats.pixels) > 0
    frequency = np.array(stats.pixels)[here] / np.array(stats.pixels_where_present)[here]
    weights[here] = np.median(frequency) / frequency if here.any() else 0
    return weights


def inverse_frequency_weights(stats: Statistics) -> NDArray[np.float64]:
    r"""Return class weights inversely proportional to the class frequency.

    Parameters
    ----------
    stats : Statistics
        Statistics of the training images.

    Returns
    -------
    array of shape (K,), float64
        Weights; 0 for a class that never occurs.

    Notes
    -----
    .. math:: w_c = \frac{1}{n f_c}

    where :math:`f_c` is the share of class c in all labelled pixels and n the number of classes that occur.
    Every class then has the same total weight, and the mean weight of a pixel is 1.
    """
    weights = np.zeros(len(stats.pixels))
    here = np.array(stats.pixels) > 0
    weights[here] = 1 / (here.sum() * np.array(stats.frequencies)[here]) if here.any() else 0
    return weights


def _channel_sums(
    image: NDArray[np.uint8] | NDArray[np.float32],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sum and the sum of squares of each channel."""
    channels = image.shape[-1]
    flat = image.reshape(-1, channels)
    if image.dtype == np.uint8:  # a histogram is exact and three times as fast as squares of floats
        values = np.arange(256.0)
        counts = np.stack([np.bincount(flat[:, c], minlength=256) for c in range(channels)])
        return counts @ values, counts @ values**2
    wide = flat.astype(np.float64)
    return wide.sum(axis=0), (wide**2).sum(axis=0)
