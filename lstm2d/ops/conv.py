"""Convolution and transposed convolution."""

from __future__ import annotations

from math import prod
from typing import get_args

from lstm2d import kernels
from lstm2d.errors import ShapeError
from lstm2d.kernels import families
from lstm2d.tape import record
from lstm2d.tensor import FloatArray, Tensor

Pair = tuple[int, int]  # rows, columns
Activation = families.Activation


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    activation: Activation | None = None,
) -> Tensor:
    r"""Convolve images with a set of filters.

    Parameters
    ----------
    x : Tensor of shape (N, H, W, C_in)
        Images.
    weight : Tensor of shape (kh, kw, C_in, C_out)
        Filters; not flipped, as in PyTorch.
    bias : Tensor of shape (C_out,), optional
        Added to every position.
    stride : int or pair of int, default 1
        Step of the filter in pixels, along rows and columns of the image.
    padding : int or pair of int, default 0
        Zeros on each side of the image.
    dilation : int or pair of int, default 1
        Distance between the taps of a filter in pixels.
    activation : {"relu", "tanh"}, optional
        Applied to the result; gives the same bits as the op of that name.

    Returns
    -------
    Tensor of shape (N, rows, columns, C_out)
        With ``rows = (H + 2 * padding - dilation * (kh - 1) - 1) // stride + 1``.

    Raises
    ------
    ShapeError
        If the shapes do not match, or the filter is larger than the padded image.
    ValueError
        If a stride or dilation is below 1, a padding is negative, or the activation is unknown.

    Notes
    -----
    .. math:: y_{ij} = b + \sum_{rs} x_{i t - p + r d,\, j t - p + s d} W_{rs}

    3 x 3 filters with stride 1 and at least 16 input and output channels use Winograd's method [1]_, forward
    and backward, wherever that saves multiplications: F(4 x 4, 3 x 3), or F(6 x 6, 3 x 3) if the product of
    the channel numbers exceeds 65,536. With a dilation, the image is split into sub-images that are convolved
    separately. Other filters from 4 x 4 on, with stride 1 and no dilation, are sums of F(4 x 4, 4 x 4),
    except on tiny images. The error is below 1e-4 of the largest value in float32 (typically 2e-5), and below
    1e-11 in float64. A NaN spreads to all outputs whose tile (at most 6 x 6) contains it, the filter size
    being rounded up to a multiple of 4 or 3. On a GPU, 3 x 3 filters use F(4 x 4, 3 x 3) where that reduces
    arithmetic and memory traffic; all others are plain products.

    The activation is applied to each part of the result right after its products, without a second array.
    Measured with ReLU on one thread: 3 to 64 channels at 360x480 take 13.7 ms, and 17.1 ms with a separate
    op; with Winograd tiles of 64 channels it saves the array but no time.

    Keeps `x` and `weight` for the backward pass, and the result if there is an activation.

    References
    ----------
    .. [1] A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016.
    """
    _check("conv2d", x, weight, bias, activation)
    strides, paddings, dilations = _pairs("conv2d", stride, padding, dilation)
    kernel = (weight.shape[0], weight.shape[1])
    for axis in (0, 1):
        if x.shape[axis + 1] + 2 * paddings[axis] < dilations[axis] * (kernel[axis] - 1) + 1:
            raise ShapeError(
                f"conv2d: x {x.shape} with padding {paddings} is smaller than weight {weight.shape} "
                f"with dilation {dilations}"
            )
    k = kernels.pick("conv", like=x.data)
    y = k.conv2d_forward(
        x.data, weight.data, None if bias is None else bias.data, strides, paddings, dilations, activation
    )
    kept = None if activation is None else y

    def backward(grad_y: FloatArray) -> tuple[FloatArray | None, ...]:
        grad_y = _before(activation, kept, grad_y)
        grad_x = grad_weight = None
        if x.requires_grad:
            size = (x.shape[1], x.shape[2])
            grad_x = k.conv2d_adjoint(grad_y, weight.data, None, size, strides, paddings, dilations)
        if weight.requires_grad:
            grad_weight = k.conv2d_grad_weight(x.data, grad_y, kernel, strides, paddings, dilations)
        return (grad_x, grad_weight) if bias is None else (grad_x, grad_weight, _grad_bias(bias, grad_y))

    return record(
        "conv2d",
        {"x": x, "weight": weight, "bias": bias},
        y,
        backward,
        stride=strides,
        padding=paddings,
        dilation=dilations,
        activation=activation,
    )


def conv_transpose2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    activation: Activation | None = None,
) -> Tensor:
    r"""Apply a transposed convolution: each position adds a window to the output.

    Parameters
    ----------
    x : Tensor of shape (N, H, W, C_in)
        Images.
    weight : Tensor of shape (kh, kw, C_in, C_out)
        Window that a value of each input channel is multiplied with.
    bias : Tensor of shape (C_out,), optional
        Added to every position of the output.
    stride : int or pair of int, default 1
        Distance between the windows in pixels, along rows and columns.
    padding : int or pair of int, default 0
        Pixels cropped from each side of the output.
    activation : {"relu", "tanh"}, optional
        Applied to the result; gives the same bits as the op of that name.

    Returns
    -------
    Tensor of shape (N, rows, columns, C_out)
        With ``rows = (H - 1) * stride - 2 * padding + kh``.

    Raises
    ------
    ShapeError
        If the shapes do not match, or the padding leaves no output.
    ValueError
        If a stride is below 1, a padding is negative, or the activation is unknown.

    Notes
    -----
    The adjoint of `conv2d`, with the same precision. Keeps `x` and `weight` for the backward pass, and the
    result if there is an activation.
    """
    _check("conv_transpose2d", x, weight, bias, activation)
    strides, paddings, dilations = _pairs("conv_transpose2d", stride, padding, 1)
    kernel = (weight.shape[0], weight.shape[1])
    size = [(x.shape[k + 1] - 1) * strides[k] - 2 * paddings[k] + kernel[k] for k in (0, 1)]
    if min(*size, *x.shape[1:3]) < 1:
        raise ShapeError(
            f"conv_transpose2d: x {x.shape}, weight {weight.shape}, stride {strides} and padding {paddings} "
            f"leave {size[0]}x{size[1]} pixels"
        )
    k = kernels.pick("conv", like=x.data)
    swapped = weight.data.transpose(0, 1, 3, 2)  # the convolution goes from our output to our input
    bias_values = None if bias is None else bias.data
    y = k.conv2d_adjoint(
        x.data, swapped, bias_values, (size[0], size[1]), strides, paddings, dilations, activation
    )
    kept = None if activation is None else y

    def backward(grad_y: FloatArray) -> tuple[FloatArray | None, ...]:
        grad_y = _before(activation, kept, grad_y)
        grad_x = grad_weight = None
        if x.requires_grad:
            grad_x = k.conv2d_forward(grad_y, swapped, None, strides, paddings, dilations)
        if weight.requires_grad:
            swapped_grad = k.conv2d_grad_weight(grad_y, x.data, kernel, strides, paddings, dilations)
            grad_weight = swapped_grad.transpose(0, 1, 3, 2)
        return (grad_x, grad_weight) if bias is None else (grad_x, grad_weight, _grad_bias(bias, grad_y))

    return record(
        "conv_transpose2d",
        {"x": x, "weight": weight, "bias": bias},
        y,
        backward,
        stride=strides,
        padding=paddings,
        activation=activation,
    )


def _check(op: str, x: Tensor, weight: Tensor, bias: Tensor | None, activation: str | None) -> None:
    outputs = weight.shape[-1:]
    if x.data.ndim != 4 or weight.data.ndim != 4 or x.shape[3] != weight.shape[2] or 0 in weight.shape[:2]:
        raise ShapeError(
            f"{op}: x {x.shape} does not fit weight {weight.shape}",
            expected="x (N, H, W, C_in) and weight (kh, kw, C_in, C_out)",
        )
    if bias is not None and bias.shape != outputs:
        raise ShapeError(f"{op}: bias {bias.shape} does not fit weight {weight.shape}", expected=f"{outputs}")
    if activation not in (None, *get_args(Activation)):
        raise ValueError(f"{op}: activation {activation!r}, expected None, 'relu' or 'tanh'")


def _pairs(op: str, stride: int | Pair, padding: int | Pair, dilation: int | Pair) -> tuple[Pair, Pair, Pair]:
    pairs = [(v, v) if isinstance(v, int) else (v[0], v[1]) for v in (stride, padding, dilation)]
    for name, pair, lowest in zip(("stride", "padding", "dilation"), pairs, (1, 0, 1), strict=True):
        if min(pair) < lowest:
            raise ValueError(f"{op}: {name} {pair}, expected {lowest} or more")
    return pairs[0], pairs[1], pairs[2]


def _before(activation: Activation | None, y: FloatArray | None, grad_y: FloatArray) -> FloatArray:
    """Return the gradient of the activation's input."""
    if activation is None or y is None:
        return grad_y
    k = kernels.pick("elementwise", like=y)
    return (k.relu_backward if activation == "relu" else k.tanh_backward)(y, grad_y)


def _grad_bias(bias: Tensor, grad_y: FloatArray) -> FloatArray | None:
    if not bias.requires_grad:
        return None
    n, *size, channels = grad_y.shape
    return kernels.pick("linear", like=grad_y).linear_grad_bias(grad_y.reshape(n, prod(size), channels))
