"""Convolution of images: each output position is a sum over the taps inside the image.

Tap (r, s) of output position (i, j) is the input position
(i * stride - padding + r * dilation, j * stride - padding + s * dilation), each with its entry of the pairs.
x is (N, H, W, C_in), weight (kh, kw, C_in, C_out), y (N, rows, columns, C_out).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lstm2d.kernels._reference.linear import ACTIVATIONS
from lstm2d.kernels.arrays import FloatArray, Pair


def conv2d_forward(
    x: FloatArray,
    weight: FloatArray,
    bias: FloatArray | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    activation: str | None = None,
) -> FloatArray:
    """Return the convolution, plus bias (C_out,), then the activation. The backward pass needs the inputs."""
    kernel = weight.shape[:2]
    size = [
        (x.shape[k + 1] + 2 * padding[k] - dilation[k] * (kernel[k] - 1) - 1) // stride[k] + 1 for k in (0, 1)
    ]
    y = np.zeros((len(x), *size, weight.shape[3]), x.dtype)
    for r, s, inner, outer in _taps(kernel, x.shape, y.shape, stride, padding, dilation):
        y[outer] += x[inner] @ weight[r, s]
    if bias is not None:
        y += bias
    return y if activation is None else ACTIVATIONS[activation](y)


def conv2d_adjoint(
    grad_y: FloatArray,
    weight: FloatArray,
    bias: FloatArray | None,
    size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    activation: str | None = None,
) -> FloatArray:
    """Return the gradient of an x of `size` pixels.

    Plus bias (C_in,), then the activation: a transposed convolution.
    """
    grad_x = np.zeros((len(grad_y), *size, weight.shape[2]), grad_y.dtype)
    for r, s, inner, outer in _taps(weight.shape[:2], grad_x.shape, grad_y.shape, stride, padding, dilation):
        grad_x[inner] += grad_y[outer] @ weight[r, s].T
    if bias is not None:
        grad_x += bias
    return grad_x if activation is None else ACTIVATIONS[activation](grad_x)


def conv2d_grad_weight(
    x: FloatArray, grad_y: FloatArray, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> FloatArray:
    """Return the gradient of weight, summed over positions and images."""
    grad = np.zeros((*kernel, x.shape[3], grad_y.shape[3]), x.dtype)
    for r, s, inner, outer in _taps(kernel, x.shape, grad_y.shape, stride, padding, dilation):
        grad[r, s] = np.tensordot(x[inner], grad_y[outer], axes=([0, 1, 2], [0, 1, 2]))
    return grad


def _taps(
    kernel: tuple[int, ...],
    x_shape: tuple[int, ...],
    y_shape: tuple[int, ...],
    stride: Pair,
    padding: Pair,
    dilation: Pair,
) -> Iterator[tuple[int, int, tuple[slice, ...], tuple[slice, ...]]]:
    """Yield each tap with the slices of x that it reads and of y that it adds to."""
    for r, s in np.ndindex(*kernel):
        inner, outer = [slice(None)], [slice(None)]
        for k, tap in enumerate((r, s)):
            shift = tap * dilation[k] - padding[k]
            first = max(0, -(shift // stride[k]))  # output
            last = min(y_shape[k + 1], (x_shape[k + 1] - 1 - shift) // stride[k] + 1)  # after the last output
            start = first * stride[k] + shift
            count = max(0, last - first)
            inner.append(slice(start, start + (count - 1) * stride[k] + 1 if count else start, stride[k]))
            outer.append(slice(first, first + count))
        yield r, s, tuple(inner), tuple(outer)
