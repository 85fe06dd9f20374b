"""Cut a convolution into rectangles whose positions have the same taps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from lstm2d.kernels.arrays import FloatArray, Pair, contiguous

SHARE = 0.9  # taps outside of the image are left out of the products if at most this share of them remains,
COPY = 16  # where a copy of the weights of some taps counts as their products for 16 positions


class Part(NamedTuple):
    """On one axis: targets ``first + step * t``, t < length; tap k reads ``source_step * t + offsets[k]``."""

    first: int
    step: int
    length: int
    source_step: int
    taps: tuple[int, ...]
    offsets: tuple[int, ...]


Rectangle = tuple[Part, Part]  # rows, columns


def forward_parts(
    size: Pair, n_out: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> list[Rectangle]:
    """Cut a convolution.

    Parameters
    ----------
    size, n_out : pair of int
        Rows and columns of input and output.
    kernel, stride, padding, dilation : pair of int
        Its parameters.

    Returns
    -------
    list of pairs of Part
        Sources are inputs, targets are outputs.
    """
    rows, columns = (
        Part(0, 1, n_out[k], stride[k], tuple(range(kernel[k])), _offsets(kernel[k], padding[k], dilation[k]))
        for k in (0, 1)
    )
    return _cut(rows, columns, size)


def adjoint_parts(
    size: Pair, n_out: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> list[Rectangle]:
    """Cut the input gradient of a convolution.

    Parameters
    ----------
    size, n_out : pair of int
        Rows and columns of input and output of the convolution.
    kernel, stride, padding, dilation : pair of int
        Its parameters.

    Returns
    -------
    list of pairs of Part
        Sources are outputs, targets are inputs: those with one remainder by the stride have the same taps.
    """
    axes = [[*_phases(size[k], kernel[k], stride[k], padding[k], dilation[k])] for k in (0, 1)]
    return [found for rows in axes[0] for columns in axes[1] for found in _cut(rows, columns, n_out)]


def weights_of(rectangle: Rectangle, weight: FloatArray) -> FloatArray:
    """Return the weights (kh, kw, in, out) of the taps of a rectangle, contiguous."""
    rows, columns = (part.taps for part in rectangle)
    if (len(rows), len(columns)) == weight.shape[:2]:
        return contiguous(weight)
    return contiguous(weight[np.ix_(rows, columns)])


def add_to_weights(rectangle: Rectangle, values: FloatArray, weight: FloatArray) -> None:
    """Add values of the taps of a rectangle, in order, to the weights (kh, kw, in, out)."""
    rows, columns = (part.taps for part in rectangle)
    values = values.reshape(len(rows), len(columns), *weight.shape[2:])
    if values.shape == weight.shape:
        weight += values
    else:
        weight[np.ix_(rows, columns)] += values


def _offsets(kernel: int, padding: int, dilation: int) -> tuple[int, ...]:
    return tuple(tap * dilation - padding for tap in range(kernel))


def _phases(size: int, kernel: int, stride: int, padding: int, dilation: int) -> Iterator[Part]:
    for phase in range(min(stride, size)):
        apart = [phase - offset for offset in _offsets(kernel, padding, dilation)]
        seen = tuple(tap for tap in range(kernel) if apart[tap] % stride == 0)
        length = (size - phase + stride - 1) // stride
        yield Part(phase, stride, length, 1, seen, tuple(apart[tap] // stride for tap in seen))


def _cut(rows: Part, columns: Part, size: Pair) -> list[Rectangle]:
    return [
        (high, wide)
        for high in _split(rows, size[0], columns.length)
        for wide in _split(columns, size[1], high.length)
    ]


def _split(part: Part, size: int, beside: int) -> list[Part]:
    """Return the part, or pieces of it that have only the taps inside a source of `size`.

    `beside` is its length on the other axis.
    """
    seen = [
        tuple(k for k, o in enumerate(part.offsets) if 0 <= part.source_step * t + o < size)
        for t in range(part.length)
    ]
    starts = [t for t in range(part.length) if t == 0 or seen[t] != seen[t - 1]]
    pieces = [_piece(part, a, b, seen[a]) for a, b in zip(starts, [*starts[1:], part.length], strict=True)]
    cost = sum(len(piece.taps) * (piece.length * beside + COPY) for piece in pieces)
    return pieces if cost < SHARE * len(part.taps) * part.length * beside else [part]


def _piece(part: Part, start: int, stop: int, seen: Iterable[int]) -> Part:
    shift = part.source_step * start
    return part._replace(
        first=part.first + part.step * start,
        length=stop - start,
        taps=tuple(part.taps[k] for k in seen),
        offsets=tuple(part.offsets[k] + shift for k in seen),
    )
