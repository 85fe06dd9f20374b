"""Resize photographs for a network, and probabilities and labels back to the size of the photograph."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d import kernels
from lstm2d.kernels.device import Array
from lstm2d.kernels.taps import bilinear_taps, cubic_taps, part_of, shrinking_taps

STRIP = 1 << 20  # input values converted to float at a time, so that they stay in the cache
SAMPLE = 1 << 17  # positions at which noise is measured
MEDIAN_OF_NORMAL = 0.6745  # of the absolute value of a standard normal variable
TOLERATED = 3.4  # gray levels of noise that may remain after shrinking
WIDEST = 1.5  # new pixels; wider kernels lose more by blur than they gain


def resize_photo(pixels: NDArray[Any], rows: int, columns: int) -> NDArray[np.float32]:
    """Resize a photograph, with antialiasing when shrinking and cubic convolution when enlarging.

    Parameters
    ----------
    pixels : array of shape (H, W, C)
        Values in 0..255, not empty.
    rows, columns : int
        New size, at least 1x1.

    Returns
    -------
    array of shape (rows, columns, C), float32
        Clipped to 0..255. Along a shrinking axis all pixels are averaged, see
        `lstm2d.kernels.taps.shrinking_taps`; the kernel is wider for noisy photographs.
    """
    height, width, channels = pixels.shape
    reach = _reach(pixels, rows, columns)
    vertical, horizontal = (
        shrinking_taps(old, new, reach) if new < old else cubic_taps(old, new)
        for old, new in ((height, rows), (width, columns))
    )
    result = np.empty((rows, columns, channels), np.float32)
    # each strip reads the input rows of its output rows; strips save nothing when enlarging
    count = min(rows, -(-height * width * channels // STRIP)) if rows < height else 1
    cuts = [rows * k // count for k in range(count + 1)]
    for first, last in pairwise(cuts):
        taps, low, high = part_of(vertical, first, last)
        strip = pixels[np.newaxis, low:high].astype(np.float32)
        result[first:last] = kernels.pick("resize", like=strip).resample(strip, taps, horizontal)[0]
    return np.clip(result, 0, 255, out=result)


def noise(pixels: NDArray[Any]) -> float:
    """Estimate the standard deviation of the noise in a photograph.

    Parameters
    ----------
    pixels : array of shape (H, W, C)
        Values in 0..255.

    Returns
    -------
    float
        Estimate from the median of the mixed second differences in the middle channel, which suppress edges
        and smooth surfaces [1]_; 0 for a photograph of one row or column. Fine texture counts as noise.

    References
    ----------
    .. [1] J. Immerkaer, "Fast noise variance estimation", Computer Vision and Image Understanding, 1996; with
       the median in place of the mean, as in D. Donoho and I. Johnstone, "Ideal spatial adaptation by wavelet
       shrinkage", Biometrika, 1994.
    """
    height, width, channels = pixels.shape
    if min(height, width) < 2:
        return 0.0
    step = max(1, math.isqrt(height * width // SAMPLE))
    plane = pixels[..., channels // 2]
    first, second = (plane[k : height - 1 + k : step].astype(np.float32) for k in (0, 1))
    mixed = (first - second)[:, :-1] - (first - second)[:, 1:]
    return float(np.median(np.abs(mixed[:, ::step]))) / (2 * MEDIAN_OF_NORMAL)


def _reach(pixels: NDArray[Any], rows: int, columns: int) -> float:
    """Return half the width of the kernel: 1 new pixel, or more if that leaves too much noise.

    A tent filter leaves 2 / 3 of the noise, divided by the factor and the width. Networks mistake noise for
    texture; blur harms them less.
    """
    height, width = pixels.shape[:2]
    factor = math.sqrt(height / rows * (width / columns))
    if factor <= 1:
        return 1.0
    left = noise(pixels) * 2 / 3 / factor
    return min(max(round(16 * left / TOLERATED) / 16, 1.0), WIDEST)


def nearest_labels(labels: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.uint8]:
    """Resize labels: each new pixel gets the label of the pixel that contains its centre.

    Parameters
    ----------
    labels : array of shape (H, W), uint8
        Class numbers.
    rows, columns : int
        New size.

    Returns
    -------
    array of shape (rows, columns), uint8
        Class numbers.
    """
    place = [
        ((2 * np.arange(new) + 1) * old // (2 * new))
        for old, new in zip(labels.shape, (rows, columns), strict=True)
    ]
    return labels[np.ix_(*place)]


def labels_at(probabilities: Array, height: int, width: int) -> NDArray[np.uint8]:
    """Return the most likely class of every pixel of an image.

    Parameters
    ----------
    probabilities : array of shape (rows, columns, K)
        Class probabilities at the network's size, on any device.
    height, width : int
        Size of the image.

    Returns
    -------
    array of shape (height, width), uint8
        Class with the highest bilinearly interpolated probability, on the host; ties go to the lowest class
        number. Full-size probabilities are never stored.
    """
    found = kernels.pick("resize", like=probabilities).bilinear_argmax(probabilities, height, width)
    return kernels.to_host(found)


def probabilities_at(probabilities: Array, height: int, width: int) -> Array:
    """Return class probabilities at every pixel of an image.

    Parameters
    ----------
    probabilities : array of shape (rows, columns, K)
        Class probabilities at the network's size, on any device.
    height, width : int
        Size of the image.

    Returns
    -------
    array of shape (height, width, K)
        Interpolated bilinearly; the input array if the size does not change.
    """
    rows, columns = probabilities.shape[:2]
    if (rows, columns) == (height, width):
        return probabilities
    taps = bilinear_taps(rows, height), bilinear_taps(columns, width)
    return kernels.pick("resize", like=probabilities).resample(probabilities[np.newaxis], *taps)[0]
