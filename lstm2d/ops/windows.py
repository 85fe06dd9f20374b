"""Non-overlapping windows of pixels, and their soft targets."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d import kernels
from lstm2d.errors import ShapeError
from lstm2d.tape import record
from lstm2d.tensor import FloatArray, Tensor


def window_gather(x: Tensor, window: int) -> Tensor:
    """Flatten non-overlapping windows of images to vectors.

    Parameters
    ----------
    x : Tensor of shape (N, H, W, C)
        Images; H and W in pixels.
    window : int
        Side of a window in pixels; H and W are multiples of it.

    Returns
    -------
    Tensor of shape (N, H / window, W / window, window * window * C)
        Values of each window in the order (row, column, channel).

    Raises
    ------
    ShapeError
        If `x` does not have four axes, or H or W is not a multiple of `window`.

    Notes
    -----
    Keeps nothing for the backward pass.
    """
    if x.data.ndim != 4:
        raise ShapeError(f"window_gather: {x.shape}", expected="(N, H, W, C)")
    _check_multiple("window_gather", x.shape[1:3], window)
    k = kernels.pick("windows", like=x.data)

    def backward(grad_y: FloatArray) -> tuple[FloatArray]:
        return (k.window_gather_backward(grad_y, window).reshape(x.shape),)

    y = k.window_gather_forward(x.data, window)
    return record("window_gather", {"x": x}, y, backward, window=window)


def window_targets(
    labels: NDArray[np.integer[Any]],
    window: int,
    n_classes: int,
    *,
    ignore_index: int = 255,
    class_weights: NDArray[np.floating[Any]] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    r"""Return soft targets of the windows: the paper's probabilistic target coding.

    Parameters
    ----------
    labels : ndarray of int, shape (N, H, W)
        Values in [0, n_classes) or `ignore_index`. H and W are multiples of `window`.
    window : int
        Side of a window in pixels.
    n_classes : int
        Number of classes K.
    ignore_index : int, default 255
        Label of pixels that are ignored.
    class_weights : ndarray of shape (n_classes,), optional
        Factor of each class in the loss.

    Returns
    -------
    targets : ndarray of float32, shape (N, H / window, W / window, n_classes)
        Class weight times f_c / m, for f_c pixels of class c among the m labelled pixels of a window; 0 if m
        is 0.
    weight : ndarray of float32, shape (N, H / window, W / window)
        Fraction m / window^2 of labelled pixels.

    Raises
    ------
    ShapeError
        If the shapes do not match.
    TypeError
        If the labels are not integers.
    ValueError
        If a label is neither a class nor `ignore_index`.

    Notes
    -----
    The paper [1]_ has no ignored pixels and divides f_c by window^2, which is the product of targets and
    weight here.

    References
    ----------
    .. [1] W. Byeon, T. M. Breuel, F. Raue, M. Liwicki, "Scene Labeling with LSTM Recurrent Neural Networks",
       CVPR 2015, section 2.3.
    """
    if labels.ndim != 3:
        raise ShapeError(f"window_targets: labels {labels.shape}", expected="(N, H, W)")
    if not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(f"window_targets: labels are {labels.dtype}, expected integers")
    _check_multiple("window_targets", labels.shape[1:], window)
    weights = None
    if class_weights is not None:
        weights = kernels.to_device(class_weights, kernels.device_of(labels)).astype(np.float32, copy=False)
    if weights is not None and weights.shape != (n_classes,):
        raise ShapeError(f"window_targets: {weights.shape} class weights for {n_classes} classes")
    k = kernels.pick("windows", like=labels)
    targets, weight = k.window_targets(labels, window, n_classes, ignore_index, weights)
    return targets, weight


def _check_multiple(op: str, size: tuple[int, ...], window: int) -> None:
    if window < 1 or size[0] % window or size[1] % window:
        raise ShapeError(
            f"{op}: {size[0]}x{size[1]} pixels in windows of {window}x{window}",
            expected="height and width that are multiples of the window",
            hint="pad the image at the bottom and right",
        )
