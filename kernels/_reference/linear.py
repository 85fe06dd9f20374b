"""A matrix applied to each position of each image: y = x @ weight + bias.

Positions of an image are one axis: x is (N, P, C_in), y (N, P, C_out), weight (C_in, C_out).
"""

from __future__ import annotations

import numpy as np

from lstm2d.kernels._reference.elementwise import relu_forward, tanh_forward
from lstm2d.kernels.arrays import FloatArray

ACTIVATIONS = {"relu": relu_forward, "tanh": tanh_forward}


def linear_forward(
    x: FloatArray, weight: FloatArray, bias: FloatArray | None, activation: str | None = None
) -> FloatArray:
    """Return x @ weight + bias, then the activation. The backward pass needs the inputs."""
    y = np.empty((*x.shape[:2], weight.shape[1]), x.dtype)
    for image, out in zip(x, y, strict=True):
        out[...] = image @ weight
        if bias is not None:
            out += bias
    return y if activation is None else ACTIVATIONS[activation](y)


def linear_grad_x(grad_y: FloatArray, weight: FloatArray) -> FloatArray:
    """Return the gradient of x: grad_y @ weight.T."""
    grad_x = np.empty((*grad_y.shape[:2], weight.shape[0]), grad_y.dtype)
    for g, out in zip(grad_y, grad_x, strict=True):
        out[...] = g @ weight.T
    return grad_x


def linear_grad_weight(x: FloatArray, grad_y: FloatArray) -> FloatArray:
    """Return the gradient of weight: one product per image, added in order."""
    grad = np.zeros((x.shape[2], grad_y.shape[2]), x.dtype)
    for image, g in zip(x, grad_y, strict=True):
        grad += image.T @ g
    return grad


def linear_grad_bias(grad_y: FloatArray) -> FloatArray:
    """Return the gradient of bias: grad_y summed in float64 over positions and images, in order."""
    total = np.zeros(grad_y.shape[2], np.float64)
    for g in grad_y:
        total += g.sum(axis=0, dtype=np.float64)
    return total.astype(grad_y.dtype)
