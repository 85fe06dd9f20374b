"""Normalisation of channels over a batch, of images, and of channels by their neighbours."""

from __future__ import annotations

from math import prod

import numpy as np

from lstm2d import kernels
from lstm2d.errors import ShapeError
from lstm2d.tape import record
from lstm2d.tensor import FloatArray, Tensor


def batch_norm(
    x: Tensor,
    mean: FloatArray,
    var: FloatArray,
    scale: Tensor | None = None,
    shift: Tensor | None = None,
    *,
    training: bool,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    r"""Normalise each channel to mean 0 and variance 1, then scale and shift it [1]_.

    Parameters
    ----------
    x : Tensor of shape (N, H, W, C)
        Features; also (..., C) with other leading axes.
    mean, var : ndarray of shape (C,)
        Running mean and variance. Updated in place if `training`, else used to normalise.
    scale, shift : Tensor of shape (C,), optional
        Standard deviation and mean of the result; 1 and 0 by default.
    training : bool
        Whether to normalise with the mean and variance of this batch. The result for an image then depends on
        the others of its batch, as in no other operation.
    momentum : float, default 0.1
        Weight of the batch in the new running values, as in PyTorch.
    eps : float, default 1e-5
        Added to the variance.

    Returns
    -------
    Tensor of the shape of `x`
        The normalised features.

    Raises
    ------
    ShapeError
        If the shapes do not match, or if `training` with a single value per channel.

    Notes
    -----
    .. math:: y = \gamma \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    The sum of squares is divided by the number of values M for the normalisation, and by M - 1 for the
    running variance. Both are computed in float64, in two passes. An empty batch does not change the running
    values. Keeps `x` for the backward pass.

    References
    ----------
    .. [1] S. Ioffe, C. Szegedy, "Batch normalization", ICML 2015.
    """
    channels = _check_batch_norm(x, (mean, var), (scale, shift))
    k = kernels.pick("norm", like=x.data)
    dtype = x.data.dtype
    rows = (x.shape[0] if x.data.ndim > 1 else 1, prod(x.shape[1:-1]), channels)
    data = x.data.reshape(rows)
    count = rows[0] * rows[1]
    centre, variance = mean.astype(np.float64), var.astype(np.float64)
    if training and count:
        if count == 1:
            raise ShapeError(f"batch_norm: one value per channel in {x.shape}", expected="more, to train")
        centre, variance = k.channel_moments(data)
        mean += momentum * (centre - mean)
        var += momentum * (variance * (count / (count - 1)) - var)
    inverse = 1 / np.sqrt(variance + eps)
    factor = inverse if scale is None else inverse * scale.data
    rounded = centre.astype(dtype)  # what is subtracted: the rest goes into the shift
    offset = factor * (rounded - centre) + (0.0 if shift is None else shift.data)
    y = k.channel_affine(data, rounded, factor.astype(dtype), offset.astype(dtype))

    def backward(grad_y: FloatArray) -> tuple[FloatArray | None, ...]:
        g = grad_y.reshape(rows)
        grad_x = None
        total = product = kernels.zeros((channels,), np.float64, like=g)
        if training or any(t is not None and t.requires_grad for t in (scale, shift)):
            total, product = k.channel_products(data, g, rounded)
            product = inverse * (product + total * (rounded - centre))
        if x.requires_grad and training and count:
            by_x = -factor * inverse * product / count
            rest = by_x * (rounded - centre) - factor * total / count
            arrays = (rounded, by_x.astype(dtype), factor.astype(dtype), rest.astype(dtype))
            grad_x = k.channel_combine(data, g, *arrays).reshape(x.shape)
        elif x.requires_grad:
            grad_x = grad_y * factor.astype(dtype)
        grads = [product.astype(dtype)] * (scale is not None) + [total.astype(dtype)] * (shift is not None)
        return grad_x, *grads

    return record(
        "batch_norm",
        {"x": x, "scale": scale, "shift": shift},
        y.reshape(x.shape),
        backward,
        {"mean": mean, "var": var},
        training=training,
        momentum=momentum,
        eps=eps,
    )


def l2_normalise(x: Tensor, scale: float = 1.0) -> Tensor:
    r"""Scale the features of each image to the same Euclidean norm.

    Parameters
    ----------
    x : Tensor of shape (N, H, W, C)
        Features of N images; also (N, ...) with other axes.
    scale : float, default 1.0
        The norm, called lambda where features of several layers are concatenated.

    Returns
    -------
    Tensor of the shape of `x`
        An image whose features are all 0 is not changed, and has a gradient of 0.

    Raises
    ------
    ShapeError
        If `x` has no axis.

    Notes
    -----
    .. math:: y = \lambda \frac{x}{\lVert x \rVert_2}

    The norm is computed in float64. Keeps `x` for the backward pass.
    """
    if x.data.ndim == 0:
        raise ShapeError("l2_normalise: a single number", expected="(N, ...)")
    k = kernels.pick("norm", like=x.data)
    dtype = x.data.dtype
    square = k.image_products(x.data, x.data)
    empty = square == 0
    factor = scale / np.sqrt(square + empty) * ~empty

    def backward(grad_y: FloatArray) -> tuple[FloatArray]:
        share = k.image_products(x.data, grad_y) / (square + empty) * ~empty
        grad_x = x.data * _per_image(share.astype(dtype), x)
        np.subtract(grad_y, grad_x, out=grad_x)
        grad_x *= _per_image(factor.astype(dtype), x)
        return (grad_x,)

    y = x.data * _per_image(factor.astype(dtype), x)
    return record("l2_normalise", {"x": x}, y, backward, scale=scale)


def local_response_norm(
    x: Tensor, size: int, *, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    r"""Divide each value by a power of the mean square of the neighbouring channels [1]_.

    Parameters
    ----------
    x : Tensor of shape (N, H, W, C)
        Features; also (..., C) with other leading axes.
    size : int
        Number of channels in the mean, of which size // 2 precede the channel itself. Channels outside the
        range count as 0.
    alpha : float, default 1e-4
        Factor of the mean square, as in PyTorch; the paper's factor of the sum, times `size`.
    beta : float, default 0.75
        Exponent.
    k : float, default 1.0
        Added to the mean square.

    Returns
    -------
    Tensor of the shape of `x`
        The divided values.

    Raises
    ------
    ShapeError
        If `x` has no axis.
    ValueError
        If `size` is below 1.

    Notes
    -----
    .. math:: y_c = x_c \Big(k + \frac{\alpha}{n} \sum_{j=c-\lfloor n/2 \rfloor}^{c+\lfloor (n-1)/2 \rfloor}
              x_j^2\Big)^{-\beta}

    Exponents of 0.5, 0.75 and 1 are several times as fast as others. Keeps `x` for the backward pass.

    References
    ----------
    .. [1] A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet classification with deep convolutional neural
       networks", NIPS 2012, section 3.3.
    """
    if x.data.ndim == 0:
        raise ShapeError("local_response_norm: a single number", expected="(..., C)")
    if size < 1:
        raise ValueError(f"local_response_norm: size {size}, expected 1 or more")
    kernel = kernels.pick("norm", like=x.data)
    rows = (1, prod(x.shape[:-1]), x.shape[-1])
    data = x.data.reshape(rows)

    def backward(grad_y: FloatArray) -> tuple[FloatArray]:
        grad_x = kernel.response_norm_backward(data, grad_y.reshape(rows), size, alpha, beta, k)
        return (grad_x.reshape(x.shape),)

    y = kernel.response_norm_forward(data, size, alpha, beta, k)
    return record(
        "local_response_norm",
        {"x": x},
        y.reshape(x.shape),
        backward,
        size=size,
        alpha=alpha,
        beta=beta,
        k=k,
    )


def _per_image(values: FloatArray, x: Tensor) -> FloatArray:
    return values.reshape(-1, *[1] * (x.data.ndim - 1))


def _check_batch_norm(x: Tensor, running: tuple[FloatArray, ...], affine: tuple[Tensor | None, ...]) -> int:
    """Return the number of channels."""
    if x.data.ndim == 0:
        raise ShapeError("batch_norm: a single number", expected="(..., C)")
    channels = x.shape[-1]
    shapes = [a.shape for a in running] + [t.shape for t in affine if t is not None]
    if any(shape != (channels,) for shape in shapes):
        found = ", ".join(str(shape) for shape in shapes)
        raise ShapeError(f"batch_norm: {found} do not fit x {x.shape}", expected=f"each ({channels},)")
    return channels
