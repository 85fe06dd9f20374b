"""Add the bias and apply the activation of a product in one pass."""

from __future__ import annotations

import numpy as np

from lstm2d.kernels._cuda.launch import Array, contiguous, launch

KINDS = {None: 0, "relu": 1, "tanh": 2}  # as in `activated` of common.cu


def finish(y: Array, bias: Array | None, activation: str | None) -> None:
    """Add a bias to the last axis of a contiguous array, then apply an activation, in place."""
    if bias is not None or activation is not None:
        launch("activation", "finish", y.size, y, bias, y.shape[-1], KINDS[activation], np.int64(y.size))


def operands(x: Array, weight: Array, bias: Array | None) -> tuple[Array, Array, Array | None]:
    """Return C-contiguous arrays, all float32 or all float64; bias may be None."""
    if bias is None:
        return *contiguous(x, weight), None
    x, weight, bias = contiguous(x, weight, bias)
    return x, weight, bias
