"""Functions of single elements; meaning: kernels/_reference/elementwise.py.

Every element is computed by itself, so that no cut between threads changes a bit.
"""

from __future__ import annotations

import numpy as np

from lstm2d.kernels import arena
from lstm2d.kernels._numba.activations import exp_negative, tanh
from lstm2d.kernels._numba.jit import kernel, spread
from lstm2d.kernels.arrays import FloatArray
from lstm2d.kernels.checks import contiguous_floats

DIRECTIONS = 4


def tanh_forward(x: FloatArray) -> FloatArray:
    return _map(_tanh, x)


def tanh_backward(y: FloatArray, grad_y: FloatArray) -> FloatArray:
    return _map(_tanh_grad, y, grad_y)


def sigmoid_forward(x: FloatArray) -> FloatArray:
    return _map(_sigmoid, x)


def sigmoid_backward(y: FloatArray, grad_y: FloatArray) -> FloatArray:
    return _map(_sigmoid_grad, y, grad_y)


def relu_forward(x: FloatArray) -> FloatArray:
    return _map(_relu, x)


def relu_backward(y: FloatArray, grad_y: FloatArray) -> FloatArray:
    return _map(_relu_grad, y, grad_y)


def direction_sum_forward(x: FloatArray) -> FloatArray:
    (x,) = contiguous_floats(x)
    units = x.shape[-1] // DIRECTIONS
    y = arena.empty((*x.shape[:-1], units), x.dtype)
    if y.size:
        spread(_sum, y.size // units, 4 * units, x.reshape(-1, DIRECTIONS, units), y.reshape(-1, units))
    return y


def direction_sum_backward(grad_y: FloatArray) -> FloatArray:
    *positions, units = grad_y.shape
    grad_x = arena.empty((*positions, DIRECTIONS * units), grad_y.dtype)
    grad_x.reshape(*positions, DIRECTIONS, units)[...] = grad_y[..., np.newaxis, :]
    return grad_x


def _map(loop: kernel, *arrays: FloatArray) -> FloatArray:
    shape = arrays[0].shape
    arrays = contiguous_floats(*arrays)
    result = arena.empty(shape, arrays[0].dtype)
    spread(loop, result.size, 1, *(a.reshape(-1) for a in (*arrays, result)))
    return result


# An index that counts from 0 is never negative: the loop has no test for that, and vectorises. So each loop
# takes its part of the arrays first.


@kernel
def _tanh(x, y, begin, end):
    x, y = x[begin:end], y[begin:end]
    for k in range(y.size):
        y[k] = tanh(x[k])


@kernel
def _tanh_grad(y, grad_y, grad_x, begin, end):
    one, y, grad_y, grad_x = y.dtype.type(1), y[begin:end], grad_y[begin:end], grad_x[begin:end]
    for k in range(y.size):
        grad_x[k] = grad_y[k] * (one - y[k] * y[k])


@kernel
def _sigmoid(x, y, begin, end):
    one, x, y = x.dtype.type(1), x[begin:end], y[begin:end]
    for k in range(y.size):
        e = exp_negative(x[k] if x[k] < 0 else -x[k])
        y[k] = (e if x[k] < 0 else one) / (one + e)


@kernel
def _sigmoid_grad(y, grad_y, grad_x, begin, end):
    one, y, grad_y, grad_x = y.dtype.type(1), y[begin:end], grad_y[begin:end], grad_x[begin:end]
    for k in range(y.size):
        grad_x[k] = grad_y[k] * (y[k] * (one - y[k]))


@kernel
def _relu(x, y, begin, end):
    zero, x, y = x.dtype.type(0), x[begin:end], y[begin:end]
    for k in range(y.size):
        y[k] = zero if x[k] <= 0 else x[k]


@kernel
def _relu_grad(y, grad_y, grad_x, begin, end):
    zero, y, grad_y, grad_x = y.dtype.type(0), y[begin:end], grad_y[begin:end], grad_x[begin:end]
    for k in range(y.size):
        grad_x[k] = zero if y[k] <= 0 else grad_y[k]


@kernel
def _sum(x, y, begin, end):
    for p in range(begin, end):
        one, two, three, four, total = x[p, 0], x[p, 1], x[p, 2], x[p, 3], y[p]
        for u in range(total.size):
            total[u] = one[u] + two[u] + three[u] + four[u]
