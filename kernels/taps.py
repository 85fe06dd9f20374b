"""Taps of separable resampling: the input positions of each output position, and their weights.

The taps of an axis are three arrays (start, index, weight): output k is the sum of weight[t] * x[index[t]]
for t in range(start[k], start[k + 1]), in that order. Pixels are squares, and the outer edges of both grids
coincide unless a function says otherwise.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Taps = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]
KEYS = -0.5  # the value at which cubic convolution reproduces quadratics


@lru_cache(maxsize=64)
def bilinear_places(
    size: int, new_size: int, align_corners: bool = False
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Return the two neighbours of each new pixel and the weight of the second one.

    Parameters
    ----------
    size, new_size : int
        Number of pixels before and after.
    align_corners : bool, default False
        Whether the centres of the corner pixels coincide instead of the outer edges.

    Returns
    -------
    first, second : array of shape (new_size,), intp
        Indices of the neighbours; beyond an edge both are the edge pixel.
    part : array of shape (new_size,), float64
        In [0, 1).
    """
    if align_corners:
        place = np.arange(new_size) * ((size - 1) / (new_size - 1) if new_size > 1 else 0.0)
    else:
        place = np.maximum(_centres(size, new_size), 0.0)
    first: NDArray[np.intp] = np.minimum(place.astype(np.intp), max(size - 1, 0))
    second: NDArray[np.intp] = np.minimum(first + 1, max(size - 1, 0))
    part = np.asarray(place - first, np.float64)
    _fix(first, second, part)
    return first, second, part


@lru_cache(maxsize=64)
def bilinear_taps(size: int, new_size: int, align_corners: bool = False) -> Taps:
    """Return the taps of linear interpolation; arguments as for `bilinear_places`."""
    first, second, part = bilinear_places(size, new_size, align_corners)
    return _taps(np.stack([first, second], 1), np.stack([1 - part, part], 1))


@lru_cache(maxsize=64)
def cubic_taps(size: int, new_size: int) -> Taps:
    """Return the taps of cubic convolution.

    Parameters
    ----------
    size, new_size : int
        Number of pixels before and after.

    Returns
    -------
    tuple of array
        Four taps for each new pixel; beyond an edge the edge pixel is repeated.
    """
    place = _centres(size, new_size)
    index = np.floor(place).astype(np.intp)[:, None] + np.arange(-1, 3)
    distance = np.abs(place[:, None] - index)
    near = (KEYS + 2) * distance**3 - (KEYS + 3) * distance**2 + 1
    far = KEYS * (distance**3 - 5 * distance**2 + 8 * distance - 4)
    return _taps(np.clip(index, 0, max(size - 1, 0)), np.where(distance <= 1, near, far))


@lru_cache(maxsize=64)
def shrinking_taps(size: int, new_size: int, reach: float = 1.0) -> Taps:
    """Return the taps of an antialiased reduction.

    Parameters
    ----------
    size, new_size : int
        Number of pixels before and after; `size` is at least `new_size`.
    reach : float, default 1
        Half the width of the kernel in new pixels, at least 1.

    Returns
    -------
    tuple of array
        A new pixel is the mean of the old ones around its centre, with weights that decrease linearly to 0
        at `reach`; beyond an edge the edge pixel is repeated.
    """
    place, reach = _centres(size, new_size), reach * size / new_size
    steps = int(np.ceil(reach))
    index = np.floor(place).astype(np.intp)[:, None] + np.arange(1 - steps, steps + 1)
    weight = np.maximum(1 - np.abs(place[:, None] - index) / reach, 0)
    return _taps(np.clip(index, 0, size - 1), weight / weight.sum(axis=1, keepdims=True))


def transposed(taps: Taps, size: int) -> Taps:
    """Return the taps of the transposed matrix.

    Parameters
    ----------
    taps : tuple of array
        Taps of an axis with `size` input positions.
    size : int
        Number of rows of the transposed matrix.

    Returns
    -------
    tuple of array
        In each row, taps are in the order of the outputs.
    """
    start, index, weight = taps
    order = np.argsort(index, kind="stable")
    row = np.repeat(np.arange(len(start) - 1, dtype=np.intp), np.diff(start))
    new_start = np.zeros(size + 1, np.intp)
    np.cumsum(np.bincount(index, minlength=size), out=new_start[1:])
    return new_start, row[order], weight[order]


def part_of(taps: Taps, first: int, last: int) -> tuple[Taps, int, int]:
    """Return the taps of a range of outputs, relative to the input positions that they read.

    Parameters
    ----------
    taps : tuple of array
        Taps of an axis; each output has at least one.
    first, last : int
        Outputs `first` to `last` - 1, at least one.

    Returns
    -------
    taps : tuple of array
        Taps whose index 0 is input position `low`.
    low, high : int
        The outputs read positions `low` to `high` - 1.
    """
    start, index, weight = taps
    used = slice(start[first], start[last])
    low, high = int(index[used].min()), int(index[used].max()) + 1
    return (start[first : last + 1] - start[first], index[used] - low, weight[used]), low, high


def _centres(size: int, new_size: int) -> NDArray[np.float64]:
    """Return the centres of the new pixels in units of old pixels, from the first old centre."""
    return np.asarray((np.arange(new_size) + 0.5) * (size / max(new_size, 1)) - 0.5)


def _taps(index: NDArray[np.intp], weight: NDArray[np.float64]) -> Taps:
    """Return the taps of a matrix with equally many entries in each row."""
    start = np.arange(len(index) + 1, dtype=np.intp) * index.shape[1]
    taps = start, np.ascontiguousarray(index.reshape(-1)), np.ascontiguousarray(weight.reshape(-1))
    _fix(*taps)
    return taps


def _fix(*arrays: NDArray[Any]) -> None:
    """Make arrays read-only: all callers share what is cached."""
    for array in arrays:
        array.flags.writeable = False
