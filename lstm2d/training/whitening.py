"""Matrices that whiten the gradient of the filters that read the image."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lstm2d.config import TrainSection
from lstm2d.data.transforms import normalise
from lstm2d.errors import ConfigError
from lstm2d.models import Network
from lstm2d.pipeline.preprocess import surrounded
from lstm2d.random import Purpose, generator
from lstm2d.training.samples import TrainingData

IMAGES, WINDOWS = 128, 40  # number of images, evenly spaced, and of random windows of each

Matrix = NDArray[np.float64]


def whitening(train: TrainSection, data: TrainingData, network: Network) -> dict[str, Matrix]:
    r"""Return the matrices that the gradients of the filters on the image are multiplied by.

    Neighbouring pixels are alike: the brightness of a window varies much more than all else in it. Along its
    direction the loss is steep, and a rate that suits it is too small for edges and colours [1]_. Times this
    matrix, the gradient is that of filters on windows whose values are uncorrelated and of equal size.

    Parameters
    ----------
    train : TrainSection
        Its `whiten`, 0 for none, is added to the mean squares of the windows along all directions.
    data : TrainingData
        The images.
    network : Network
        Says which filters read them.

    Returns
    -------
    dict of str to ndarray of shape (n, n)
        By the names of the filters, n the number of values in a window.

    Raises
    ------
    ConfigError
        If no filters of the network read the image.

    Notes
    -----
    With the windows :math:`x` of :math:`n` values and the share :math:`\lambda` in `train.whiten`:

    .. math:: P = \left(\frac{n \, \overline{x x^T}}{\overline{x^T x}} + \lambda I\right)^{-1}

    References
    ----------
    .. [1] Y. LeCun, L. Bottou, G. Orr, K.-R. Müller, "Efficient BackProp", 1998, sections 4.3 and 5.3.
    """
    if not train.whiten:
        return {}
    filters = network.image_filters()
    if not filters:
        raise ConfigError(
            f"train.whiten = {train.whiten:g}",
            expected="0 for this network: it has no filters that read the image",
            hint="recurrent convolutional networks have them",
        )
    return {
        name: inverse(_second_moments(data, side, train.seed), train.whiten) for name, side in filters.items()
    }


def _second_moments(data: TrainingData, side: int, seed: int) -> Matrix:
    """Return the mean of x x^T over random windows of the training images; same bits on any machine."""
    windows = [window.ravel().astype(np.float64) for window in _windows(data, side, seed)]
    total = np.zeros((windows[0].size, windows[0].size))
    for x in windows:
        total += x[:, np.newaxis] * x
    return total / len(windows)


def _windows(data: TrainingData, side: int, seed: int) -> Iterator[NDArray[np.float32]]:
    """Yield random windows of the training images, which extend beyond them where the network's do."""
    prepare = data.preprocessing
    for number in range(0, len(data.training), -(-len(data.training) // IMAGES)):
        pixels, _ = data.dataset.load(data.training[number])
        values = normalise(prepare.prepare_whole(pixels), prepare.mean, prepare.std)
        image = surrounded(values, side - 1)
        rng = generator(seed, 0, number, Purpose.WHITEN)
        rows, columns = (rng.integers(0, size - side + 1, WINDOWS) for size in image.shape[:2])
        for row, column in zip(rows, columns, strict=True):
            yield image[row : row + side, column : column + side]


def inverse(moments: Matrix, share: float) -> Matrix:
    """Return the inverse of second moments, scaled to mean squares of 1, plus `share` times the identity.

    Parameters
    ----------
    moments : ndarray of shape (n, n)
        Symmetric, without negative eigenvalues.
    share : float
        Above 0.

    Returns
    -------
    ndarray of shape (n, n)
        By Gauss-Jordan elimination, which needs no pivots here. Unlike LAPACK it gives the same bits for any
        number of threads.
    """
    size = len(moments)
    scale = np.trace(moments) / size or 1.0
    left = moments / scale + share * np.eye(size)
    right = np.eye(size)
    for k in range(size):
        pivot = left[k, k]
        left[k] /= pivot
        right[k] /= pivot
        factors = left[:, k].copy()
        factors[k] = 0.0
        left -= factors[:, np.newaxis] * left[k]
        right -= factors[:, np.newaxis] * right[k]
    return right
