"""Local contrast normalisation: brightness and contrast of the surroundings taken out of every pixel."""

from __future__ import annotations

from math import exp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import ShapeError

LEAST = 1e-4  # smallest divisor, in the image's own units: an even image becomes 0, not noise
MIDDLE, SPREAD = 128.0, 64.0  # of images in 0..255

CONTRASTS = ("none", "local")


def with_contrast(image: NDArray[Any], contrast: str) -> NDArray[Any]:
    """Return an image with the contrast that ``data.contrast`` asks for.

    Parameters
    ----------
    image : array of shape (H, W, C)
        Image, 0..255.
    contrast : {"none", "local"}
        "local" for `local_contrast_normalise`, brought back to the scale of an image, 128 +- 64: mean and
        deviation of the channels, and weights trained on images, then stay what they are.

    Returns
    -------
    array of shape (H, W, C)
        The same array for "none", else float32. A few values leave 0..255.

    Raises
    ------
    ValueError
        If there is no such contrast.
    """
    if contrast not in CONTRASTS:
        raise ValueError(f"contrast {contrast!r}, expected one of {', '.join(CONTRASTS)}")
    if contrast == "none":
        return image
    result = local_contrast_normalise(image)
    result *= np.float32(SPREAD)
    result += np.float32(MIDDLE)
    return result


def local_contrast_normalise(
    image: NDArray[Any], *, size: int = 9, sigma: float = 2.0
) -> NDArray[np.float32]:
    r"""Subtract a Gaussian mean of the surroundings, and divide by their deviation where that is large [1]_.

    Parameters
    ----------
    image : array of shape (H, W, C)
        Image, any scale.
    size : int, default 9
        Side of the Gaussian window in pixels, odd.
    sigma : float, default 2.0
        Its width in pixels.

    Returns
    -------
    array of shape (H, W, C), float32
        Around 0, whatever the scale of the image.

    Raises
    ------
    ShapeError
        If the image has not three axes.
    ValueError
        If `size` is not odd or below 1, or `sigma` is not above 0.

    Notes
    -----
    .. math:: v = x - G * x, \quad s = \sqrt{G * v^2}, \quad y = \frac{v}{\max(s, \bar s)}

    with the mean of s over the image below. Each channel by itself, as ReSeg's input has it; the paper adds
    the channels up. The window reflects at the edges of the image; filled with 0, as the reference has it,
    they would get a bright frame.

    References
    ----------
    .. [1] K. Jarrett, K. Kavukcuoglu, M. Ranzato, Y. LeCun, "What is the best multi-stage architecture for
       object recognition?", ICCV 2009, section 2.1.
    """
    if image.ndim != 3:
        raise ShapeError("local_contrast_normalise", where=image.shape, expected="(H, W, C)")
    if size < 1 or size % 2 == 0 or not sigma > 0:
        raise ValueError(f"window of {size} pixels and width {sigma}, expected an odd number, and above 0")
    if image.size == 0:
        return np.zeros(image.shape, np.float32)
    values = image.astype(np.float64)
    values -= _blur(values, size, sigma)
    deviation = np.sqrt(_blur(np.square(values), size, sigma))
    values /= np.maximum(deviation, np.maximum(deviation.mean(axis=(0, 1)), LEAST))
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
