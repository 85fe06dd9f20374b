"""Resampling to another size: bilinear, and cubic convolution."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lstm2d import kernels
from lstm2d.errors import ShapeError
from lstm2d.tape import record
from lstm2d.tensor import FloatArray, Tensor

# (start, index, weight) of one axis: see kernels/_reference/resize.py
Taps = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]
KEYS = -0.5  # the value at which cubic convolution reproduces quadratics


def bilinear_resize(x: Tensor, height: int, width: int, *, align_corners: bool = False) -> Tensor:
    """Resample images linearly between pixels.

    Parameters
    ----------
    x : Tensor of shape (N, H, W, C)
        Images.
    height, width : int
        New size in pixels, larger or smaller.
    align_corners : bool, default False
        False: pixels are squares, the outer edges of both grids fall together. True: the centres of the
        corner pixels do.

    Returns
    -------
    Tensor of shape (N, height, width, C)
        The same as `torch.nn.functional.interpolate` gives. No smoothing before shrinking.

    Raises
    ------
    ShapeError
        If `x` has not four axes, or one size is 0 and the other is not.
    """
    _check("bilinear_resize", x, height, width)
    return _resize(
        "bilinear_resize",
        x,
        _bilinear_taps(x.shape[1], height, align_corners),
        _bilinear_taps(x.shape[2], width, align_corners),
    )


def cubic_resize(x: Tensor, height: int, width: int) -> Tensor:
    r"""Resample images by cubic convolution.

    Parameters
    ----------
    x : Tensor of shape (N, H, W, C)
        Images.
    height, width : int
        New size in pixels, larger or smaller.

    Returns
    -------
    Tensor of shape (N, height, width, C)
        Pixels are squares, the outer edges of both grids fall together; beyond an edge the edge pixel is
        repeated. May leave the range of the input by up to 13 % of a jump. No smoothing before shrinking.

    Raises
    ------
    ShapeError
        If `x` has not four axes, or one size is 0 and the other is not.

    Notes
    -----
    Keys' kernel [1]_ with :math:`a = -1/2`, four taps an axis.

    References
    ----------
    .. [1] R. G. Keys, "Cubic convolution interpolation for digital image processing", IEEE Transactions on
       Acoustics, Speech, and Signal Processing 29, 1981.
    """
    _check("cubic_resize", x, height, width)
    return _resize("cubic_resize", x, _cubic_taps(x.shape[1], height), _cubic_taps(x.shape[2], width))


def _check(op: str, x: Tensor, height: int, width: int) -> None:
    if x.data.ndim != 4:
        raise ShapeError(f"{op}: {x.shape}", expected="(N, H, W, C)")
    if height < 0 or width < 0 or (x.shape[1] == 0 and height) or (x.shape[2] == 0 and width):
        raise ShapeError(f"{op}: {x.shape[1]}x{x.shape[2]} to {height}x{width} pixels")


def _resize(op: str, x: Tensor, rows: Taps, columns: Taps) -> Tensor:
    k = kernels.pick("resize", like=x.data)

    def backward(grad_y: FloatArray) -> tuple[FloatArray]:
        # the map is linear: its adjoint is the same kernel with both matrices transposed
        return (k.resample(grad_y, _transposed(rows, x.shape[1]), _transposed(columns, x.shape[2])),)

    return record(op, (x,), k.resample(x.data, rows, columns), backward)


@lru_cache(maxsize=64)
def _bilinear_taps(size: int, new_size: int, align_corners: bool) -> Taps:
    if align_corners:
        place = np.arange(new_size) * ((size - 1) / (new_size - 1) if new_size > 1 else 0.0)
    else:
        place = np.maximum(_centres(size, new_size), 0.0)
    first = np.minimum(place.astype(np.intp), max(size - 1, 0))
    second = np.minimum(first + 1, max(size - 1, 0))
    part = place - first
    return _taps(np.stack([first, second], 1), np.stack([1 - part, part], 1))


@lru_cache(maxsize=64)
def _cubic_taps(size: int, new_size: int) -> Taps:
    place = _centres(size, new_size)
    index = np.floor(place).astype(np.intp)[:, None] + np.arange(-1, 3)
    distance = np.abs(place[:, None] - index)
    near = (KEYS + 2) * distance**3 - (KEYS + 3) * distance**2 + 1
    far = KEYS * (distance**3 - 5 * distance**2 + 8 * distance - 4)
    return _taps(np.clip(index, 0, max(size - 1, 0)), np.where(distance <= 1, near, far))


def _centres(size: int, new_size: int) -> NDArray[np.float64]:
    """Return where the centres of the new pixels lie, in old pixels counted from the first centre."""
    return np.asarray((np.arange(new_size) + 0.5) * (size / max(new_size, 1)) - 0.5)


def _taps(index: NDArray[np.intp], weight: NDArray[np.float64]) -> Taps:
    """Return the taps of a matrix with the same number of entries in every row."""
    start = np.arange(len(index) + 1, dtype=np.intp) * index.shape[1]
    return start, np.ascontiguousarray(index.reshape(-1)), np.ascontiguousarray(weight.reshape(-1))


def _transposed(taps: Taps, size: int) -> Taps:
    """Return the taps of the transposed matrix, which has `size` rows."""
    start, index, weight = taps
    order = np.argsort(index, kind="stable")
    row = np.repeat(np.arange(len(start) - 1, dtype=np.intp), np.diff(start))
    new_start = np.zeros(size + 1, np.intp)
    np.cumsum(np.bincount(index, minlength=size), out=new_start[1:])
    return new_start, row[order], weight[order]
