"""Parameters and their first values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import sqrt
from typing import Protocol

import numpy as np
from numpy.typing import DTypeLike

from lstm2d.errors import ShapeError
from lstm2d.tensor import FloatArray, Tensor

_shapes_only: ContextVar[bool] = ContextVar("shapes_only", default=False)


class Draw(Protocol):
    """A function that draws the first values of a parameter."""

    def __call__(self, rng: np.random.Generator, shape: tuple[int, ...], *, dtype: DTypeLike) -> FloatArray:
        """Return values of a shape and a data type."""
        ...


@contextmanager
def shapes_only() -> Iterator[None]:
    """Build layers without values inside this context.

    Their parameters are arrays of zeros that have a shape, but take no memory, and cannot be written. So the
    number of parameters of a network of any size is known at once.

    Yields
    ------
    None
    """
    token = _shapes_only.set(True)
    try:
        yield
    finally:
        _shapes_only.reset(token)


def parameter(draw: Draw, rng: np.random.Generator, shape: tuple[int, ...], dtype: DTypeLike) -> Tensor:
    """Return a new parameter.

    Parameters
    ----------
    draw : Draw
        Draws its first values.
    rng : numpy.random.Generator
        Where the values come from.
    shape : tuple of int
        Shape of the parameter.
    dtype : dtype
        Data type of the parameter.

    Returns
    -------
    Tensor
        Requires a gradient.
    """
    if _shapes_only.get():
        return Tensor(np.broadcast_to(np.zeros((), dtype), shape), requires_grad=True)
    return Tensor(draw(rng, shape, dtype=dtype), requires_grad=True)


def zeros(rng: np.random.Generator, shape: tuple[int, ...], *, dtype: DTypeLike) -> FloatArray:
    """Return zeros, without drawing anything: the first values of biases."""
    return np.zeros(shape, dtype)


def uniform(
    rng: np.random.Generator, shape: tuple[int, ...], limit: float, dtype: DTypeLike = np.float32
) -> FloatArray:
    """Draw values from a uniform distribution over [-limit, limit).

    Parameters
    ----------
    rng : numpy.random.Generator
        Where the values come from.
    shape : tuple of int
        Shape of the array.
    limit : float
        Largest absolute value.
    dtype : dtype, default float32
        Data type of the array. The same numbers are drawn for each.

    Returns
    -------
    ndarray
        The values.
    """
    return rng.uniform(-limit, limit, shape).astype(dtype)


def normal(
    rng: np.random.Generator, shape: tuple[int, ...], deviation: float, dtype: DTypeLike = np.float32
) -> FloatArray:
    """Draw values from a normal distribution of mean 0.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where the values come from.
    shape : tuple of int
        Shape of the array.
    deviation : float
        Standard deviation.
    dtype : dtype, default float32
        Data type of the array. The same numbers are drawn for each.

    Returns
    -------
    ndarray
        The values.
    """
    return (deviation * rng.standard_normal(shape)).astype(dtype)


def glorot_uniform(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    *,
    fan_in: int,
    fan_out: int,
    dtype: DTypeLike = np.float32,
) -> FloatArray:
    """Draw uniform values that keep the variance of activations and gradients through a layer [1]_.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where the values come from.
    shape : tuple of int
        Shape of the array.
    fan_in, fan_out : int
        Inputs that one output sums, and outputs that one input reaches.
    dtype : dtype, default float32
        Data type of the array. The same numbers are drawn for each.

    Returns
    -------
    ndarray
        Values up to sqrt(6 / (fan_in + fan_out)).

    References
    ----------
    .. [1] X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks",
       AISTATS 2010.
    """
    return uniform(rng, shape, sqrt(6 / max(fan_in + fan_out, 1)), dtype)


def orthonormal(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: DTypeLike = np.float32
) -> FloatArray:
    """Draw matrices with orthonormal columns, or orthonormal rows if there are fewer rows [1]_.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where the values come from.
    shape : tuple of int
        Rows and columns come last; there is one matrix per index of the other axes.
    dtype : dtype, default float32
        Data type of the array. The same numbers are drawn for each.

    Returns
    -------
    ndarray
        Every orthonormal matrix is as likely as any other.

    Raises
    ------
    ShapeError
        If there are fewer than two axes.

    Notes
    -----
    Gram-Schmidt, twice for each vector, in float64 and without BLAS, whose bits depend on the number of
    threads.

    References
    ----------
    .. [1] A. Saxe, J. McClelland, S. Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep
       linear neural networks", ICLR 2014.
    """
    if len(shape) < 2:
        raise ShapeError(f"orthonormal: {shape}", expected="(..., rows, columns)")
    values = rng.standard_normal(shape)
    wide = shape[-1] > shape[-2]
    rows = np.ascontiguousarray(values if wide else values.swapaxes(-1, -2))  # the vectors that are fewer
    for index in np.ndindex(*shape[:-2]):
        _orthonormalise(rows[index])
    return np.ascontiguousarray(rows if wide else rows.swapaxes(-1, -2)).astype(dtype)


def identity(shape: tuple[int, ...], scale: float = 1.0, dtype: DTypeLike = np.float32) -> FloatArray:
    """Return identity matrices, for recurrent networks of rectified units [1]_.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns come last.
    scale : float, default 1.0
        Value on the diagonals.
    dtype : dtype, default float32
        Data type of the array.

    Returns
    -------
    ndarray
        `scale` where row and column are equal, else 0.

    Raises
    ------
    ShapeError
        If there are fewer than two axes.

    References
    ----------
    .. [1] Q. Le, N. Jaitly, G. Hinton, "A simple way to initialize recurrent networks of rectified linear
       units", 2015.
    """
    if len(shape) < 2:
        raise ShapeError(f"identity: {shape}", expected="(..., rows, columns)")
    one = scale * np.eye(shape[-2], shape[-1])
    return np.broadcast_to(one, shape).astype(dtype)


def identity_draw(rng: np.random.Generator, shape: tuple[int, ...], *, dtype: DTypeLike) -> FloatArray:
    """Return `identity`, without drawing anything."""
    return identity(shape, dtype=dtype)


def bilinear_kernel(kernel_size: int, channels: int, dtype: DTypeLike = np.float32) -> FloatArray:
    """Return the weights of a transposed convolution that enlarges bilinearly [1]_.

    Parameters
    ----------
    kernel_size : int
        Side of the kernel, 1 or more: twice the stride where that is even, else twice the stride less 1.
        Half the stride, rounded down, is then cut off at each side.
    channels : int
        Number of channels, each enlarged separately.
    dtype : dtype, default float32
        Data type of the array.

    Returns
    -------
    ndarray of shape (kernel_size, kernel_size, channels, channels)
        A pyramid if both channels are equal, else 0.

    References
    ----------
    .. [1] J. Long, E. Shelhamer, T. Darrell, "Fully convolutional networks for semantic segmentation",
       CVPR 2015, section 3.3.
    """
    stride = (kernel_size + 1) // 2
    profile = 1 - np.abs(np.arange(kernel_size) - (kernel_size - 1) / 2) / stride
    pyramid = profile[:, np.newaxis] * profile
    kernel: FloatArray = (pyramid[..., np.newaxis, np.newaxis] * np.eye(channels)).astype(dtype)
    return kernel


def _orthonormalise(rows: FloatArray) -> None:
    """Make each row a unit vector orthogonal to the rows before it, in place."""
    for k, row in enumerate(rows):
        for _ in range(2):  # the second time removes what rounding left
            shares = np.einsum("ij,j->i", rows[:k], row)
            row -= np.einsum("ij,i->j", rows[:k], shares)
        row /= sqrt(np.square(row).sum())
