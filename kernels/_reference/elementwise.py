"""Functions of single elements, and the sum of the four scan directions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]

DIRECTIONS = 4


def tanh_forward(x: FloatArray) -> FloatArray:
    """Return tanh(x), the same shape."""
    return np.asarray(np.tanh(x))


def tanh_backward(y: FloatArray, grad_y: FloatArray) -> FloatArray:
    """Return the gradient of x from the saved result y: grad_y * (1 - y^2)."""
    return np.asarray(grad_y * (1 - y * y))


def direction_sum_forward(x: FloatArray) -> FloatArray:
    """Return (..., U) from (..., 4 * U): the four directions added in stored order."""
    units = x.shape[-1] // DIRECTIONS
    y = x[..., :units].copy()
    for d in range(1, DIRECTIONS):
        y += x[..., d * units : (d + 1) * units]
    return y


def direction_sum_backward(grad_y: FloatArray) -> FloatArray:
    """Return (..., 4 * U) from (..., U): every direction has the gradient of the sum."""
    return np.concatenate([grad_y] * DIRECTIONS, axis=-1)
