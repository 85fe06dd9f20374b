"""Softmax, cross-entropy, and probabilities after interpolation."""

from __future__ import annotations

from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lstm2d import kernels
from lstm2d.errors import ShapeError
from lstm2d.tape import record, records
from lstm2d.tensor import FloatArray, Tensor


def softmax(x: Tensor) -> Tensor:
    r"""Turn scores into probabilities along the last axis.

    Parameters
    ----------
    x : Tensor of shape (..., K)
        Scores of K classes.

    Returns
    -------
    Tensor of shape (..., K)
        Values in [0, 1] that sum to 1 over the last axis. A NaN among K scores makes all K values NaN.

    Raises
    ------
    ShapeError
        If `x` has no axis.

    Notes
    -----
    .. math:: y_c = \frac{e^{x_c}}{\sum_l e^{x_l}}

    Keeps the result for the backward pass.
    """
    if x.data.ndim == 0:
        raise ShapeError("softmax: a single number", expected="(..., K)")
    k = kernels.pick("softmax", like=x.data)
    rows = (x.shape[0] if x.data.ndim > 1 else 1, prod(x.shape[1:-1]), x.shape[-1])
    y = k.softmax_forward(x.data.reshape(rows))

    def backward(grad_y: FloatArray) -> tuple[FloatArray]:
        return (k.softmax_backward(y, grad_y.reshape(rows)).reshape(x.shape),)

    return record("softmax", {"x": x}, y.reshape(x.shape), backward)


def clip_normalise(x: Tensor) -> Tensor:
    r"""Set negative values to 0 and divide the others by their sum along the last axis.

    Parameters
    ----------
    x : Tensor of shape (..., K)
        Probabilities of K classes that an interpolation has moved beyond 0.

    Returns
    -------
    Tensor of shape (..., K)
        Values in [0, 1] that sum to 1 over the last axis; 1 / K where no value is above 0.

    Raises
    ------
    ShapeError
        If `x` has no axis.

    Notes
    -----
    .. math:: y_c = \frac{\max(x_c, 0)}{\sum_l \max(x_l, 0)}

    Keeps `x` and the result for the backward pass.
    """
    if x.data.ndim == 0:
        raise ShapeError("clip_normalise: a single number", expected="(..., K)")
    y = kernels.pick("softmax", like=x.data).clip_normalise(x.data)

    def backward(grad_y: FloatArray) -> tuple[FloatArray]:
        total = np.maximum(x.data, 0).sum(axis=-1, keepdims=True)
        grad = (grad_y - (grad_y * y).sum(axis=-1, keepdims=True)) / (total + (total == 0))
        grad *= x.data > 0
        return (grad,)

    return record("clip_normalise", {"x": x}, y, backward)


def soft_cross_entropy(
    scores: Tensor,
    targets: FloatArray,
    weight: FloatArray | None = None,
    *,
    reduction: Literal["sum", "mean"] = "sum",
) -> Tensor:
    r"""Return the cross-entropy between target distributions and the softmax of scores.

    Parameters
    ----------
    scores : Tensor of shape (N, H, W, K)
        Scores of any scale; also (..., K) with other leading axes.
    targets : ndarray of shape (N, H, W, K)
        Weight of each class. They need not sum to 1, so that class weights can be multiplied in.
    weight : ndarray of shape (N, H, W), optional
        Factor of each position, 0 for ignored ones; 1 by default.
    reduction : {"sum", "mean"}, default "sum"
        "mean" divides by the sum of `weight`; the loss is 0 if that is 0.

    Returns
    -------
    Tensor of shape ()
        The loss. NaN if any score is NaN, also at ignored positions.

    Raises
    ------
    ShapeError
        If the shapes do not match, or there are no classes.
    ValueError
        If `reduction` is unknown.

    Notes
    -----
    .. math:: E = -\sum_p w_p \sum_c t_{pc} \ln \frac{e^{x_{pc}}}{\sum_l e^{x_{pl}}}

    Summed in float64, in the order of positions and images. Keeps the probabilities for the backward pass,
    K values per position, besides `targets` and `weight`.
    """
    if reduction not in ("sum", "mean"):
        raise ValueError(f"reduction {reduction!r}, expected 'sum' or 'mean'")
    if scores.data.ndim == 0 or scores.shape[-1] == 0 or targets.shape != scores.shape:
        raise ShapeError(f"soft_cross_entropy: targets {targets.shape} do not fit scores {scores.shape}")
    if weight is not None and weight.shape != scores.shape[:-1]:
        raise ShapeError(f"soft_cross_entropy: weight {weight.shape} does not fit scores {scores.shape}")
    dtype = scores.data.dtype
    n = scores.shape[0] if scores.data.ndim > 1 else 1
    rows = (n, prod(scores.shape[1:-1]), scores.shape[-1])
    where = kernels.device_of(scores.data)
    t, w = kernels.to_device(targets, where), np.ones(rows[:2]) if weight is None else weight
    t = t.astype(dtype, copy=False).reshape(rows)
    w = kernels.to_device(w, where).astype(dtype, copy=False).reshape(rows[:2])
    factor = 1.0
    if reduction == "mean":
        total = float(w.sum(dtype=np.float64))
        factor = 1 / total if total else 0.0
    k = kernels.pick("softmax", like=scores.data)
    loss, probability = k.soft_cross_entropy_forward(scores.data.reshape(rows), t, w)

    def backward(grad_y: FloatArray) -> tuple[FloatArray]:
        grad = k.soft_cross_entropy_backward(probability, t, w, factor * float(grad_y))
        return (grad.reshape(scores.shape),)

    return record(
        "soft_cross_entropy",
        {"scores": scores},
        np.asarray(loss * factor, dtype),
        backward,
        {"targets": targets, "weight": weight},
        reduction=reduction,
    )


def cross_entropy(
    scores: Tensor,
    labels: NDArray[np.integer[Any]],
    *,
    class_weights: FloatArray | None = None,
    ignore_index: int = 255,
    reduction: Literal["mean", "sum"] = "mean",
) -> Tensor:
    r"""Return the cross-entropy between labels and the softmax of scores.

    Parameters
    ----------
    scores : Tensor of shape (N, H, W, K)
        Scores of any scale; also (..., K) with other leading axes.
    labels : ndarray of int, shape (N, H, W)
        Class of each position in [0, K), or `ignore_index`.
    class_weights : ndarray of shape (K,), optional
        Factor of each class; 1 by default.
    ignore_index : int, default 255
        Label of positions that are ignored.
    reduction : {"mean", "sum"}, default "mean"
        "mean" divides by the sum of the class weights of all labelled positions. If that is 0, the loss and
        its gradient are 0, so that a batch without labels changes nothing. (PyTorch returns NaN.)

    Returns
    -------
    Tensor of shape ()
        The loss. NaN if any score is NaN, also at ignored positions.

    Raises
    ------
    ShapeError
        If the shapes do not match, or there are no classes.
    TypeError
        If the labels are not integers.
    ValueError
        If a label is neither a class nor `ignore_index`, or `reduction` is unknown.

    Notes
    -----
    .. math:: E = -\sum_p w_{l_p} \ln \frac{e^{x_{p l_p}}}{\sum_c e^{x_{pc}}}

    Summed in float64, in the order of positions and images. Keeps the probabilities for the backward pass,
    K values per position, besides the labels.
    """
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction {reduction!r}, expected 'mean' or 'sum'")
    if scores.data.ndim == 0 or scores.shape[-1] == 0 or labels.shape != scores.shape[:-1]:
        raise ShapeError(f"cross_entropy: labels {labels.shape} do not fit scores {scores.shape}")
    if not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(f"cross_entropy: labels are {labels.dtype}, expected integers")
    n_classes = scores.shape[-1]
    where = kernels.device_of(scores.data)
    weights = kernels.to_device(np.ones(n_classes) if class_weights is None else class_weights, where)
    if weights.shape != (n_classes,):
        raise ShapeError(f"cross_entropy: {weights.shape} class weights for {n_classes} classes")
    dtype = scores.data.dtype
    weights = weights.astype(dtype, copy=False)
    rows = (scores.shape[0] if scores.data.ndim > 1 else 1, prod(scores.shape[1:-1]))
    numbers = kernels.to_device(labels, where).reshape(rows).astype(np.intp, copy=False)
    k = kernels.pick("softmax", like=scores.data)
    total, mass, probability = k.cross_entropy_forward(
        scores.data.reshape(*rows, n_classes), numbers, weights, ignore_index, records(scores)
    )
    factor = 1.0
    if reduction == "mean":
        factor = 1 / mass if mass else 0.0

    def backward(grad_y: FloatArray) -> tuple[FloatArray]:
        assert probability is not None
        scale = factor * float(grad_y)
        grad = k.cross_entropy_backward(probability, numbers, weights, ignore_index, scale)
        return (grad.reshape(scores.shape),)

    return record(
        "cross_entropy",
        {"scores": scores},
        np.asarray(total * factor, dtype),
        backward,
        {"labels": labels, "class_weights": class_weights},
        ignore_index=ignore_index,
        reduction=reduction,
    )
