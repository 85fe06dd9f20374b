"""How values are drawn where standard normal ones do not do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from lstm2d.selftest.case import Array, Shape, normal


def off_zero(rng: Generator, shape: Shape) -> Array:
    """Return values away from 0, the kink of a ReLU."""
    x = normal(rng, shape)
    return np.asarray(x + np.copysign(np.float32(0.01), x))


def off_centre(rng: Generator, shape: Shape) -> Array:
    """Return values of mean 3, as after a ReLU: no mean of 0 hides rounding errors."""
    return np.asarray(3 + normal(rng, shape))


def wide(rng: Generator, shape: Shape) -> Array:
    """Return values of standard deviation 20: the smallest probabilities are near 0."""
    return np.asarray(20 * normal(rng, shape))


def positive(rng: Generator, shape: Shape) -> Array:
    """Return values in [1, 2)."""
    return np.asarray(1 + rng.random(shape, np.float32))


def distinct(rng: Generator, shape: Shape) -> Array:
    """Return values at least 0.01 apart: no maximum changes within a finite difference."""
    return np.asarray(rng.permutation(np.prod(shape, dtype=int)).reshape(shape) / 100, np.float32)


def ties(rng: Generator, shape: Shape) -> Array:
    """Return small integers: many are equal."""
    return rng.integers(-3, 4, shape).astype(np.float32)


def with_nan(rng: Generator, shape: Shape) -> Array:
    """Return values some of which are NaN or -inf."""
    x = normal(rng, shape)
    x[rng.random(shape) < 0.2] = np.nan
    x[rng.random(shape) < 0.2] = -np.inf
    return x


def one_nan(rng: Generator, shape: Shape) -> Array:
    """Return values the middle one of which is NaN."""
    x = normal(rng, shape)
    x.reshape(-1)[x.size // 2] = np.nan
    return x


def special(rng: Generator, shape: Shape) -> Array:
    """Return the values where functions end or overflow."""
    values = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e30, -1e30, -100.0]
    return np.resize(np.array(values, np.float32), shape)


def normals(*shape: int) -> Callable[[Generator], Array]:
    """Return what draws standard normal values of a shape."""
    return lambda rng: normal(rng, shape)


def fractions(*shape: int, zero: bool = False) -> Callable[[Generator], Array]:
    """Return what draws values in [0, 1); with `zero` the first of the last axis is 0."""

    def draw(rng: Generator) -> Array:
        values = np.asarray(rng.random(shape, np.float32))
        if zero:
            values[..., :1] = 0
        return values

    return draw


def labels(
    shape: Shape, classes: int, ignore: int = 255, dtype: str = "int64"
) -> Callable[[Generator], Array]:
    """Return what draws labels, some of them ignored."""

    def draw(rng: Generator) -> Array:
        values = rng.integers(0, classes, shape).astype(dtype)
        values[rng.random(shape) < 0.2] = ignore
        return values

    return draw
