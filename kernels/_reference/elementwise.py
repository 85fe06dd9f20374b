"""Functions of single elements, and the sum of the four scan directions."""

from __future__ import annotations

import numpy as np

from lstm2d.kernels.arrays import FloatArray

DIRECTIONS = 4


def tanh_forward(x: FloatArray) -> FloatArray:
    """Return tanh(x)."""
    return np.asarray(np.tanh(x))


def tanh_backward(y: FloatArray, grad_y: FloatArray) -> FloatArray:
    """Return the gradient of x from the saved result y: grad_y * (1 - y^2)."""
    return np.asarray(grad_y * (1 - y * y))


def sigmoid_forward(x: FloatArray) -> FloatArray:
    """Return 1 / (1 + exp(-x))."""
    e = np.exp(-np.abs(x))  # never overflows
    return np.asarray(np.where(x < 0, e, np.ones_like(e)) / (1 + e))


def sigmoid_backward(y: FloatArray, grad_y: FloatArray) -> FloatArray:
    """Return the gradient of x from the saved result y: grad_y * y * (1 - y)."""
    return np.asarray(grad_y * (y * (1 - y)))


def relu_forward(x: FloatArray) -> FloatArray:
    """Return x where it is positive or NaN, else 0."""
    return np.asarray(np.where(x <= 0, np.zeros_like(x), x))


def relu_backward(y: FloatArray, grad_y: FloatArray) -> FloatArray:
    """Return the gradient of x from the saved result y: grad_y where y is not 0."""
    return np.asarray(np.where(y <= 0, np.zeros_like(y), grad_y))


def direction_sum_forward(x: FloatArray) -> FloatArray:
    """Return (..., U) from (..., 4 * U): the four directions, added in stored order."""
    units = x.shape[-1] // DIRECTIONS
    y = x[..., :units].copy()
    for d in range(1, DIRECTIONS):
        y += x[..., d * units : (d + 1) * units]
    return y


def direction_sum_backward(grad_y: FloatArray) -> FloatArray:
    """Return (..., 4 * U) from (..., U): each direction has the gradient of the sum."""
    return np.concatenate([grad_y] * DIRECTIONS, axis=-1)
