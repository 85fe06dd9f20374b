"""Convolution: which way is the fastest; meaning: kernels/_reference/conv.py."""

from __future__ import annotations

import numpy as np

from lstm2d.kernels import arena
from lstm2d.kernels._numba import conv_columns, conv_tiles, conv_winograd, linear
from lstm2d.kernels._numba.activations import KINDS
from lstm2d.kernels.arrays import FloatArray, Pair
from lstm2d.kernels.checks import contiguous_floats
from lstm2d.kernels.conv_parts import adjoint_parts, forward_parts
from lstm2d.kernels.families import Activation


def conv2d_forward(
    x: FloatArray,
    weight: FloatArray,
    bias: FloatArray | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    activation: Activation | None = None,
) -> FloatArray:
    x, weight, bias = _floats(x, weight, bias)
    n, h, w, c_in = x.shape
    kh, kw, _, c_out = weight.shape
    rows, columns = (
        (x.shape[k + 1] + 2 * padding[k] - dilation[k] * (weight.shape[k] - 1) - 1) // stride[k] + 1
        for k in (0, 1)
    )
    if _is_linear(weight, stride, padding):
        y = linear.linear_forward(x.reshape(n, h * w, c_in), weight[0, 0], bias, activation)
        return y.reshape(n, h, w, c_out)
    y = arena.empty((n, rows, columns, c_out), x.dtype)
    if _is_winograd(weight, x, y, stride, padding, dilation):
        conv_winograd.products(x, weight, bias, y, padding, dilation, KINDS[activation])
    elif y.size:
        conv_columns.products(
            *(x, weight, bias, y),
            forward_parts((h, w), (rows, columns), (kh, kw), stride, padding, dilation),
            KINDS[activation],
        )
    return y


def conv2d_adjoint(
    grad_y: FloatArray,
    weight: FloatArray,
    bias: FloatArray | None,
    size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    activation: Activation | None = None,
) -> FloatArray:
    grad_y, weight, bias = _floats(grad_y, weight, bias)
    n, rows, columns, c_out = grad_y.shape
    kh, kw, c_in, _ = weight.shape
    turned = weight.transpose(0, 1, 3, 2)
    if _is_linear(turned, stride, padding):
        grad_x = linear.linear_forward(
            grad_y.reshape(n, rows * columns, c_out), turned[0, 0], bias, activation
        )
        return grad_x.reshape(n, rows, columns, c_in)
    grad_x = arena.empty((n, *size, c_in), grad_y.dtype)
    outside = dilation[0] * (kh - 1) - padding[0], dilation[1] * (kw - 1) - padding[1]
    if _is_winograd(turned, grad_y, grad_x, stride, outside, dilation):
        flipped = turned[::-1, ::-1]
        conv_winograd.products(grad_y, flipped, bias, grad_x, outside, dilation, KINDS[activation])
    elif grad_x.size:
        conv_columns.products(
            *(grad_y, np.ascontiguousarray(turned), bias, grad_x),
            adjoint_parts(size, (rows, columns), (kh, kw), stride, padding, dilation),
            KINDS[activation],
        )
    return grad_x


def conv2d_grad_weight(
    x: FloatArray, grad_y: FloatArray, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> FloatArray:
    x, grad_y = contiguous_floats(x, grad_y)
    n, h, w, c_in = x.shape
    rows, columns, c_out = grad_y.shape[1:]
    grad = np.zeros((*kernel, c_in, c_out), x.dtype)
    if _is_winograd(grad, x, grad_y, stride, padding, dilation):
        return conv_winograd.grad_weight(x, grad_y, kernel, padding, dilation)
    if _is_linear(grad, stride, padding):
        flat = linear.linear_grad_weight(x.reshape(n, h * w, c_in), grad_y.reshape(n, h * w, c_out))
        return flat.reshape(grad.shape)
    if grad.size and x.size and grad_y.size:
        conv_columns.grad_weight(
            *(x, grad_y, grad),
            forward_parts((h, w), (rows, columns), kernel, stride, padding, dilation),
        )
    return grad


def _floats(
    x: FloatArray, weight: FloatArray, bias: FloatArray | None
) -> tuple[FloatArray, FloatArray, FloatArray | None]:
    if bias is None:
        x, weight = contiguous_floats(x, weight)
    else:
        x, weight, bias = contiguous_floats(x, weight, bias)
    return x, weight, bias


def _is_linear(weight: FloatArray, stride: Pair, padding: Pair) -> bool:
    return weight.shape[:2] == (1, 1) and stride == (1, 1) and padding == (0, 0)


def _is_winograd(
    weight: FloatArray, x: FloatArray, y: FloatArray, stride: Pair, padding: Pair, dilation: Pair
) -> bool:
    if stride != (1, 1) or not (x.size and y.size):
        return False
    return conv_tiles.saves(x.shape[1:3], y.shape[1:3], weight.shape, padding, dilation)
