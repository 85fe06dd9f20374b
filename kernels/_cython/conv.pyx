"""Convolution: which way is the fastest; meaning: kernels/_reference/conv.py."""

import numpy as np

from cython cimport floating
from cython.parallel cimport prange

from lstm2d.kernels import arena, winograd
from lstm2d.kernels.arrays import contiguous
from lstm2d.kernels._cython import conv_columns, conv_nested, conv_patches, conv_winograd, linear
from lstm2d.kernels._cython.activation cimport activate, activation_kind
from lstm2d.kernels._cython.levels cimport use_level
from lstm2d.kernels.checks import contiguous_floats
from lstm2d.kernels.conv_parts import adjoint_parts, forward_parts
from lstm2d.kernels._cython.grain import threads_for

use_level()

cdef enum:
    RUN = 16384  # values per task of a thread
    CHANNELS = 16  # of input and output: with fewer, the transforms cost more than the products
    SMALL = 8  # channels of filters of 3 x 3 taps, as above, for a nested convolution
    TILES = 32  # whose products cost as much as the transforms of a nested convolution's filters
    FILTERS = 1 << 17  # pairs of channels beyond which the points of a filter, up to four times its taps, are too many


def conv2d_forward(x, weight, bias, stride, padding, dilation, activation=None):
    """See kernels/_reference/conv.py."""
    x, weight, bias = _floats(x, weight, bias)
    n, h, w, c_in = x.shape
    kh, kw, _, c_out = weight.shape
    rows, columns = (
        (x.shape[k + 1] + 2 * padding[k] - dilation[k] * (weight.shape[k] - 1) - 1) // stride[k] + 1 for k in (0, 1)
    )
    if _is_linear(weight, stride, padding):
        y = linear.linear_forward(x.reshape(n, h * w, c_in), weight[0, 0], bias, activation)
        return y.reshape(n, h, w, c_out)
    y = arena.empty((n, rows, columns, c_out), x.dtype)
    kind = activation_kind(activation)
    if x.size and _is_patches(weight, y, stride, padding, dilation):
        conv_patches.products(x, weight, bias, y, kind)
    elif _is_winograd((kh, kw), x, y, stride, padding, dilation):
        conv_winograd.products(x, weight, bias, y, padding, dilation, kind, False)
    elif x.size and _is_nested(weight, y, stride, dilation):
        conv_nested.products(x, weight, bias, y, padding)
        _activate(y, kind)
    elif x.size and padding == (0, 0) and _is_nested(weight, y[:, :: dilation[0], :: dilation[1]], stride, (1, 1)):
        _in_phases(x, weight, bias, y, dilation)
        _activate(y, kind)
    elif y.size:
        conv_columns.products(
            x, weight, bias, y,
            forward_parts((h, w), (rows, columns), (kh, kw), stride, padding, dilation),
            kind,
        )
    return y


def conv2d_adjoint(grad_y, weight, bias, size, stride, padding, dilation, activation=None):
    """See kernels/_reference/conv.py."""
    grad_y, bias = _floats(grad_y, weight[:0], bias)[::2]  # the functions that read the weights make them contiguous
    n, rows, columns, c_out = grad_y.shape
    kh, kw, c_in, _ = weight.shape
    turned = weight.transpose(0, 1, 3, 2)
    if _is_linear(turned, stride, padding):
        grad_x = linear.linear_forward(grad_y.reshape(n, rows * columns, c_out), turned[0, 0], bias, activation)
        return grad_x.reshape(n, rows, columns, c_in)
    grad_x = arena.empty((n, *size, c_in), grad_y.dtype)
    kind = activation_kind(activation)
    outside = (dilation[0] * (kh - 1) - padding[0], dilation[1] * (kw - 1) - padding[1])
    if grad_y.size and _is_patches(weight, grad_x, stride, padding, dilation) and size == (rows * kh, columns * kw):
        conv_patches.adjoint(grad_y, weight, bias, grad_x, kind)
    elif _is_winograd((kh, kw), grad_y, grad_x, stride, outside, dilation):
        conv_winograd.products(grad_y, weight, bias, grad_x, outside, dilation, kind, True)
    elif grad_y.size and _is_nested(weight, grad_x, stride, dilation):
        conv_nested.products(grad_y, turned[::-1, ::-1], bias, grad_x, outside)
        _activate(grad_x, kind)
    elif grad_x.size:
        conv_columns.products(
            grad_y, contiguous(turned), bias, grad_x,
            adjoint_parts(size, (rows, columns), (kh, kw), stride, padding, dilation),
            kind,
        )
    return grad_x


def conv2d_grad_weight(x, grad_y, kernel, stride, padding, dilation):
    """See kernels/_reference/conv.py."""
    x, grad_y = contiguous_floats(x, grad_y)
    n, h, w, c_in = x.shape
    rows, columns, c_out = grad_y.shape[1:]
    if _is_winograd(kernel, x, grad_y, stride, padding, dilation):
        return conv_winograd.grad_weight(x, grad_y, padding, dilation)
    grad = np.zeros((*kernel, c_in, c_out), x.dtype)
    if _is_linear(grad, stride, padding):
        flat = linear.linear_grad_weight(x.reshape(n, h * w, c_in), grad_y.reshape(n, h * w, c_out))
        return flat.reshape(grad.shape)
    if x.size and _is_patches(grad, grad_y, stride, padding, dilation):
        return conv_patches.grad_weight(x, grad_y, kernel)
    if x.size and _is_nested(grad, grad_y, stride, dilation):
        return conv_nested.grad_weight(x, grad_y, kernel, padding)
    if grad.size and x.size and grad_y.size:
        conv_columns.grad_weight(
            x, grad_y, grad,
            forward_parts((h, w), (rows, columns), kernel, stride, padding, dilation),
        )
    return grad


def _in_phases(x, weight, bias, y, dilation):
    """Convolve with spread filters: every dilation-th row and column is an image of its own."""
    (n, rows, columns, channels), (down, across) = x.shape, dilation
    height, width = -(-rows // down), -(-columns // across)
    parts = np.zeros((n, down, across, height, width, channels), x.dtype)
    for i, j in np.ndindex(down, across):
        part = x[:, i::down, j::across]
        parts[:, i, j, : part.shape[1], : part.shape[2]] = part
    shape = height - weight.shape[0] + 1, width - weight.shape[1] + 1, y.shape[3]
    found = arena.empty((n * down * across, *shape), y.dtype)
    conv_nested.products(parts.reshape(-1, height, width, channels), weight, bias, found, (0, 0))
    found = found.reshape(n, down, across, *shape)
    for i, j in np.ndindex(down, across):
        part = y[:, i::down, j::across]
        part[...] = found[:, i, j, : part.shape[1], : part.shape[2]]


def _activate(y, int kind):
    """Apply an activation to contiguous results."""
    threads = threads_for(y.size)
    if kind and y.dtype == np.float32:
        _activate_runs[float](y.reshape(-1), kind, threads)
    elif kind:
        _activate_runs[double](y.reshape(-1), kind, threads)


cdef void _activate_runs(floating[::1] values, int kind, int threads) noexcept:
    cdef Py_ssize_t n = values.shape[0], k
    for k in prange((n + RUN - 1) // RUN, nogil=True, schedule="static", num_threads=threads):
        activate(&values[k * RUN], min(<Py_ssize_t> RUN, n - k * RUN), kind)


def _floats(x, weight, bias):
    if bias is None:
        return *contiguous_floats(x, weight), None
    return contiguous_floats(x, weight, bias)


def _is_linear(weight, stride, padding):
    return weight.shape[:2] == (1, 1) and stride == (1, 1) and padding == (0, 0)


def _is_patches(weight, y, stride, padding, dilation):
    return weight.shape[:2] == stride and padding == (0, 0) and dilation == (1, 1) and y.size > 0


def _is_winograd(kernel, x, y, stride, padding, dilation):
    channels, outputs = x.shape[3], y.shape[3]
    return (
        kernel == (3, 3) and stride == (1, 1) and min(channels, outputs) >= CHANNELS and x.size > 0 and y.size > 0
        and winograd.saves(
            x.shape[1:3], y.shape[1:3], padding, dilation, conv_winograd.largest(channels, outputs))
    )


def _is_nested(weight, y, stride, dilation):
    """Return whether a nested convolution needs so few multiplications that its transforms are worth it."""
    kh, kw, c_in, c_out = weight.shape
    _, rows, columns, _ = y.shape
    if stride != (1, 1) or dilation != (1, 1) or not 0 < c_in * c_out <= FILTERS or not y.size:
        return False
    if max(kh, kw) <= 3 and min(c_in, c_out) < SMALL:
        return False
    blocks = -(-kh // 4) * -(-kw // 4)
    tiles = -(-rows // 4) * -(-columns // 4)
    return rows * columns * kh * kw >= (tiles + TILES) * blocks * 64  # 49, and some for the transforms
