"""Superpixels of the training images with the labels around them, collected in worker threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.folder import DatasetFolder, Sample
from lstm2d.data.mapping import IGNORE
from lstm2d.data.superpixels import centres, superpixels
from lstm2d.hierarchy.fill import Fill, Image, Labels, filled
from lstm2d.hierarchy.gist import gist
from lstm2d.hierarchy.histograms import label_counts
from lstm2d.hierarchy.options import Options
from lstm2d.kernels.threads import get_num_threads

Measure: TypeAlias = Callable[[Image, Labels, NDArray[np.int64], NDArray[np.int64]], NDArray[Any]]


@dataclass(frozen=True)
class Collected:
    """The superpixels of one image that have a label at their centre.

    Parameters
    ----------
    classes : array of shape (n,), uint8
        Their classes.
    measured : array
        What `measure_of` measures.
    before : array of shape (m,), uint8, optional
        The classes before the image was filled; None if it was not.
    """

    classes: Labels
    measured: NDArray[Any]
    before: Labels | None


def measure_of(options: Options, n_classes: int) -> Measure:
    """Return what a method measures of an image.

    Parameters
    ----------
    options : Options
        Method and window.
    n_classes : int
        Number of classes K.

    Returns
    -------
    callable
        Gets image, labels, and rows and columns of n pixels. Returns label counts (n, K) for method lc, a
        descriptor of the image for ic, nothing for sn.
    """
    if options.method == "lc":
        return lambda image, labels, rows, columns: label_counts(
            labels, rows, columns, options.window, n_classes
        )
    if options.method == "ic":
        return lambda image, labels, rows, columns: gist(image)
    return lambda image, labels, rows, columns: np.empty(0)


def collect(
    dataset: DatasetFolder, samples: Sequence[Sample], measure: Measure, fill: Fill | None = None
) -> Iterator[Collected]:
    """Collect the superpixels of images.

    Parameters
    ----------
    dataset : DatasetFolder
        Dataset of the images.
    samples : sequence of Sample
        The images.
    measure : callable
        Gets image, labels, and the rows and columns of the centres with a label.
    fill : callable, optional
        Returns the labels that a model predicts for an image. They replace the ignored pixels of images under
        90 % labelled.

    Yields
    ------
    Collected
        One per image, in order. Images are read and filled one by one; the rest runs in as many threads as
        kernels use.

    Raises
    ------
    DataError
        If a file cannot be read.
    """
    threads = get_num_threads()
    waiting: deque[Future[Collected]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for sample in samples:
                image, labels = dataset.load(sample)
                whole = filled(image, labels, fill)
                waiting.append(pool.submit(partial(_of_image, image, labels, whole, measure)))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _of_image(image: Image, labels: Labels, filled: Labels, measure: Measure) -> Collected:
    rows, columns = centres(superpixels(image))
    known = filled[rows, columns] != IGNORE
    before = None
    if filled is not labels:
        before = labels[rows, columns]
        before = before[before != IGNORE]
    rows, columns = rows[known], columns[known]
    return Collected(filled[rows, columns], measure(image, filled, rows, columns), before)
