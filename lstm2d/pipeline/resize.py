"""Bring photographs to another size, and what a network says of them back to theirs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d import kernels
from lstm2d.kernels.device import Array
from lstm2d.kernels.taps import bilinear_taps, cubic_taps, part_of

STRIP = 1 << 20  # input values that are converted to float at a time: they stay in the cache


def resize_photo(pixels: NDArray[Any], rows: int, columns: int) -> NDArray[np.float32]:
    """Resize a photograph by cubic convolution, antialiased where it shrinks.

    Parameters
    ----------
    pixels : array of shape (H, W, C)
        Values in 0..255, not empty.
    rows, columns : int
        New size, at least 1x1.

    Returns
    -------
    array of shape (rows, columns, C), float32
        Clipped to 0..255. Where an axis shrinks, the kernel is as wide as the distance of the new pixels
        asks for, so that every pixel of the photograph counts; see `lstm2d.kernels.taps.cubic_taps`.
    """
    height, width, channels = pixels.shape
    vertical, horizontal = cubic_taps(height, rows, True), cubic_taps(width, columns, True)
    result = np.empty((rows, columns, channels), np.float32)
    # each strip reads the input rows of its output rows; where there are more of these, strips save nothing
    count = min(rows, -(-height * width * channels // STRIP)) if rows < height else 1
    cuts = [rows * k // count for k in range(count + 1)]
    for first, last in zip(cuts[:-1], cuts[1:], strict=True):
        taps, low, high = part_of(vertical, first, last)
        strip = pixels[np.newaxis, low:high].astype(np.float32)
        result[first:last] = kernels.pick("resize", like=strip).resample(strip, taps, horizontal)[0]
    return np.clip(result, 0, 255, out=result)


def nearest_labels(labels: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.uint8]:
    """Return labels of another size: each new pixel has the label of the pixel that its centre lies in.

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
        Of the image at the network's size, on any device.
    height, width : int
        Of the image.

    Returns
    -------
    array of shape (height, width), uint8
        Class numbers, on the host: where the bilinearly interpolated probability is highest; ties go to the
        lowest number. Full-size probabilities are never stored.
    """
    found = kernels.pick("resize", like=probabilities).bilinear_argmax(probabilities, height, width)
    return kernels.to_host(found)


def probabilities_at(probabilities: Array, height: int, width: int) -> Array:
    """Return class probabilities at every pixel of an image.

    Parameters
    ----------
    probabilities : array of shape (rows, columns, K)
        Of the image at the network's size, on any device.
    height, width : int
        Of the image.

    Returns
    -------
    array of shape (height, width, K)
        Interpolated bilinearly; the same array where the size is the same.
    """
    rows, columns = probabilities.shape[:2]
    if (rows, columns) == (height, width):
        return probabilities
    taps = bilinear_taps(rows, height), bilinear_taps(columns, width)
    return kernels.pick("resize", like=probabilities).resample(probabilities[np.newaxis], *taps)[0]
