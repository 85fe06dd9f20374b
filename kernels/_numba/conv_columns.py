"""Any convolution: the inputs of a block of output positions are copied into rows, and multiplied.

The outputs are cut into rectangles whose positions see the same taps (conv_parts.py), these into blocks of
positions, one product each. The blocks depend on the shapes of one image alone, and every block writes
outputs of its own. A weight gradient is summed in `GROUPS` groups of blocks, and over these in order, so that
it does not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lstm2d.kernels import conv_parts
from lstm2d.kernels._numba.activations import activate
from lstm2d.kernels._numba.blas import NN, TN, gemm, matmul
from lstm2d.kernels._numba.jit import kernel, part, row, spread
from lstm2d.kernels.arrays import FloatArray
from lstm2d.kernels.blas import single_blas
from lstm2d.kernels.conv_parts import Rectangle

GROUPS = 4
COPIED = 1 << 16  # values of a block's copy: it stays in the L2 cache,
WEIGHTS = 1 << 17  # unless there are more weights than these, which every product reads
COPIED_LARGE = 1 << 20
PRODUCTS = 16  # multiplications that take as long as one value of a plain pass


class Geometry(NamedTuple):
    """Output positions with the same taps, and the blocks that they are cut into."""

    height: int  # of the source
    width: int
    channels: int
    outputs: int
    rows: int  # taps
    columns: int
    row_step: int  # in the source, from one position to the next
    column_step: int
    length: int  # positions of a row of the rectangle
    positions: int
    first: int  # in the target
    target_row: int  # distance of two rows of the rectangle in the target
    target_column: int
    dense: bool  # column taps lie side by side in the source
    whole: bool  # the positions lie one after the other in the target
    block: int  # positions per product


def products(
    x: FloatArray,
    weight: FloatArray,
    bias: FloatArray | None,
    y: FloatArray,
    parts: Sequence[Rectangle],
    activation: int,
) -> None:
    """Fill y with the convolution, plus bias, then the activation.

    Parameters
    ----------
    x : ndarray of shape (N, H, W, C_in)
        The source, contiguous.
    weight : ndarray of shape (kh, kw, C_in, C_out)
        The filters.
    bias : ndarray of shape (C_out,) or None
        Added to the products.
    y : ndarray of shape (N, rows, columns, C_out)
        The target, contiguous.
    parts : sequence of pairs of Part
        The rectangles that y is cut into.
    activation : int
        A value of `activations.KINDS`.
    """
    n = len(x)
    for rectangle in parts:
        used = conv_parts.weights_of(rectangle, weight).reshape(-1)
        s = _geometry(rectangle, x, y)
        blocks = -(-s.positions // s.block)
        inner = s.rows * s.columns * s.channels
        work = s.block * (inner * (1 + s.outputs // PRODUCTS) + s.outputs)
        arrays = x.reshape(n, -1), used, bias, y.reshape(n, -1), activation
        scratch, offsets = (s.block * (inner + s.outputs), x.dtype), _offsets(rectangle)
        with single_blas():
            spread(_products, n * blocks, work, gemm(x.dtype), s, *offsets, *arrays, scratch=scratch)


def grad_weight(
    x: FloatArray,
    grad_y: FloatArray,
    grad: FloatArray,
    parts: Sequence[Rectangle],
) -> None:
    """Fill the gradient of the weights; arguments as for `products`."""
    n = len(x)
    for rectangle in parts:
        s = _geometry(rectangle, x, grad_y)
        blocks = n * -(-s.positions // s.block)
        groups = min(GROUPS, blocks)
        inner = s.rows * s.columns * s.channels
        if not groups or not inner:
            continue
        sums = np.zeros((groups, inner * s.outputs), x.dtype)
        work = blocks // groups * s.block * inner * (1 + s.outputs // PRODUCTS)
        arrays = x.reshape(n, -1), grad_y.reshape(n, -1), sums
        scratch, offsets = (s.block * (inner + s.outputs), x.dtype), _offsets(rectangle)
        with single_blas():
            spread(_sums, groups, work, gemm(x.dtype), s, *offsets, *arrays, scratch=scratch)
        for group in sums[1:]:
            sums[0] += group
        conv_parts.add_to_weights(rectangle, sums[0], grad)


def _geometry(rectangle: Rectangle, x: FloatArray, y: FloatArray) -> Geometry:
    (rows, columns), (height, width, channels), (y_width, outputs) = rectangle, x.shape[1:], y.shape[2:]
    inner, positions = len(rows.taps) * len(columns.taps) * channels, rows.length * columns.length
    copied = COPIED if inner * outputs <= WEIGHTS else COPIED_LARGE
    block = max(1, min(positions, max(64, copied // max(1, inner))))
    dense = (
        list(columns.offsets) == list(range(columns.offsets[0], columns.offsets[0] + len(columns.taps)))
        if columns.taps
        else True
    )
    whole = columns.step == 1 and rows.step == 1 and columns.length == y_width
    return Geometry(
        *(
            height,
            width,
            channels,
            outputs,
            len(rows.taps),
            len(columns.taps),
            rows.source_step,
            columns.source_step,
        ),
        *(columns.length, positions, rows.first * y_width + columns.first, rows.step * y_width, columns.step),
        *(dense, whole, block),
    )


def _offsets(rectangle: Rectangle) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rows, columns = rectangle
    return np.array(rows.offsets, np.int64), np.array(columns.offsets, np.int64)


@part
def _copy_sources(s, row_offsets, column_offsets, x, first, n, copy):
    """Copy what n positions from `first` on see, zeros outside of the image, to one row each of `copy`."""
    line, inner = s.columns * s.channels, s.rows * s.columns * s.channels
    for p in range(n):
        i, j = (first + p) // s.length * s.row_step, (first + p) % s.length * s.column_step
        for r in range(s.rows):
            y, to = i + row_offsets[r], row(copy, p * inner + r * line, line)
            if not 0 <= y < s.height:
                _clear(to)
            elif s.dense:
                column = j + column_offsets[0]
                low = min(s.columns, max(0, -column))
                high = max(low, min(s.columns, s.width - column))
                _clear(to[: low * s.channels])
                _copy(
                    x[(y * s.width + column + low) * s.channels :], to[low * s.channels : high * s.channels]
                )
                _clear(to[high * s.channels :])
            else:
                for k in range(s.columns):
                    column, tap = j + column_offsets[k], row(to, k * s.channels, s.channels)
                    if 0 <= column < s.width:
                        _copy(x[(y * s.width + column) * s.channels :], tap)
                    else:
                        _clear(tap)


@part
def _copy(source, target):
    for k in range(target.size):
        target[k] = source[k]


@part
def _clear(target):
    for k in range(target.size):
        target[k] = 0


@part
def _place(s, position):
    """Return where a position of the rectangle lies in the target."""
    return (s.first + position // s.length * s.target_row + position % s.length * s.target_column) * s.outputs


@kernel
def _products(gemm, s, row_offsets, column_offsets, x, weight, bias, y, activation, scratch, begin, end):
    inner, blocks = s.rows * s.columns * s.channels, (s.positions + s.block - 1) // s.block
    copy, beside = scratch[: s.block * inner], scratch[s.block * inner :]
    for task in range(begin, end):
        image, first = task // blocks, task % blocks * s.block
        n = min(s.block, s.positions - first)
        out = row(y[image], _place(s, first), n * s.outputs) if s.whole else beside[: n * s.outputs]
        for p in range(n):
            target = row(out, p * s.outputs, s.outputs)
            if bias is None:
                target[:] = 0
            else:
                for c in range(target.size):
                    target[c] = bias[c]
        if inner:
            _copy_sources(s, row_offsets, column_offsets, x[image], first, n, copy)
            factors = (copy, 0, inner), (weight, 0, s.outputs)
            matmul(gemm, NN, (n, s.outputs, inner), factors[0], factors[1], 1, (out, 0, s.outputs))
        activate(out, activation)
        if not s.whole:
            for p in range(n):
                source = row(beside, p * s.outputs, s.outputs)
                target = row(y[image], _place(s, first + p), s.outputs)
                for c in range(target.size):
                    target[c] = source[c]


@kernel
def _sums(gemm, s, row_offsets, column_offsets, x, grad_y, sums, scratch, begin, end):
    inner, blocks = s.rows * s.columns * s.channels, (s.positions + s.block - 1) // s.block
    copy, beside = scratch[: s.block * inner], scratch[s.block * inner :]
    for group in range(begin, end):
        for task in range(group, x.shape[0] * blocks, sums.shape[0]):
            image, first = task // blocks, task % blocks * s.block
            n = min(s.block, s.positions - first)
            _copy_sources(s, row_offsets, column_offsets, x[image], first, n, copy)
            if s.whole:
                grads = row(grad_y[image], _place(s, first), n * s.outputs)
            else:
                grads = beside
                for p in range(n):
                    source = row(grad_y[image], _place(s, first + p), s.outputs)
                    target = row(beside, p * s.outputs, s.outputs)
                    for c in range(target.size):
                        target[c] = source[c]
            factors = (copy, 0, inner), (grads, 0, s.outputs)
            matmul(gemm, TN, (inner, s.outputs, n), factors[0], factors[1], 1, (sums[group], 0, s.outputs))
