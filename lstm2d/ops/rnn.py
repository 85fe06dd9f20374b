"""Recurrent sweeps over the columns or rows of an image: the layers of ReNet."""

from __future__ import annotations

from typing import Literal

import numpy as np

from lstm2d import kernels
from lstm2d.errors import ShapeError
from lstm2d.kernels.families import Unit
from lstm2d.tape import record, records
from lstm2d.tensor import FloatArray, Tensor


def gru_sweep(x: Tensor, weight: Tensor, recurrent: Tensor, bias: Tensor, *, axis: int) -> Tensor:
    r"""Sweep along every column or row with two GRUs, one from each end.

    Parameters
    ----------
    x : Tensor of shape (N, H, W, C)
        Features; H and W in pixels or patches.
    weight : Tensor of shape (2, C, 3 * U)
        Input weights for U hidden units. First axis: down or right, then up or left; columns: reset gate,
        update gate, candidate.
    recurrent : Tensor of shape (2, U, 3 * U)
        Recurrent weights, in the same order.
    bias : Tensor of shape (2, 3 * U)
        Added once, to the product of `x`.
    axis : {1, 2}
        1 sweeps along columns (down, up), 2 along rows (right, left).

    Returns
    -------
    Tensor of shape (N, H, W, 2 * U)
        Hidden states of both directions, concatenated. The initial state is 0.

    Raises
    ------
    ShapeError
        If the shapes do not match.
    TypeError
        If the data types differ or are neither float32 nor float64.
    ValueError
        If `axis` is neither 1 nor 2.

    Notes
    -----
    .. math::

        r, u = \sigma(W x + R h + b), \quad n = \tanh(W_n x + b_n + r \odot R_n h), \quad
        h' = (1 - u) \odot h + u \odot n

    The cell of [1]_ with the reset gate after the product, as in [2]_, so that a step is a single product.
    PyTorch's update gate is 1 - u. Keeps 4 U values per pixel and direction for the backward pass, besides
    `x` and the result.

    References
    ----------
    .. [1] K. Cho, B. van Merrienboer, C. Gulcehre, D. Bahdanau, F. Bougares, H. Schwenk, Y. Bengio, "Learning
       Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation", EMNLP 2014.
    .. [2] F. Visin, M. Ciccone, A. Romero, K. Kastner, K. Cho, Y. Bengio, M. Matteucci, A. Courville, "ReSeg:
       A Recurrent Neural Network-based Model for Semantic Segmentation", CVPR Workshops 2016, and its code.
    """
    return _sweep("gru_sweep", "gru", 3, x, weight, recurrent, bias, axis=axis)


def lstm_sweep(x: Tensor, weight: Tensor, recurrent: Tensor, bias: Tensor, *, axis: int) -> Tensor:
    r"""Sweep along every column or row with two LSTMs without peepholes, one from each end.

    Parameters
    ----------
    x : Tensor of shape (N, H, W, C)
        Features; H and W in pixels or patches.
    weight : Tensor of shape (2, C, 4 * U)
        Input weights for U hidden units. First axis: down or right, then up or left; columns: input gate,
        forget gate, candidate, output gate.
    recurrent : Tensor of shape (2, U, 4 * U)
        Recurrent weights, in the same order.
    bias : Tensor of shape (2, 4 * U)
        Added before the activation of each gate.
    axis : {1, 2}
        1 sweeps along columns (down, up), 2 along rows (right, left).

    Returns
    -------
    Tensor of shape (N, H, W, 2 * U)
        Hidden states of both directions, concatenated. The initial hidden state and cell are 0.

    Raises
    ------
    ShapeError
        If the shapes do not match.
    TypeError
        If the data types differ or are neither float32 nor float64.
    ValueError
        If `axis` is neither 1 nor 2.

    Notes
    -----
    .. math:: c' = f \odot c + i \odot g, \quad h' = o \odot \tanh c'

    with :math:`i, f, o = \sigma(W x + R h + b)` and :math:`g = \tanh(W_g x + R_g h + b_g)`, as in [1]_. Keeps
    5 U values per pixel and direction for the backward pass, besides `x` and the result.

    References
    ----------
    .. [1] F. A. Gers, J. Schmidhuber, F. Cummins, "Learning to Forget: Continual Prediction with LSTM",
       Neural Computation 12, 2000.
    """
    return _sweep("lstm_sweep", "lstm", 4, x, weight, recurrent, bias, axis=axis)


def rnn_sweep(
    x: Tensor,
    weight: Tensor,
    recurrent: Tensor,
    bias: Tensor,
    *,
    axis: int,
    activation: Literal["tanh", "relu"] = "tanh",
) -> Tensor:
    r"""Sweep along every column or row with two plain recurrent layers, one from each end.

    Parameters
    ----------
    x : Tensor of shape (N, H, W, C)
        Features; H and W in pixels or patches.
    weight : Tensor of shape (2, C, U)
        Input weights for U hidden units. First axis: down or right, then up or left.
    recurrent : Tensor of shape (2, U, U)
        Recurrent weights.
    bias : Tensor of shape (2, U)
        Added before the activation.
    axis : {1, 2}
        1 sweeps along columns (down, up), 2 along rows (right, left).
    activation : {"tanh", "relu"}, default "tanh"
        "relu" with the identity as initial `recurrent` is the IRNN of [1]_. Its gradient at 0 is 0.

    Returns
    -------
    Tensor of shape (N, H, W, 2 * U)
        Hidden states of both directions, concatenated. The initial state is 0.

    Raises
    ------
    ShapeError
        If the shapes do not match.
    TypeError
        If the data types differ or are neither float32 nor float64.
    ValueError
        If `axis` is neither 1 nor 2, or `activation` is unknown.

    Notes
    -----
    .. math:: h' = \phi(W x + R h + b)

    Keeps `x` and the result for the backward pass.

    References
    ----------
    .. [1] Q. V. Le, N. Jaitly, G. E. Hinton, "A Simple Way to Initialize Recurrent Networks of Rectified
       Linear Units", arXiv:1504.00941, 2015.
    """
    if activation not in ("tanh", "relu"):
        raise ValueError(f"rnn_sweep: activation {activation!r}, expected 'tanh' or 'relu'")
    return _sweep("rnn_sweep", activation, 1, x, weight, recurrent, bias, axis=axis, activation=activation)


def _sweep(
    op: str,
    unit: Unit,
    gates: int,
    x: Tensor,
    weight: Tensor,
    recurrent: Tensor,
    bias: Tensor,
    *,
    axis: int,
    **others: str,
) -> Tensor:
    _check(op, gates, x, weight, recurrent, bias, axis)
    k = kernels.pick("rnn", like=x.data)
    y, kept = k.rnn_forward(
        x.data, weight.data, recurrent.data, bias.data, unit, axis, records(x, weight, recurrent, bias)
    )

    def backward(grad_y: FloatArray) -> tuple[FloatArray | None, ...]:
        return k.rnn_backward(
            grad_y, x.data, y, kept, weight.data, recurrent.data, unit, axis, x.requires_grad
        )

    inputs = {"x": x, "weight": weight, "recurrent": recurrent, "bias": bias}
    return record(op, inputs, y, backward, axis=axis, **others)


def _check(
    name: str, gates: int, x: Tensor, weight: Tensor, recurrent: Tensor, bias: Tensor, axis: int
) -> None:
    if axis not in (1, 2):
        raise ValueError(f"{name}: axis {axis}, expected 1 (along columns) or 2 (along rows)")
    if x.data.ndim != 4:
        raise ShapeError(f"{name}: expected x (N, H, W, C), got {x.shape}")
    units = recurrent.shape[-1] // gates if recurrent.data.ndim else 0
    expected = {
        "weight": (weight, (2, x.shape[3], gates * units)),
        "recurrent": (recurrent, (2, units, gates * units)),
        "bias": (bias, (2, gates * units)),
    }
    for key, (tensor, shape) in expected.items():
        if tensor.shape != shape:
            raise ShapeError(
                f"{name}: expected {key} {shape} for x {x.shape} and {units} units, got {tensor.shape}"
            )
        if tensor.data.dtype != x.data.dtype:
            raise TypeError(f"{name}: x is {x.data.dtype}, {key} {tensor.data.dtype}")
    if x.data.dtype not in (np.float32, np.float64):
        raise TypeError(f"{name}: float32 or float64, got {x.data.dtype}")
