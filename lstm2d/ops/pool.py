"""Maximum and average over windows of pixels."""

from __future__ import annotations

from lstm2d import kernels
from lstm2d.errors import ShapeError
from lstm2d.tape import record, records
from lstm2d.tensor import FloatArray, Tensor

Pair = tuple[int, int]
MOST = 2**31 - 1  # the number of a pixel in its window is an int


def max_pool2d(
    x: Tensor,
    size: int | Pair,
    *,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
) -> Tensor:
    """Return the largest value of every window, channel by channel.

    Parameters
    ----------
    x : Tensor of shape (N, H, W, C)
        Images or feature maps; H and W in pixels.
    size : int or pair of int
        Rows and columns of a window.
    stride : int or pair of int, optional
        Distance between windows; the window size by default. Windows that do not fit are dropped.
    padding : int or pair of int, default 0
        Pixels added on each side, at most half of `size`. They are never the maximum.
    dilation : int or pair of int, default 1
        Distance between the taps of a window in pixels.

    Returns
    -------
    Tensor of shape (N, H', W', C)
        With H' = (H + 2 * padding - dilation * (size - 1) - 1) // stride + 1, and W' likewise. The maximum of
        values with a NaN is NaN. A dilated window whose taps are all in the padding gives -inf.

    Raises
    ------
    ShapeError
        If `x` does not have four axes, or no window fits.
    ValueError
        If a size, stride or dilation is below 1, a window has 2^31 pixels or more, or the padding is negative
        or more than half of `size`.

    Notes
    -----
    The gradient goes to the first of equal values, in the order of rows, and to the last of several NaN.
    Keeps the position of each maximum for the backward pass: one byte for windows of at most 256 pixels, else
    four. Without gradient, with stride 1 and without padding, it takes the maximum along rows, then along
    columns, in a time that hardly depends on the size.
    """
    sizes, strides, paddings, dilations = _check("max_pool2d", x, size, stride, padding, dilation)
    k = kernels.pick("pool", like=x.data)
    y, winner = k.max_pool2d_forward(x.data, sizes, strides, paddings, dilations, records(x))

    def backward(grad_y: FloatArray) -> tuple[FloatArray]:
        assert winner is not None
        return (k.max_pool2d_backward(grad_y, winner, x.shape, sizes, strides, paddings, dilations),)

    return record(
        "max_pool2d",
        {"x": x},
        y,
        backward,
        size=sizes,
        stride=strides,
        padding=paddings,
        dilation=dilations,
    )


def avg_pool2d(
    x: Tensor, size: int | Pair, *, stride: int | Pair | None = None, padding: int | Pair = 0
) -> Tensor:
    """Return the mean of every window, channel by channel.

    Parameters
    ----------
    x : Tensor of shape (N, H, W, C)
        Images or feature maps; H and W in pixels.
    size : int or pair of int
        Rows and columns of a window.
    stride : int or pair of int, optional
        Distance between windows; the window size by default. Windows that do not fit are dropped.
    padding : int or pair of int, default 0
        Pixels added on each side, at most half a window. They count as zeros.

    Returns
    -------
    Tensor of shape (N, H', W', C)
        With H' = (H + 2 * padding - size) // stride + 1, and W' likewise.

    Raises
    ------
    ShapeError
        If `x` does not have four axes, or no window fits.
    ValueError
        If a size or stride is below 1, a window has 2^31 pixels or more, or the padding is negative or more
        than half a window.

    Notes
    -----
    Keeps nothing for the backward pass.
    """
    sizes, strides, paddings, _ = _check("avg_pool2d", x, size, stride, padding)
    k = kernels.pick("pool", like=x.data)
    y = k.avg_pool2d_forward(x.data, sizes, strides, paddings)

    def backward(grad_y: FloatArray) -> tuple[FloatArray]:
        return (k.avg_pool2d_backward(grad_y, x.shape, sizes, strides, paddings),)

    return record("avg_pool2d", {"x": x}, y, backward, size=sizes, stride=strides, padding=paddings)


def _check(
    op: str,
    x: Tensor,
    size: int | Pair,
    stride: int | Pair | None,
    padding: int | Pair,
    dilation: int | Pair = 1,
) -> tuple[Pair, Pair, Pair, Pair]:
    sizes = _pair(size)
    strides, paddings, dilations = sizes if stride is None else _pair(stride), _pair(padding), _pair(dilation)
    if min(*sizes, *strides) < 1:
        raise ValueError(f"{op}: size {sizes}, stride {strides}, expected 1 or more")
    if min(dilations) < 1:
        raise ValueError(f"{op}: dilation {dilations}, expected 1 or more")
    if sizes[0] * sizes[1] > MOST:
        raise ValueError(f"{op}: size {sizes}, expected at most {MOST} pixels in a window")
    if min(paddings) < 0 or any(2 * p > s for p, s in zip(paddings, sizes, strict=True)):
        raise ValueError(f"{op}: padding {paddings}, expected 0 to half the size {sizes}")
    if x.data.ndim != 4:
        raise ShapeError(f"{op}: {x.shape}", expected="(N, H, W, C)")
    rows, columns = (d * (s - 1) + 1 for d, s in zip(dilations, sizes, strict=True))  # that a window spans
    if x.shape[1] + 2 * paddings[0] < rows or x.shape[2] + 2 * paddings[1] < columns:
        apart = "" if dilations == (1, 1) else f" ({sizes[0]}x{sizes[1]} with dilation {dilations})"
        raise ShapeError(
            f"{op}: {x.shape[1]}x{x.shape[2]} pixels with padding {paddings} in windows of "
            f"{rows}x{columns}{apart}",
            expected="an image at least as large as a window",
        )
    return sizes, strides, paddings, dilations


def _pair(value: int | Pair) -> Pair:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
