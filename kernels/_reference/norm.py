"""Sums over positions and over neighbouring channels. Positions of an image are one axis: x is (N, P, C)."""

from __future__ import annotations

import numpy as np

from lstm2d.kernels.arrays import FloatArray, Sums


def channel_moments(x: FloatArray) -> tuple[Sums, Sums]:
    """Return mean and variance (divided by the number of values) of each channel, computed in float64."""
    values = x.astype(np.float64)
    mean = values.mean(axis=(0, 1))
    return mean, np.square(values - mean).mean(axis=(0, 1))


def channel_products(x: FloatArray, y: FloatArray, mean: FloatArray) -> tuple[Sums, Sums]:
    """Return, for each channel, the sum of y and the sum of y * (x - mean), computed in float64."""
    axes = (0, 1)
    centred = (x - mean).astype(np.float64)
    return y.sum(axis=axes, dtype=np.float64), (centred * y).sum(axis=axes)


def channel_affine(x: FloatArray, mean: FloatArray, factor: FloatArray, shift: FloatArray) -> FloatArray:
    """Return factor * (x - mean) + shift, each of the three with one value per channel."""
    return np.asarray(factor * (x - mean) + shift)


def channel_combine(
    x: FloatArray, y: FloatArray, mean: FloatArray, by_x: FloatArray, by_y: FloatArray, shift: FloatArray
) -> FloatArray:
    """Return by_x * (x - mean) + by_y * y + shift, each factor with one value per channel."""
    return np.asarray(by_x * (x - mean) + by_y * y + shift)


def image_products(x: FloatArray, y: FloatArray) -> Sums:
    """Return the sum of x * y over each image, in float64."""
    return np.array([np.sum(a.astype(np.float64) * b) for a, b in zip(x, y, strict=True)], np.float64)


def response_norm_forward(x: FloatArray, size: int, alpha: float, beta: float, k: float) -> FloatArray:
    """Return x / (k + alpha / size * s) ** beta, s the sum of squares over the channels around each.

    The window of channel c is c - size // 2 to c + (size - 1) // 2, cut at the ends.
    """
    return np.asarray(x * _base(x, size, alpha, k) ** -beta)


def response_norm_backward(
    x: FloatArray, grad_y: FloatArray, size: int, alpha: float, beta: float, k: float
) -> FloatArray:
    """Return the gradient of x."""
    base = _base(x, size, alpha, k)
    inner = grad_y * x * base ** (-beta - 1)
    # channel c is in the windows of c - (size - 1) // 2 to c + size // 2
    around = _window_sum(inner, (size - 1) // 2, size // 2)
    return np.asarray(grad_y * base**-beta - (2 * alpha * beta / size) * x * around)


def _base(x: FloatArray, size: int, alpha: float, k: float) -> FloatArray:
    return np.asarray(k + (alpha / size) * _window_sum(x * x, size // 2, (size - 1) // 2))


def _window_sum(x: FloatArray, before: int, after: int) -> FloatArray:
    """Return the sum of the channels c - before to c + after for each c."""
    channels = x.shape[2]
    y = np.zeros_like(x)
    for c in range(channels):
        y[..., c] = x[..., max(c - before, 0) : c + after + 1].sum(axis=2)
    return y
