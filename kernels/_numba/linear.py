"""A matrix applied to every position; meaning: kernels/_reference/linear.py.

Every product has a shape that depends on one image alone: blocks of 512 positions, the last one shorter. The
gradient of a small matrix is summed in groups of blocks, and over these in order; that of a large one is
computed a strip of rows at a time over all positions: neither depends on the number of threads.
"""

from __future__ import annotations

import numpy as np

from lstm2d.kernels import arena
from lstm2d.kernels._numba.activations import KINDS, activate
from lstm2d.kernels._numba.blas import NN, TN, gemm, matmul
from lstm2d.kernels._numba.jit import kernel, row, spread
from lstm2d.kernels.arrays import FloatArray
from lstm2d.kernels.blas import single_blas
from lstm2d.kernels.checks import contiguous_floats
from lstm2d.kernels.families import Activation

BLOCK = 512  # positions per product: results and operands of usual widths stay in the L2 cache
GROUPS = 8
STRIP = 48  # rows of a large matrix's gradient
LARGE = 1 << 16  # values of a matrix: a sum for each group would take more than the products
PRODUCTS = 16  # multiplications that take as long as one value of a plain pass


def linear_forward(
    x: FloatArray, weight: FloatArray, bias: FloatArray | None, activation: Activation | None = None
) -> FloatArray:
    x, weight = contiguous_floats(x, weight)
    if bias is not None:
        _, bias = contiguous_floats(x, bias)
    n, positions, inner = x.shape
    y = arena.empty((n, positions, weight.shape[1]), x.dtype)
    if y.size:
        blocks = -(-positions // BLOCK)
        work = BLOCK * weight.shape[1] * (1 + inner // PRODUCTS)
        factors = x.reshape(n, -1), weight.reshape(-1), bias, y.reshape(n, -1)
        with single_blas():
            spread(_forward, n * blocks, work, gemm(x.dtype), (positions, inner), *factors, KINDS[activation])
    return y


def linear_grad_x(grad_y: FloatArray, weight: FloatArray) -> FloatArray:
    return linear_forward(grad_y, weight.T, None)


def linear_grad_weight(x: FloatArray, grad_y: FloatArray) -> FloatArray:
    x, grad_y = contiguous_floats(x, grad_y)
    (n, positions, c_in), c_out = x.shape, grad_y.shape[2]
    blocks = n * -(-positions // BLOCK)
    large = c_in * c_out > LARGE
    groups = 1 if large else max(1, min(GROUPS, blocks))
    strip = STRIP if large else max(1, c_in)
    sums = np.zeros((groups, c_in, c_out), x.dtype)
    if sums.size and blocks:
        strips = -(-c_in // strip)
        work = n * positions * strip * (1 + c_out // PRODUCTS) // groups
        factors = x.reshape(n, -1), grad_y.reshape(n, -1), sums.reshape(groups, -1)
        with single_blas():
            spread(
                _grad_weight, groups * strips, work, gemm(x.dtype), (positions, c_in, c_out), strip, *factors
            )
    return _added(sums)


def linear_grad_bias(grad_y: FloatArray) -> FloatArray:
    (grad_y,) = contiguous_floats(grad_y)
    n, positions, channels = grad_y.shape
    sums = np.zeros((max(1, min(GROUPS, n * -(-positions // BLOCK))), channels))
    spread(_grad_bias, len(sums), grad_y.size // len(sums), grad_y, sums)
    return _added(sums).astype(grad_y.dtype)


def _added(sums: FloatArray) -> FloatArray:
    """Return the sum over the groups, in their order."""
    for group in sums[1:]:
        sums[0] += group
    total: FloatArray = sums[0]
    return total


@kernel
def _forward(gemm, shape, x, weight, bias, y, activation, begin, end):
    positions, inner = shape
    columns = weight.size // inner if inner else y.shape[1] // positions
    blocks = (positions + BLOCK - 1) // BLOCK
    for task in range(begin, end):
        image, first = task // blocks, task % blocks * BLOCK
        rows = min(BLOCK, positions - first)
        if bias is not None:
            for p in range(first, first + rows):
                target = row(y[image], p * columns, columns)
                for c in range(columns):
                    target[c] = bias[c]
        out = (y[image], first * columns, columns)
        if inner:
            factors = (x[image], first * inner, inner), (weight, 0, columns)
            matmul(gemm, NN, (rows, columns, inner), factors[0], factors[1], 0 if bias is None else 1, out)
        elif bias is None:
            row(y[image], first * columns, rows * columns)[:] = 0
        activate(row(y[image], first * columns, rows * columns), activation)


@kernel
def _grad_weight(gemm, sizes, strip, x, grad_y, sums, begin, end):
    positions, c_in, c_out = sizes
    groups, strips = sums.shape[0], (c_in + strip - 1) // strip
    blocks = (positions + BLOCK - 1) // BLOCK
    for task in range(begin, end):
        group, at = task // strips, task % strips * strip
        rows = min(strip, c_in - at)
        for block in range(group, x.shape[0] * blocks, groups):
            image, first = block // blocks, block % blocks * BLOCK
            n = min(BLOCK, positions - first)
            factors = (x[image], first * c_in + at, c_in), (grad_y[image], first * c_out, c_out)
            shape, to = (rows, c_out, n), (sums[group], at * c_out, c_out)
            matmul(gemm, TN, shape, factors[0], factors[1], 1, to)


@kernel
def _grad_bias(grad_y, sums, begin, end):
    n, positions, _ = grad_y.shape
    blocks = (positions + BLOCK - 1) // BLOCK
    for group in range(begin, end):
        total = sums[group]
        for block in range(group, n * blocks, sums.shape[0]):
            image, first = block // blocks, block % blocks * BLOCK
            for p in range(first, min(first + BLOCK, positions)):
                values = grad_y[image, p]
                for c in range(total.size):
                    total[c] += values[c]
