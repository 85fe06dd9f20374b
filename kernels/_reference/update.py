"""Steps of the optimizers, in place. Arrays are flat, with one value per weight and one data type."""

from __future__ import annotations

import numpy as np

from lstm2d.kernels.arrays import FloatArray


def gradient_norm(gradient: FloatArray) -> float:
    """Return the Euclidean norm, its squares added in float64 in a fixed order.

    NaN or infinity if a value is not finite: finite values of float32 have finite squares in float64.
    """
    with np.errstate(over="ignore"):
        return float(np.sqrt(_pairwise_sum(np.square(gradient, dtype=np.float64).ravel())))


def _pairwise_sum(values: FloatArray) -> float:
    """Add halves of at most 128 values each; NumPy's own order for longer arrays depends on its version."""
    if values.size <= 128:
        return float(values.sum())
    half = values.size // 2 - values.size // 2 % 8
    return _pairwise_sum(values[:half]) + _pairwise_sum(values[half:])


def is_finite(values: FloatArray) -> bool:
    """Return whether no value is NaN or infinite."""
    return bool(np.isfinite(values).all())


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
    """Update weights and state with g = clip * gradient + weight_decay * weights.

    velocity = momentum * velocity - learning_rate * rates * g, then weights + velocity, then
    mean + (1 - decay) * (weights - mean). Weights with rate 0 have g = 0. Without `rates` all are 1.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        change = _descent(weights, gradient, rates, clip, weight_decay)
        _scale(change, rates, learning_rate)
        velocity *= momentum
        velocity -= change
        weights += velocity
        _follow(mean, weights, decay)


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
    """Update weights and state with g = clip * gradient + weight_decay * weights.

    square = rho * square + (1 - rho) * g^2, c = g / sqrt(square + eps) * sqrt(change + eps), then
    change = rho * change + (1 - rho) * c^2, then weights - learning_rate * rates * c, then
    mean + (1 - decay) * (weights - mean). Weights with rate 0 have g = 0. Without `rates` all are 1.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        step = _descent(weights, gradient, rates, clip, weight_decay)
        _remember(square, step, rho)
        step /= np.sqrt(square + eps)
        step *= np.sqrt(change + eps)
        _remember(change, step, rho)
        _scale(step, rates, learning_rate)
        weights -= step
        _follow(mean, weights, decay)


def _descent(
    weights: FloatArray, gradient: FloatArray, rates: FloatArray | None, clip: float, weight_decay: float
) -> FloatArray:
    change = gradient * clip
    if weight_decay:
        change += weight_decay * weights
    if rates is not None:
        change[rates == 0] = 0
    return change


def _scale(change: FloatArray, rates: FloatArray | None, learning_rate: float) -> None:
    change *= learning_rate
    if rates is not None:
        change *= rates


def _remember(square: FloatArray, values: FloatArray, rho: float) -> None:
    new = np.square(values)
    new *= 1.0 - rho
    square *= rho
    square += new


def _follow(mean: FloatArray | None, weights: FloatArray, decay: float) -> None:
    if mean is not None:
        way = weights - mean
        way *= 1.0 - decay
        mean += way
