"""Contrast normalisation of an image by its own values."""

from __future__ import annotations

from math import exp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import ShapeError

MIN_DIVISOR = 1e-4  # in the image's own units: a uniform image becomes 0, not noise
MIDDLE, SPREAD = 128.0, 64.0  # of images in 0..255

CONTRASTS = ("none", "local", "image")


def with_contrast(image: NDArray[Any], contrast: str) -> NDArray[Any]:
    """Apply the contrast normalisation set in ``data.contrast``.

    Parameters
    ----------
    image : array of shape (H, W, C)
        Image, 0..255.
    contrast : {"none", "local", "image"}
        "local" applies `local_contrast_normalise`, "image" applies `image_normalise`. The result is rescaled
        to 128 +- 64, so that channel statistics and weights trained on plain images still fit.

    Returns
    -------
    array of shape (H, W, C)
        The input array for "none", else float32. A few values may lie outside 0..255.

    Raises
    ------
    ValueError
        If `contrast` is unknown.
    """
    if contrast not in CONTRASTS:
        raise ValueError(f"contrast {contrast!r}, expected one of {', '.join(CONTRASTS)}")
    if contrast == "none":
        return image
    result = local_contrast_normalise(image) if contrast == "local" else image_normalise(image)
    result *= np.float32(SPREAD)
    result += np.float32(MIDDLE)
    return result


def image_normalise(image: NDArray[Any]) -> NDArray[np.float32]:
    """Bring an image to mean 0 and variance 1 over all its pixels and channels together.

    Parameters
    ----------
    image : array of shape (H, W, C)
        Image, any scale.

    Returns
    -------
    array of shape (H, W, C), float32
        A constant image becomes 0.
    """
    values = image.astype(np.float32)
    if values.size:
        values -= np.float32(values.mean(dtype=np.float64))
        deviation = np.sqrt(np.square(values).mean(dtype=np.float64))
        values /= np.float32(deviation if deviation > MIN_DIVISOR else 1.0)
    return values


def local_contrast_normalise(
    image: NDArray[Any], *, size: int = 9, sigma: float = 2.0
) -> NDArray[np.float32]:
    r"""Subtract the local Gaussian mean and divide by the local deviation if it is large [1]_.

    Parameters
    ----------
    image : array of shape (H, W, C)
        Image, any scale.
    size : int, default 9
        Side of the Gaussian window in pixels, odd.
    sigma : float, default 2.0
        Standard deviation of the Gaussian in pixels.

    Returns
    -------
    array of shape (H, W, C), float32
        Values around 0, independent of the scale of the image.

    Raises
    ------
    ShapeError
        If the image does not have three axes.
    ValueError
        If `size` is even or below 1, or `sigma` is not above 0.

    Notes
    -----
    .. math:: v = x - G * x, \quad s = \sqrt{G * v^2}, \quad y = \frac{v}{\max(s, \bar s)}

    where :math:`\bar s` is the mean of s over the image. Channels are normalised separately, as in ReSeg; the
    paper sums over channels. The image is padded by reflection; the zero padding of the reference code gives
    a bright frame.

    References
    ----------
    .. [1] K. Jarrett, K. Kavukcuoglu, M. Ranzato, Y. LeCun, "What is the best multi-stage architecture for
       object recognition?", ICCV 2009, section 2.1.
    """
    if image.ndim != 3:
        raise ShapeError("local_contrast_normalise", where=image.shape, expected="(H, W, C)")
    if size < 1 or size % 2 == 0 or not sigma > 0:
        raise ValueError(f"size {size} and sigma {sigma}, expected an odd size and sigma above 0")
    if image.size == 0:
        return np.zeros(image.shape, np.float32)
    values = image.astype(np.float64)
    values -= _blur(values, size, sigma)
    deviation = np.sqrt(_blur(np.square(values), size, sigma))
    values /= np.maximum(deviation, np.maximum(deviation.mean(axis=(0, 1)), MIN_DIVISOR))
    return values.astype(np.float32)


def _blur(values: NDArray[np.float64], size: int, sigma: float) -> NDArray[np.float64]:
    """Return the Gaussian mean around each pixel."""
    half = size // 2
    weights = np.array([exp(-0.5 * ((k - half) / sigma) ** 2) for k in range(size)])
    weights /= weights.sum()
    rows, columns = values.shape[:2]
    padded = np.pad(values, [(half, half), (half, half), (0, 0)], mode="reflect")
    down = np.zeros((rows, *padded.shape[1:]))
    for k, weight in enumerate(weights):
        down += weight * padded[k : k + rows]
    mean = np.zeros_like(values)
    for k, weight in enumerate(weights):
        mean += weight * down[:, k : k + columns]
    return mean
