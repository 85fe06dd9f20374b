"""First values of parameters."""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import DTypeLike

from lstm2d.tensor import FloatArray


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
