"""Prediction of one pixel in q x q, for networks that label the middles of patches."""

from __future__ import annotations

from collections.abc import Sequence

from lstm2d.errors import ConfigError
from lstm2d.ops import crop, repeat_cells
from lstm2d.tensor import Tensor


def from_first_cell(x: Tensor, spacing: int, *, padding: int, unused: int = 0) -> Tensor:
    """Leave out the rows and columns before the patch of the first pixel that is computed.

    Parameters
    ----------
    x : Tensor of shape (N, H', W', channels)
        Images with zeros on each side.
    spacing : int
        Computed are the pixels ``spacing * i + spacing // 2``, or the last one of a side that is smaller.
    padding : int
        Number of zeros on each side.
    unused : int, default 0
        How many of them no patch sees, on each side.

    Returns
    -------
    Tensor of shape (N, rows, columns, channels)
        A rectangle of `x`.
    """
    top, left = (unused + min(spacing // 2, side - 2 * padding - 1) for side in x.shape[1:3])
    height, width = (x.shape[1] - unused - top, x.shape[2] - unused - left)
    return crop(x, top=top, left=left, height=height, width=width)


def at_every_pixel(cells: Tensor, spacing: int, padded: Sequence[int], padding: int) -> Tensor:
    """Return the values of the nearest computed pixel for every pixel.

    Parameters
    ----------
    cells : Tensor of shape (N, rows, columns, C)
        Values of the computed pixels.
    spacing : int
        As for `from_first_cell`.
    padded : sequence of int
        Rows and columns of the padded image, H + 2 * padding and W + 2 * padding.
    padding : int
        As for `from_first_cell`.

    Returns
    -------
    Tensor of shape (N, H, W, C)
        Of two that are equally near, the lower or right one counts.
    """
    height, width = (side - 2 * padding for side in padded)
    return cells if spacing == 1 else repeat_cells(cells, spacing, height, width)


def check_resolution(resolution: int, stride: int, *, network: str, source: object) -> None:
    """Check that a network can compute one pixel in `resolution` x `resolution`.

    Parameters
    ----------
    resolution : int
        Requested by the user.
    stride : int
        Pixels between the patches of neighbouring scores, a power of two.
    network : str
        What has this stride, for the message.
    source : object
        The model's file, for the message.

    Raises
    ------
    ConfigError
        If it is no divisor of the stride.
    """
    allowed = [2**power for power in range(stride.bit_length())]
    if resolution not in allowed:
        raise ConfigError(
            f"`resolution`: 1/{resolution}",
            where=source,
            expected=", ".join("1" if q == 1 else f"1/{q}" for q in allowed),
            hint=f"{network} has a stride of {stride} pixels; choose one of these",
        )
