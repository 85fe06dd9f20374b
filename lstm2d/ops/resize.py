"""Bilinear and cubic resampling, and repetition."""

from __future__ import annotations

from lstm2d import kernels
from lstm2d.errors import ShapeError
from lstm2d.kernels.taps import Taps, bilinear_taps, cubic_taps, transposed
from lstm2d.tape import record
from lstm2d.tensor import FloatArray, Tensor


def bilinear_resize(x: Tensor, height: int, width: int, *, align_corners: bool = False) -> Tensor:
    """Resample images by bilinear interpolation.

    Parameters
    ----------
    x : Tensor of shape (N, H, W, C)
        Images.
    height, width : int
        New size in pixels, larger or smaller.
    align_corners : bool, default False
        True: the centres of the corner pixels of both grids coincide. False: pixels are squares, and the
        outer edges of both grids coincide.

    Returns
    -------
    Tensor of shape (N, height, width, C)
        As `torch.nn.functional.interpolate` gives it. Images are not smoothed before they are reduced.

    Raises
    ------
    ShapeError
        If `x` does not have four axes, or is empty and the result is not.

    Notes
    -----
    Keeps nothing for the backward pass.
    """
    _check("bilinear_resize", x, height, width)
    taps = [bilinear_taps(*sizes, align_corners) for sizes in zip(x.shape[1:3], (height, width), strict=True)]
    return _resize("bilinear_resize", x, *taps, height=height, width=width, align_corners=align_corners)


def cubic_resize(x: Tensor, height: int, width: int) -> Tensor:
    r"""Resample images by cubic convolution.

    Parameters
    ----------
    x : Tensor of shape (N, H, W, C)
        Images.
    height, width : int
        New size in pixels, larger or smaller.

    Returns
    -------
    Tensor of shape (N, height, width, C)
        Pixels are squares, the outer edges of both grids coincide, and the border pixels are repeated.
        Overshoots an edge by up to 13 % of its height. Images are not smoothed before they are reduced.

    Raises
    ------
    ShapeError
        If `x` does not have four axes, or is empty and the result is not.

    Notes
    -----
    Keys' kernel [1]_ with :math:`a = -1/2`, four taps per axis. Keeps nothing for the backward pass.

    References
    ----------
    .. [1] R. G. Keys, "Cubic convolution interpolation for digital image processing", IEEE Transactions on
       Acoustics, Speech, and Signal Processing 29, 1981.
    """
    _check("cubic_resize", x, height, width)
    taps = cubic_taps(x.shape[1], height), cubic_taps(x.shape[2], width)
    return _resize("cubic_resize", x, *taps, height=height, width=width)


def repeat_cells(x: Tensor, spacing: int, height: int, width: int) -> Tensor:
    """Repeat each position over a square of pixels.

    Parameters
    ----------
    x : Tensor of shape (N, rows, columns, C)
        Values of the squares; not empty unless the result is.
    spacing : int
        Side of a square in pixels. The last row and column reach to the end of the image.
    height, width : int
        Size of the image in pixels: pixel i lies in the square ``min(i // spacing, rows - 1)``.

    Returns
    -------
    Tensor of shape (N, height, width, C)
        The values of the squares in which the pixels lie.

    Raises
    ------
    ShapeError
        If `x` does not have four axes, or is empty and the result is not.
    ValueError
        If `spacing` is below 1.

    Notes
    -----
    Keeps nothing for the backward pass.
    """
    _check("repeat_cells", x, height, width)
    if spacing < 1:
        raise ValueError(f"repeat_cells: spacing {spacing}, expected 1 or more")
    rows, columns = (
        [
            min(pixel // spacing, n - 1) for pixel in range(side)
        ]  # lists: arrays would have to be on the device
        for side, n in zip((height, width), x.shape[1:3], strict=True)
    )
    y = kernels.ascontiguousarray(x.data[:, rows][:, :, columns])

    def backward(grad_y: FloatArray) -> tuple[FloatArray]:
        total = _gathered(_gathered(grad_y, rows, x.shape[1]).swapaxes(1, 2), columns, x.shape[2])
        return (kernels.ascontiguousarray(total.swapaxes(1, 2)),)

    return record("repeat_cells", {"x": x}, y, backward, spacing=spacing, height=height, width=width)


def _gathered(grad: FloatArray, places: list[int], size: int) -> FloatArray:
    """Return the sums of the rows that show each of `size` rows, in their order."""
    total: FloatArray = kernels.zeros((grad.shape[0], size, *grad.shape[2:]), grad.dtype, like=grad)
    for row, place in enumerate(places):
        total[:, place] += grad[:, row]
    return total


def _check(op: str, x: Tensor, height: int, width: int) -> None:
    if x.data.ndim != 4:
        raise ShapeError(f"{op}: {x.shape}", expected="(N, H, W, C)")
    if height < 0 or width < 0 or (x.shape[1] == 0 and height) or (x.shape[2] == 0 and width):
        raise ShapeError(f"{op}: {x.shape[1]}x{x.shape[2]} to {height}x{width} pixels")


def _resize(op: str, x: Tensor, rows: Taps, columns: Taps, **attributes: int) -> Tensor:
    k = kernels.pick("resize", like=x.data)

    def backward(grad_y: FloatArray) -> tuple[FloatArray]:
        # the map is linear: its adjoint is the same kernel with both matrices transposed
        return (k.resample(grad_y, transposed(rows, x.shape[1]), transposed(columns, x.shape[2])),)

    return record(op, {"x": x}, k.resample(x.data, rows, columns), backward, **attributes)
