"""First values of parameters."""

from __future__ import annotations

from math import sqrt
from typing import Protocol

import numpy as np
from numpy.typing import DTypeLike

from lstm2d.errors import ShapeError
from lstm2d.tensor import FloatArray


class Draw(Protocol):
    """Draws first values, for layers whose first values the user of the layer chooses."""

    def __call__(self, rng: np.random.Generator, shape: tuple[int, ...], *, dtype: DTypeLike) -> FloatArray:
        """Return values of a shape and a data type."""
        ...


def uniform(
    rng: np.random.Generator, shape: tuple[int, ...], limit: float, dtype: DTypeLike = np.float32
) -> FloatArray:
    """Draw values evenly from [-limit, limit).

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
    """Draw values evenly, as large as keeps the variance of signals and gradients through a layer [1]_.

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
    """Draw matrices whose columns, or rows where those are fewer, are orthonormal [1]_.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where the values come from.
    shape : tuple of int
        Rows and columns come last; each index of the axes before them has a matrix of its own.
    dtype : dtype, default float32
        Data type of the array. The same numbers are drawn for each.

    Returns
    -------
    ndarray
        Every orthonormal matrix is as likely as any other.

    Raises
    ------
    ShapeError
        If there are less than two axes.

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
    """Return matrices that leave a vector as it is, for recurrent networks of rectified units [1]_.

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
        If there are less than two axes.

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
    """Return `identity` where values are drawn; nothing is."""
    return identity(shape, dtype=dtype)


def bilinear_kernel(size: int, channels: int, dtype: DTypeLike = np.float32) -> FloatArray:
    """Return the weights with which a transposed convolution enlarges bilinearly [1]_.

    Parameters
    ----------
    size : int
        Side of the kernel, 1 or more: twice the stride where that is even, else twice the stride less 1.
        Half the stride, rounded down, is then cut off at each side.
    channels : int
        Channels, each enlarged by itself.
    dtype : dtype, default float32
        Data type of the array.

    Returns
    -------
    ndarray of shape (size, size, channels, channels)
        A pyramid where both channels are equal, else 0.

    References
    ----------
    .. [1] J. Long, E. Shelhamer, T. Darrell, "Fully convolutional networks for semantic segmentation",
       CVPR 2015, section 3.3.
    """
    stride = (size + 1) // 2
    profile = 1 - np.abs(np.arange(size) - (size - 1) / 2) / stride
    pyramid = profile[:, np.newaxis] * profile
    kernel: FloatArray = (pyramid[..., np.newaxis, np.newaxis] * np.eye(channels)).astype(dtype)
    return kernel


def _orthonormalise(rows: FloatArray) -> None:
    """Make each row a unit vector that is orthogonal to the rows before it, in place."""
    for k, row in enumerate(rows):
        for _ in range(2):  # the second time removes what rounding left
            shares = np.einsum("ij,j->i", rows[:k], row)
            row -= np.einsum("ij,i->j", rows[:k], shares)
        row /= sqrt(np.square(row).sum())
