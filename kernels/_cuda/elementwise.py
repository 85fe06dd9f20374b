"""Functions of single elements, and the sum of the four scan directions."""

from __future__ import annotations

import cupy
import numpy as np

from lstm2d.kernels._cuda.launch import Array, contiguous, launch

DIRECTIONS = 4


def tanh_forward(x: Array) -> Array:
    return _each("tanh_forward", x)


def tanh_backward(y: Array, grad_y: Array) -> Array:
    return _each("tanh_backward", y, grad_y)


def sigmoid_forward(x: Array) -> Array:
    return _each("sigmoid_forward", x)


def sigmoid_backward(y: Array, grad_y: Array) -> Array:
    return _each("sigmoid_backward", y, grad_y)


def relu_forward(x: Array) -> Array:
    return _each("relu_forward", x)


def relu_backward(y: Array, grad_y: Array) -> Array:
    return _each("relu_backward", y, grad_y)


def direction_sum_forward(x: Array) -> Array:
    (x,) = contiguous(x)
    units = x.shape[-1] // DIRECTIONS
    y = cupy.empty((*x.shape[:-1], units), x.dtype)
    launch("elementwise", "direction_sum_forward", y.size, x, y, units, np.int64(y.size))
    return y


def direction_sum_backward(grad_y: Array) -> Array:
    (grad_y,) = contiguous(grad_y)
    units = grad_y.shape[-1]
    grad_x = cupy.empty((*grad_y.shape[:-1], DIRECTIONS * units), grad_y.dtype)
    n = grad_x.size
    launch("elementwise", "direction_sum_backward", n, grad_y, grad_x, units, np.int64(n))
    return grad_x


def _each(name: str, *arrays: Array) -> Array:
    arrays = contiguous(*arrays)
    result = cupy.empty(arrays[0].shape, arrays[0].dtype)
    launch("elementwise", name, result.size, *arrays, result, np.int64(result.size))
    return result
