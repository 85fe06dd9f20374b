"""Class probabilities and the loss on them, one position at a time; meaning: kernels/_reference/softmax.py.

Scores go by blocks of one image's positions, whose exponentials are taken in one vectorised loop however few
classes there are. Sums over positions are taken in order afterwards: threads change no bit.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from lstm2d.kernels import arena
from lstm2d.kernels._numba.activations import exp_negative
from lstm2d.kernels._numba.jit import kernel, part, row, spread
from lstm2d.kernels.arrays import FloatArray, contiguous
from lstm2d.kernels.checks import contiguous_floats

BLOCK = 64  # positions whose exponentials are taken together
EXP = 8  # values of a plain pass that take as long as an exponential


def softmax_forward(x: FloatArray) -> FloatArray:
    (x,) = contiguous_floats(x)
    y = arena.empty(x.shape, x.dtype)
    if x.size:
        n, positions, k = x.shape
        spread(_softmax, n * positions // BLOCK + 1, EXP * BLOCK * k, x.reshape(-1), y.reshape(-1), k)
    return y


def softmax_backward(y: FloatArray, grad_y: FloatArray) -> FloatArray:
    y, grad_y = contiguous_floats(y, grad_y)
    grad_x = arena.empty(y.shape, y.dtype)
    if y.size:
        spread(_softmax_grad, y.size // y.shape[-1], y.shape[-1], _rows(y), _rows(grad_y), _rows(grad_x))
    return grad_x


def soft_cross_entropy_forward(
    scores: FloatArray, targets: FloatArray, weight: FloatArray
) -> tuple[float, FloatArray]:
    scores, targets, weight = contiguous_floats(scores, targets, weight)
    probability = arena.empty(scores.shape, scores.dtype)
    loss = np.zeros(weight.shape, np.float64)
    if scores.size:
        arrays = scores, targets, weight, probability, loss
        k = scores.shape[-1]
        spread(_soft, loss.size // BLOCK + 1, EXP * BLOCK * k, *(a.reshape(-1) for a in arrays), k)
    return _sum_in_order(loss), probability


def soft_cross_entropy_backward(
    probability: FloatArray, targets: FloatArray, weight: FloatArray, factor: float
) -> FloatArray:
    probability, targets, weight = contiguous_floats(probability, targets, weight)
    grad = arena.empty(probability.shape, probability.dtype)
    if grad.size:
        arrays = _rows(probability), _rows(targets), weight.reshape(-1), factor, _rows(grad)
        spread(_soft_grad, grad.size // grad.shape[-1], grad.shape[-1], *arrays)
    return grad


def cross_entropy_forward(
    scores: FloatArray, labels: NDArray[np.intp], class_weights: FloatArray, ignore_index: int, keep: bool
) -> tuple[float, float, FloatArray | None]:
    scores, class_weights = contiguous_floats(scores, class_weights)
    labels = contiguous(labels, np.intp)
    k = scores.shape[2]
    mass = _mass(labels, class_weights, ignore_index, k)
    probability = arena.empty(scores.shape, scores.dtype) if keep else None
    loss = np.zeros(labels.shape, np.float64)
    if scores.size:
        kept = None if probability is None else probability.reshape(-1)
        arrays = scores.reshape(-1), labels.reshape(-1), class_weights, ignore_index, kept, loss.reshape(-1)
        spread(_hard, loss.size // BLOCK + 1, EXP * BLOCK * k, *arrays, k)
    return _sum_in_order(loss), mass, probability


def cross_entropy_backward(
    probability: FloatArray,
    labels: NDArray[np.intp],
    class_weights: FloatArray,
    ignore_index: int,
    factor: float,
) -> FloatArray:
    probability, class_weights = contiguous_floats(probability, class_weights)
    labels = contiguous(labels, np.intp).reshape(-1)
    _mass(labels, class_weights, ignore_index, probability.shape[-1])  # the caller may have changed a label
    grad = arena.empty(probability.shape, probability.dtype)
    if grad.size:
        arrays = _rows(probability), labels, class_weights, ignore_index, factor, _rows(grad)
        spread(_hard_grad, labels.size, grad.shape[-1], *arrays)
    return grad


def clip_normalise(x: FloatArray) -> FloatArray:
    (x,) = contiguous_floats(x)
    y = arena.empty(x.shape, x.dtype)
    if x.size:
        spread(_clip_normalise, x.size // x.shape[-1], x.shape[-1], _rows(x), _rows(y))
    return y


def _mass(labels: NDArray[np.intp], class_weights: FloatArray, ignore_index: int, n_classes: int) -> float:
    """Return the sum of the weights of all labels."""
    mass = float(_sum_of_weights(labels.reshape(-1), class_weights, ignore_index, n_classes))
    if mass < 0:
        raise ValueError(f"labels hold a value outside [0, {n_classes})")
    return mass


def _rows(array: FloatArray) -> FloatArray:
    return array.reshape(-1, array.shape[-1])


def _sum_in_order(loss: NDArray[np.float64]) -> float:
    return float(_added(loss))


@kernel
def _added(loss):
    total = 0.0
    for b in range(loss.shape[0]):
        image = 0.0
        for p in range(loss.shape[1]):
            image += loss[b, p]
        total += image
    return total


@part
def _exponentials(x, y, top, k):
    """Compute exp(x - top) of each row of k scores; a NaN is never the largest, but its own exp is NaN."""
    for p in range(x.size // k):
        scores, shifted = row(x, p * k, k), row(y, p * k, k)
        most = x.dtype.type(-np.inf)
        for c in range(k):
            most = scores[c] if scores[c] > most else most
        for c in range(k):
            shifted[c] = scores[c] - most
        top[p] = most
    for c in range(y.size):
        y[c] = exp_negative(y[c])


@part
def _sum(y):
    total = 0.0
    for c in range(y.size):
        total += y[c]
    return total


@part
def _divide(y, total):
    divisor = y.dtype.type(total)
    for c in range(y.size):
        y[c] = y[c] / divisor


# A run of positions may be cut anywhere: no position depends on another one


@kernel
def _softmax(x, y, k, begin, end):
    top = np.empty(BLOCK, x.dtype)
    for q in range(begin, end):
        values, out = x[q * BLOCK * k : (q + 1) * BLOCK * k], y[q * BLOCK * k : (q + 1) * BLOCK * k]
        _exponentials(values, out, top, k)
        for p in range(out.size // k):
            probability = row(out, p * k, k)
            _divide(probability, _sum(probability))


@kernel
def _softmax_grad(y, grad_y, grad_x, begin, end):
    for p in range(begin, end):
        values, grads, out = y[p], grad_y[p], grad_x[p]
        mean = 0.0
        for c in range(values.size):
            mean += np.float64(grads[c]) * np.float64(values[c])
        shift = values.dtype.type(mean)
        for c in range(values.size):
            out[c] = values[c] * (grads[c] - shift)


@kernel
def _soft(scores, targets, weight, probability, loss, k, begin, end):
    top = np.empty(BLOCK, scores.dtype)
    for q in range(begin, end):
        first = q * BLOCK
        out = probability[first * k : (first + BLOCK) * k]
        _exponentials(scores[first * k : (first + BLOCK) * k], out, top, k)
        for p in range(out.size // k):
            y = row(out, p * k, k)
            total = _sum(y)
            _divide(y, total)
            log_sum = math.log(total)
            value = 0 * log_sum  # NaN where a score is: also if no target looks at it
            for c in range((first + p) * k, (first + p + 1) * k):
                if targets[c] != 0:  # a probability of 0 without a target costs nothing
                    value += targets[c] * (log_sum - (np.float64(scores[c]) - top[p]))
            loss[first + p] = weight[first + p] * value


@kernel
def _soft_grad(probability, targets, weight, factor, grad, begin, end):
    for p in range(begin, end):
        y, t, out, scale = probability[p], targets[p], grad[p], factor * weight[p]
        mass = _sum(t)
        for c in range(y.size):
            out[c] = scale * (mass * y[c] - t[c])


@kernel
def _sum_of_weights(labels, weights, ignore_index, n_classes):
    """Return the sum of the weights of all labels; -1 if one is out of range."""
    total = 0.0
    for p in range(labels.size):
        label = labels[p]
        if label == ignore_index:
            continue
        if label < 0 or label >= n_classes:
            return -1.0
        total += weights[label]
    return total


@kernel
def _hard(scores, labels, weights, ignore_index, probability, loss, k, begin, end):
    top, scratch = np.empty(BLOCK, scores.dtype), np.empty(BLOCK * k, scores.dtype)
    for q in range(begin, end):
        first = q * BLOCK
        values = scores[first * k : (first + BLOCK) * k]
        out = scratch[: values.size] if probability is None else probability[first * k : (first + BLOCK) * k]
        _exponentials(values, out, top, k)
        for p in range(values.size // k):
            y = row(out, p * k, k)
            total = _sum(y)
            if probability is not None:
                _divide(y, total)
            log_sum, label = math.log(total), labels[first + p]
            w = 0.0 if label == ignore_index else np.float64(weights[label])
            # NaN where a score is: also if nothing counts
            if w == 0:
                loss[first + p] = 0 * log_sum
            else:
                loss[first + p] = w * (log_sum - (np.float64(values[p * k + label]) - top[p]))


@kernel
def _hard_grad(probability, labels, weights, ignore_index, factor, grad, begin, end):
    real = probability.dtype.type
    for p in range(begin, end):
        y, out, label = probability[p], grad[p], labels[p]
        f = real(0) if label == ignore_index else real(factor * weights[label])
        for c in range(y.size):
            out[c] = f * y[c]
        if f != 0:
            out[label] = f * (y[label] - real(1))


@kernel
def _clip_normalise(x, y, begin, end):
    real = x.dtype.type
    for p in range(begin, end):
        values, out, total = x[p], y[p], real(0)
        for c in range(values.size):
            out[c] = real(0) if values[c] < 0 else values[c]  # a NaN is not below 0: it stays
            total += out[c]
        for c in range(values.size):
            out[c] = real(1) / real(values.size) if total == 0 else out[c] / total
