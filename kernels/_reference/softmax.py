"""Class probabilities and losses. Positions of an image are one axis: scores are (N, P, K)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lstm2d.kernels.arrays import FloatArray


def softmax_forward(x: FloatArray) -> FloatArray:
    """Return exp(x) / sum(exp(x)) over the last axis.

    A row with a NaN or +inf, or with -inf only, is all NaN.
    """
    with np.errstate(invalid="ignore"):
        e = np.exp(x - x.max(axis=-1, keepdims=True, initial=-np.inf))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def softmax_backward(y: FloatArray, grad_y: FloatArray) -> FloatArray:
    """Return the gradient of x from the saved result: y * (grad_y - sum(grad_y * y))."""
    return np.asarray(y * (grad_y - (grad_y * y).sum(axis=-1, keepdims=True)))


def soft_cross_entropy_forward(
    scores: FloatArray, targets: FloatArray, weight: FloatArray
) -> tuple[float, FloatArray]:
    """Return the sum of weight_p * sum_c targets_pc * -ln softmax(scores)_pc, and the probabilities.

    Added in float64: positions in order, then images in order. A class whose target is 0 adds nothing even if
    its probability is 0; a NaN makes the sum NaN, even if the weight is 0.
    """
    probability = softmax_forward(scores)
    total = 0.0
    for b in range(scores.shape[0]):
        image = 0.0
        for p in range(scores.shape[1]):
            row = scores[b, p].astype(np.float64)
            with np.errstate(invalid="ignore"):
                shifted = row - row.max()
                log_sum = np.log(np.exp(shifted).sum())
                terms = np.where(targets[b, p] != 0, targets[b, p] * (log_sum - shifted), 0 * log_sum)
            image += float(weight[b, p]) * float(terms.sum())
        total += image
    return total, probability


def soft_cross_entropy_backward(
    probability: FloatArray, targets: FloatArray, weight: FloatArray, factor: float
) -> FloatArray:
    """Return the gradient of scores: factor * weight_p * (sum_c targets_pc * probability_pc - targets_pc)."""
    mass = targets.sum(axis=-1, keepdims=True)
    grad = factor * weight[..., None] * (mass * probability - targets)
    return np.asarray(grad.astype(probability.dtype))


def cross_entropy_forward(
    scores: FloatArray,
    labels: NDArray[np.intp],
    class_weights: FloatArray,
    ignore_index: int,
    keep: bool,
) -> tuple[float, float, FloatArray | None]:
    """Return the sum of w_p * -ln softmax(scores)_p,label, the sum of w_p, and the probabilities if `keep`.

    w_p is the class weight of the position's label, 0 if the label is `ignore_index`. Added in float64:
    positions in order, then images in order. A position of weight 0 adds nothing even if the probability of
    its label is 0; a NaN among the scores makes the sum NaN, even if all weights are 0.
    """
    weight = _position_weights(labels, class_weights, ignore_index, scores.shape[-1])
    probability = softmax_forward(scores)
    total = mass = 0.0
    for b in range(scores.shape[0]):
        image = 0.0
        for p in range(scores.shape[1]):
            row = scores[b, p].astype(np.float64)
            with np.errstate(invalid="ignore"):
                shifted = row - row.max()
                log_sum = float(np.log(np.exp(shifted).sum()))
            w = float(weight[b, p])
            image += w * (log_sum - float(shifted[labels[b, p]])) if w else 0 * log_sum
            mass += w
        total += image
    return total, mass, probability if keep else None


def cross_entropy_backward(
    probability: FloatArray,
    labels: NDArray[np.intp],
    class_weights: FloatArray,
    ignore_index: int,
    factor: float,
) -> FloatArray:
    """Return the gradient of scores: factor * w_p * (probability_p - 1 at the label)."""
    weight = factor * _position_weights(labels, class_weights, ignore_index, probability.shape[-1])
    one_hot = labels[..., None] == np.arange(probability.shape[-1])
    return np.asarray((weight[..., None] * (probability - one_hot)).astype(probability.dtype))


def _position_weights(
    labels: NDArray[np.intp], class_weights: FloatArray, ignore_index: int, n_classes: int
) -> NDArray[np.float64]:
    """Return the class weight of each position's label, 0 for ignored ones."""
    known = labels != ignore_index
    if ((labels < 0) | (labels >= n_classes))[known].any():
        raise ValueError(f"labels hold a value outside [0, {n_classes})")
    weight = np.zeros(labels.shape, np.float64)
    weight[known] = class_weights[labels[known]]
    return weight


def clip_normalise(x: FloatArray) -> FloatArray:
    """Return x with negative values set to 0, each row divided by its sum.

    A row without a positive value becomes uniform.
    """
    positive = np.where(x < 0, 0, x)  # keeps NaN
    total = positive.sum(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(total == 0, 1 / max(1, x.shape[-1]), positive / total).astype(x.dtype))
