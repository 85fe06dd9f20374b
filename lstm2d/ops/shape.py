"""Concatenating, cropping, padding, reshaping and transposing."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lstm2d import kernels
from lstm2d.errors import ShapeError
from lstm2d.tape import record
from lstm2d.tensor import FloatArray, Tensor


def concatenate(tensors: Sequence[Tensor]) -> Tensor:
    """Concatenate tensors along the last axis.

    Parameters
    ----------
    tensors : sequence of Tensor of shape (..., C_k)
        At least one, of one data type; all axes but the last agree.

    Returns
    -------
    Tensor of shape (..., sum of C_k)
        The channels in the order of the tensors.

    Raises
    ------
    ShapeError
        If there is none, or their shapes do not match.
    TypeError
        If the data types differ.

    Notes
    -----
    Keeps nothing for the backward pass.
    """
    shapes = [t.shape for t in tensors]
    if not shapes or any(not shape or shape[:-1] != shapes[0][:-1] for shape in shapes):
        found = ", ".join(map(str, shapes)) or "nothing"
        raise ShapeError(f"concatenate: {found}", expected="tensors that differ in the last axis only")
    if any(t.dtype != tensors[0].dtype for t in tensors):
        raise TypeError(f"concatenate: {', '.join(str(t.dtype) for t in tensors)}, expected one data type")
    ends = np.cumsum([shape[-1] for shape in shapes]).tolist()

    def backward(grad_y: FloatArray) -> tuple[FloatArray | None, ...]:
        return tuple(
            kernels.ascontiguousarray(grad_y[..., end - t.shape[-1] : end]) if t.requires_grad else None
            for t, end in zip(tensors, ends, strict=True)
        )

    y = kernels.empty((*shapes[0][:-1], ends[-1]), tensors[0].dtype, like=tensors[0].data)
    for t, end in zip(tensors, ends, strict=True):
        y[..., end - t.shape[-1] : end] = t.data
    return record("concatenate", {f"tensors[{k}]": t for k, t in enumerate(tensors)}, y, backward)


def crop(x: Tensor, *, top: int, left: int, height: int, width: int) -> Tensor:
    """Crop a rectangle from each image.

    Parameters
    ----------
    x : Tensor of shape (N, H, W, C)
        Images.
    top, left : int
        First row and column of the rectangle.
    height, width : int
        Size of the rectangle.

    Returns
    -------
    Tensor of shape (N, height, width, C)
        The rectangle.

    Raises
    ------
    ShapeError
        If the rectangle does not lie within the images.

    Notes
    -----
    Keeps nothing for the backward pass.
    """
    _check_images("crop", x)
    rows, columns = x.shape[1:3]
    if min(top, left, height, width) < 0 or top + height > rows or left + width > columns:
        raise ShapeError(
            f"crop: {height}x{width} at row {top}, column {left} of {rows}x{columns}",
            expected="a rectangle within the image",
        )
    inside = (slice(None), slice(top, top + height), slice(left, left + width))

    def backward(grad_y: FloatArray) -> tuple[FloatArray]:
        grad_x: FloatArray = kernels.zeros(x.shape, grad_y.dtype, like=grad_y)
        grad_x[inside] = grad_y
        return (grad_x,)

    y = kernels.ascontiguousarray(x.data[inside])
    return record("crop", {"x": x}, y, backward, top=top, left=left, height=height, width=width)


def pad2d(
    x: Tensor, padding: int | tuple[int, int, int, int], *, mode: Literal["zero", "reflect"] = "zero"
) -> Tensor:
    """Add rows and columns around each image.

    Parameters
    ----------
    x : Tensor of shape (N, H, W, C)
        Images.
    padding : int or tuple of int
        Number of rows or columns on each side, or at the top, bottom, left and right.
    mode : {"zero", "reflect"}, default "zero"
        Their values. Reflection does not repeat the border: a b c becomes c b a b c b a. It turns around as
        often as the padding needs; a single row or column is repeated.

    Returns
    -------
    Tensor of shape (N, top + H + bottom, left + W + right, C)
        The padded images.

    Raises
    ------
    ShapeError
        If `x` does not have four axes, or an empty image is reflected.
    ValueError
        If a number is negative or `mode` is unknown.

    Notes
    -----
    Keeps nothing for the backward pass.
    """
    _check_images("pad2d", x)
    if mode not in ("zero", "reflect"):
        raise ValueError(f"pad2d: mode {mode!r}, expected 'zero' or 'reflect'")
    sides = top, bottom, left, right = (padding,) * 4 if isinstance(padding, int) else tuple(padding)
    if min(top, bottom, left, right) < 0:
        raise ValueError(f"pad2d: {padding}, expected 0 or more")
    height, width = x.shape[1:3]
    inside = (slice(None), slice(top, top + height), slice(left, left + width))
    if mode == "zero":
        shape = (x.shape[0], top + height + bottom, left + width + right, x.shape[3])
        y = kernels.zeros(shape, x.dtype, like=x.data)
        y[inside] = x.data

        def unpad(grad_y: FloatArray) -> tuple[FloatArray]:
            return (kernels.ascontiguousarray(grad_y[inside]),)

        return record("pad2d", {"x": x}, y, unpad, padding=sides, mode=mode)
    if (height == 0 and top + bottom) or (width == 0 and left + right):
        raise ShapeError(f"pad2d: nothing to reflect in {x.shape}")
    rows, columns = _reflected(height, top, bottom), _reflected(width, left, right)

    def unfold(grad_y: FloatArray) -> tuple[FloatArray]:
        g = _fold(grad_y.swapaxes(1, 2), columns, left, width).swapaxes(1, 2)
        return (kernels.ascontiguousarray(_fold(g, rows, top, height)),)

    y = x.data
    for axis, index in ((1, rows), (2, columns)):
        y = y.take(kernels.to_device(index, kernels.device_of(y)), axis=axis)
    return record("pad2d", {"x": x}, y, unfold, padding=sides, mode=mode)


def reshape(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Change the shape of a tensor; the values keep their order.

    Parameters
    ----------
    x : Tensor
        Any shape.
    shape : tuple of int
        One of them may be -1, and is then inferred.

    Returns
    -------
    Tensor of that shape
        The values of `x`, not copied if `x` is contiguous.

    Raises
    ------
    ShapeError
        If the number of values differs.

    Notes
    -----
    Keeps nothing for the backward pass.
    """
    known = prod(s for s in shape if s != -1)
    unknown = sum(s == -1 for s in shape)
    fits = known == x.data.size if not unknown else known > 0 and x.data.size % known == 0
    if unknown > 1 or not fits or any(s < -1 for s in shape):
        raise ShapeError(f"reshape: {x.shape} to {tuple(shape)}", expected="the same number of values")

    def backward(grad_y: FloatArray) -> tuple[FloatArray]:
        return (grad_y.reshape(x.shape),)

    return record("reshape", {"x": x}, x.data.reshape(shape), backward, shape=tuple(shape))


def transpose(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Change the order of the axes of a tensor.

    Parameters
    ----------
    x : Tensor
        Any shape.
    axes : tuple of int
        Every axis of `x` once, from 0, in the new order.

    Returns
    -------
    Tensor of shape (x.shape[axes[0]], x.shape[axes[1]], ...)
        The values of `x`, contiguous.

    Raises
    ------
    ShapeError
        If `axes` does not hold every axis once.

    Notes
    -----
    Keeps nothing for the backward pass.
    """
    axes = tuple(map(int, axes))
    if sorted(axes) != list(range(x.data.ndim)):
        raise ShapeError(f"transpose: axes {axes} of {x.shape}", expected="every axis once, from 0")
    back = tuple(axes.index(axis) for axis in range(len(axes)))

    def backward(grad_y: FloatArray) -> tuple[FloatArray]:
        return (kernels.ascontiguousarray(grad_y.transpose(back)),)

    y = kernels.ascontiguousarray(x.data.transpose(axes))
    return record("transpose", {"x": x}, y, backward, axes=axes)


def _check_images(op: str, x: Tensor) -> None:
    if x.data.ndim != 4:
        raise ShapeError(f"{op}: {x.shape}", expected="(N, H, W, C)")


def _reflected(size: int, before: int, after: int) -> NDArray[np.intp]:
    """Return the source row of each row of a padded image."""
    last = max(size - 1, 0)
    way = np.arange(-before, size + after, dtype=np.intp) % max(2 * last, 1)  # there and back
    return np.minimum(way, 2 * last - way) if last else np.zeros_like(way)


def _fold(grad: FloatArray, shown: NDArray[np.intp], before: int, size: int) -> FloatArray:
    """Return the gradient of the rows of an image from that of the padded image, summed in order."""
    folded = grad[:, before : before + size].copy()
    for k, row in enumerate(shown.tolist()):
        if not before <= k < before + size:
            folded[:, row] += grad[:, k]
    return folded
