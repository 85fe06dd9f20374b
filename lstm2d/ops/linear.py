"""Linear layer on the channels of every position."""

from __future__ import annotations

from math import prod

from lstm2d import kernels
from lstm2d.errors import ShapeError
from lstm2d.tape import record
from lstm2d.tensor import FloatArray, Tensor


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    r"""Multiply the channels of every position by a matrix.

    Parameters
    ----------
    x : Tensor of shape (N, ..., C_in)
        Features of N images; a tensor with one axis is a single position. On a CPU each image is a product of
        its own, so that its bits do not depend on the rest of the batch.
    weight : Tensor of shape (C_in, C_out)
        The matrix.
    bias : Tensor of shape (C_out,), optional
        Added to every position.

    Returns
    -------
    Tensor of shape (N, ..., C_out)
        The products.

    Raises
    ------
    ShapeError
        If the shapes do not match.

    Notes
    -----
    .. math:: y = x W + b

    Keeps `x` and `weight` for the backward pass.
    """
    _check(x, weight, bias)
    n = x.shape[0] if x.data.ndim > 1 else 1
    positions = prod(x.shape[1:-1])
    c_in, c_out = weight.shape
    rows = x.data.reshape(n, positions, c_in)
    k = kernels.pick("linear", like=rows)
    y = k.linear_forward(rows, weight.data, None if bias is None else bias.data)

    def backward(grad_y: FloatArray) -> tuple[FloatArray | None, ...]:
        g = grad_y.reshape(n, positions, c_out)
        grad_x = k.linear_grad_x(g, weight.data).reshape(x.shape) if x.requires_grad else None
        grad_weight = k.linear_grad_weight(rows, g) if weight.requires_grad else None
        if bias is None:
            return grad_x, grad_weight
        return grad_x, grad_weight, k.linear_grad_bias(g) if bias.requires_grad else None

    inputs = {"x": x, "weight": weight, "bias": bias}
    return record("linear", inputs, y.reshape(*x.shape[:-1], c_out), backward)


def _check(x: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    if x.data.ndim == 0 or weight.data.ndim != 2 or x.shape[-1] != weight.shape[0]:
        raise ShapeError(
            f"linear: x {x.shape} does not fit weight {weight.shape}",
            expected="x (N, ..., C_in) and weight (C_in, C_out)",
        )
    if bias is not None and bias.shape != weight.shape[1:]:
        raise ShapeError(
            f"linear: bias {bias.shape} does not fit weight {weight.shape}", expected=f"{weight.shape[1:]}"
        )
