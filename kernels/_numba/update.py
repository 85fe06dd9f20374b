"""Steps of an optimizer in one pass over the memory; meaning and bits: kernels/_reference/update.py.

The squares of a gradient are added as NumPy adds them, pair by pair of halves.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from lstm2d.kernels._numba.jit import kernel, part, spread
from lstm2d.kernels.arrays import FloatArray
from lstm2d.kernels.checks import contiguous_floats

RUN = 16384  # weights per part of a long gradient, at least
PARTS = 64  # each with its own sum
LEAF = 128  # values whose squares are added in one loop


def gradient_norm(gradient: FloatArray) -> float:
    (gradient,) = contiguous_floats(gradient)
    gradient = gradient.reshape(-1)
    starts = _cut(gradient.size, PARTS if gradient.size >= PARTS * RUN else 1)
    sums = np.zeros(len(starts) - 1)
    spread(_squares, sums.size, gradient.size // sums.size, gradient, starts, sums)
    while sums.size > 1:  # the sums of two halves, from the smallest up
        sums = sums[::2] + sums[1::2]
    return math.sqrt(float(sums[0]))


def is_finite(values: FloatArray) -> bool:
    (values,) = contiguous_floats(values)
    values = values.reshape(-1)
    runs = -(-values.size // RUN)
    bad = np.zeros(runs, np.bool_)
    spread(_find_bad, runs, RUN, values, bad)
    return not bad.any()


def sgd_step(
    weights: FloatArray,
    gradient: FloatArray,
    velocity: FloatArray,
    mean: FloatArray | None,
    rates: FloatArray | None,
    learning_rate: float,
    clip: float,
    weight_decay: float,
    momentum: float,
    decay: float,
) -> None:
    gradient = _checked(weights, gradient, velocity, mean, rates)
    real = weights.dtype.type
    scalars = real(learning_rate), real(clip), real(weight_decay), real(momentum), real(1.0 - decay)
    spread(_sgd, weights.size, 4, weights, gradient, velocity, mean, rates, scalars)


def adadelta_step(
    weights: FloatArray,
    gradient: FloatArray,
    square: FloatArray,
    change: FloatArray,
    mean: FloatArray | None,
    rates: FloatArray | None,
    learning_rate: float,
    clip: float,
    weight_decay: float,
    rho: float,
    eps: float,
    decay: float,
) -> None:
    gradient = _checked(weights, gradient, square, change, mean, rates)
    values = (learning_rate, clip, weight_decay, rho, 1.0 - rho, eps, 1.0 - decay)
    scalars = tuple(weights.dtype.type(value) for value in values)
    arrays = weights, gradient, square, change, mean, rates
    spread(_adadelta, weights.size, 8, *arrays, scalars)


def _checked(weights: FloatArray, gradient: FloatArray, *others: FloatArray | None) -> FloatArray:
    """Return the gradient, contiguous; the other arrays are changed in place, and must be so."""
    given = [weights, *(a for a in others if a is not None)]
    if any(a.size != weights.size for a in (gradient, *given)):
        raise ValueError(f"{', '.join(str(a.shape) for a in (gradient, *given))}: not one value a weight")
    if not all(a.flags.aligned for a in given):
        raise ValueError("an array is not aligned to its data type")
    if not all(a.flags.c_contiguous and a.ndim == 1 for a in given):
        raise ValueError("an array is not C-contiguous with one axis")
    return contiguous_floats(*given, gradient)[-1]


def _cut(n: int, parts: int) -> NDArray[np.intp]:
    """Return where the parts begin and end: halves of halves, cut as `_sum_of_squares` cuts."""
    sizes = [n]
    while len(sizes) < parts:
        halves = [size // 2 - size // 2 % 8 for size in sizes]
        sizes = [s for size, half in zip(sizes, halves, strict=True) for s in (half, size - half)]
    return np.cumsum([0, *sizes])


@part
def _sum_of_squares(x):
    if x.size > LEAF:
        half = x.size // 2 - x.size // 2 % 8
        return _sum_of_squares(x[:half]) + _sum_of_squares(x[half:])
    r = np.zeros(8)
    whole = x.size // 8 * 8
    for first in range(0, whole, 8):
        values = x[first : first + 8]
        for k in range(8):
            r[k] += np.float64(values[k]) * np.float64(values[k])
    total = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]))
    for k in range(whole, x.size):
        total += np.float64(x[k]) * np.float64(x[k])
    return total


@kernel
def _squares(x, starts, sums, begin, end):
    for k in range(begin, end):
        sums[k] = _sum_of_squares(x[starts[k] : starts[k + 1]])


@kernel
def _find_bad(x, bad, begin, end):
    for k in range(begin, end):
        values, found = x[k * RUN : (k + 1) * RUN], False
        for j in range(values.size):
            found |= not np.isfinite(values[j])
        bad[k] = found


@kernel
def _sgd(weights, gradient, velocity, mean, rates, scalars, begin, end):
    learning_rate, clip, weight_decay, momentum, share = scalars
    w, g, v = weights[begin:end], gradient[begin:end], velocity[begin:end]
    zero = w.dtype.type(0)
    if rates is not None:
        r = rates[begin:end]
    if mean is not None:
        m = mean[begin:end]
    for k in range(w.size):
        change = g[k] * clip
        if weight_decay != 0:
            change += weight_decay * w[k]
        if rates is not None:
            change = zero if r[k] == 0 else change
        change *= learning_rate
        if rates is not None:
            change *= r[k]
        v[k] = v[k] * momentum - change
        w[k] += v[k]
        if mean is not None:
            m[k] += share * (w[k] - m[k])


@kernel
def _adadelta(weights, gradient, square, changes, mean, rates, scalars, begin, end):
    learning_rate, clip, weight_decay, rho, new_share, eps, share = scalars
    w, g, s, c = weights[begin:end], gradient[begin:end], square[begin:end], changes[begin:end]
    zero = w.dtype.type(0)
    if rates is not None:
        r = rates[begin:end]
    if mean is not None:
        m = mean[begin:end]
    for k in range(w.size):
        step = g[k] * clip
        if weight_decay != 0:
            step += weight_decay * w[k]
        if rates is not None:
            step = zero if r[k] == 0 else step
        s[k] = s[k] * rho + step * step * new_share
        step = step / np.sqrt(s[k] + eps) * np.sqrt(c[k] + eps)
        c[k] = c[k] * rho + step * step * new_share
        step *= learning_rate
        if rates is not None:
            step *= r[k]
        w[k] -= step
        if mean is not None:
            m[k] += share * (w[k] - m[k])
