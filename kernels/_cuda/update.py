"""Steps of the optimizers, in place, each as one kernel."""

from __future__ import annotations

from math import sqrt

import cupy
import numpy as np

from lstm2d.kernels._cuda.launch import Array, contiguous, launch, launch_blocks

THREADS = 256
MAX_BLOCKS = 1024  # whose sums the host adds: the same on each device, for the same bits


def gradient_norm(gradient: Array) -> float:
    return sqrt(_total("square_sums", gradient))


def is_finite(values: Array) -> bool:
    return _total("count_not_finite", values) == 0


def sgd_step(
    weights: Array,
    gradient: Array,
    velocity: Array,
    mean: Array | None,
    rates: Array | None,
    learning_rate: float,
    clip: float,
    weight_decay: float,
    momentum: float,
    decay: float,
) -> None:
    arrays = (weights, gradient, velocity, mean, rates)
    scalars = (learning_rate, clip, weight_decay, momentum, 1.0 - decay)
    _step("sgd_step", arrays, scalars)


def adadelta_step(
    weights: Array,
    gradient: Array,
    square: Array,
    change: Array,
    mean: Array | None,
    rates: Array | None,
    learning_rate: float,
    clip: float,
    weight_decay: float,
    rho: float,
    eps: float,
    decay: float,
) -> None:
    arrays = (weights, gradient, square, change, mean, rates)
    scalars = (learning_rate, clip, weight_decay, rho, 1.0 - rho, eps, 1.0 - decay)
    _step("adadelta_step", arrays, scalars)


def _step(name: str, arrays: tuple[Array | None, ...], scalars: tuple[float, ...]) -> None:
    found = [a for a in arrays if a is not None]
    if any(a.size != found[0].size for a in found):
        raise ValueError(f"{', '.join(str(a.shape) for a in found)}: not one value a weight")
    launch("update", name, found[0].size, *arrays, *map(float, scalars), np.int64(found[0].size))


def _total(name: str, values: Array) -> float:
    """Return the sum of a kernel's results of all blocks."""
    (values,) = contiguous(values)
    blocks = min(-(-values.size // THREADS), MAX_BLOCKS)
    found = cupy.empty(blocks, np.float64)
    n = np.int64(values.size)
    launch_blocks("update", name, blocks, THREADS, values, found, n, shared=8 * THREADS)
    return float(found.get().sum())
