"""The 2D-LSTM layer with its four scan directions."""

from __future__ import annotations

import numpy as np

from lstm2d import kernels
from lstm2d.errors import ShapeError
from lstm2d.tape import record, records
from lstm2d.tensor import FloatArray, Tensor


def lstm2d_layer(
    x: Tensor,
    weight: Tensor,
    recurrent: Tensor,
    bias: Tensor,
    peepholes: Tensor | None = None,
    *,
    cell_scale: float = 1.0,
    leaky: bool = False,
    gate_clip: float | None = None,
) -> Tensor:
    r"""Scan an image with four 2D-LSTMs, one from each corner.

    The state of a position depends on its horizontal and its vertical predecessor in scan order. Gates are
    stored in the order input gate, forget gate x, forget gate y, candidate, output gate, where x stands for
    the horizontal predecessor and y for the vertical one.

    Parameters
    ----------
    x : Tensor of shape (N, H, W, C)
        Features. H and W are in windows, not pixels.
    weight : Tensor of shape (4, C, 5 * U)
        Input weights for U hidden units. First axis: down-right, down-left, up-right, up-left; columns: the
        gates in stored order.
    recurrent : Tensor of shape (4, 2 * U, 5 * U)
        Recurrent weights. Rows: hidden state of the horizontal predecessor, then of the vertical one.
    bias : Tensor of shape (4, 5 * U)
        Added before the activation of each gate.
    peepholes : Tensor of shape (4, 5, U), optional
        Peephole weights: input gate from the horizontal and from the vertical old cell, each forget gate from
        the old cell of its axis, output gate from the new cell.
    cell_scale : float, default 1.0
        Factor of both old cells in the new one. 1.0 is the paper's; 0.5 keeps cells bounded on very large
        grids, where the sum over all paths grows.
    leaky : bool, default False
        Whether to use the stable cell of [2]_, which takes a weighted mean of the two old cells:
        :math:`c = i \odot g + f^x \odot (f^y \odot c_{i-1,j} + (1 - f^y) \odot c_{i,j-1})`.
    gate_clip : float, optional
        Bound of the error of every gate and of the candidate, before its activation: at each position of the
        backward scan its gradient is clipped to [-gate_clip, gate_clip], and weights, peepholes and
        predecessors get the clipped values. The path through the cells is not clipped. RNNLIB, on which the
        paper builds, uses 1. None for no bound; with one that acts, the gradients are no longer those of the
        output.

    Returns
    -------
    Tensor of shape (N, H, W, 4 * U)
        Hidden states of the four directions, concatenated. Hidden state and cell are 0 outside the image.

    Raises
    ------
    ShapeError
        If the shapes do not match.
    TypeError
        If the data types differ or are neither float32 nor float64.
    ValueError
        If `gate_clip` is not greater than 0.

    Notes
    -----
    .. math::

        c_{ij} = i \odot g + f^x \odot c_{i,j-1} + f^y \odot c_{i-1,j}, \quad h_{ij} = o \odot \tanh c_{ij}

    This cell can double at every step; it is limited to :math:`2^{100}`, where gates and tanh are saturated.
    See [1]_, section 2.2; the peepholes are vectors. Keeps C + 10 U values per position and direction for the
    backward pass.

    References
    ----------
    .. [1] W. Byeon, T. M. Breuel, F. Raue, M. Liwicki, "Scene Labeling with LSTM Recurrent Neural Networks",
       CVPR 2015.
    .. [2] G. Leifert, T. Strauss, T. Gruening, W. Wustlich, R. Labahn, "Cells in Multidimensional Recurrent
       Neural Networks", JMLR 17, 2016.
    """
    inputs = (x, weight, recurrent, bias) if peepholes is None else (x, weight, recurrent, bias, peepholes)
    _check(*inputs)
    if gate_clip is not None and not gate_clip > 0:
        raise ValueError(f"lstm2d_layer: gate_clip is {gate_clip}, expected a number > 0, or None")
    k = kernels.pick("lstm2d", like=x.data)
    peep = None if peepholes is None else peepholes.data
    y, kept = k.lstm2d_forward(
        x.data, weight.data, recurrent.data, bias.data, peep, cell_scale, leaky, records(*inputs)
    )

    def backward(grad_y: FloatArray) -> tuple[FloatArray | None, ...]:
        grads = k.lstm2d_backward(
            grad_y,
            x.data,
            kept,
            weight.data,
            recurrent.data,
            bias.data,
            peep,
            cell_scale,
            leaky,
            gate_clip or 0.0,
            x.requires_grad,
        )
        return tuple(grads[: len(inputs)])

    return record(
        "lstm2d_layer",
        {"x": x, "weight": weight, "recurrent": recurrent, "bias": bias, "peepholes": peepholes},
        y,
        backward,
        cell_scale=cell_scale,
        leaky=leaky,
        gate_clip=gate_clip,
    )


def _check(
    x: Tensor, weight: Tensor, recurrent: Tensor, bias: Tensor, peepholes: Tensor | None = None
) -> None:
    if x.data.ndim != 4:
        raise ShapeError(f"lstm2d_layer: expected x (N, H, W, C), got {x.data.shape}")
    channels, units = x.data.shape[3], recurrent.data.shape[-1] // 5
    expected = {
        "weight": (weight, (4, channels, 5 * units)),
        "recurrent": (recurrent, (4, 2 * units, 5 * units)),
        "bias": (bias, (4, 5 * units)),
    }
    if peepholes is not None:
        expected["peepholes"] = (peepholes, (4, 5, units))
    for name, (tensor, shape) in expected.items():
        if tensor.data.shape != shape:
            raise ShapeError(
                f"lstm2d_layer: expected {name} {shape} for x {x.data.shape} and {units} units, "
                f"got {tensor.data.shape}"
            )
    for tensor in (t for t, _ in expected.values()):
        if tensor.data.dtype != x.data.dtype:
            raise TypeError(f"lstm2d_layer: x is {x.data.dtype}, a parameter {tensor.data.dtype}")
    if x.data.dtype not in (np.float32, np.float64):
        raise TypeError(f"lstm2d_layer: float32 or float64, got {x.data.dtype}")
