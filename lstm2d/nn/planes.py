"""A convolution of score planes and an image."""

from __future__ import annotations

from functools import partial
from math import sqrt

import numpy as np
from numpy.typing import DTypeLike

from lstm2d.nn import init
from lstm2d.nn.module import Module
from lstm2d.ops.conv import conv2d
from lstm2d.ops.elementwise import add
from lstm2d.tensor import Tensor


class PlanesAndImage(Module):
    """The convolution of an instance's input: the score planes of the instance before, and the image.

    Parameters
    ----------
    planes : int
        Number of score planes; 0 for the image alone.
    channels, out_channels : int
        Channels of the image; filters.
    kernel_size : int
        Side of the filters.
    rng : numpy.random.Generator
        Draws the filters, uniform in +-1 / sqrt(fan in).
    dtype : dtype
        Data type of the parameters.
    """

    def __init__(
        self,
        planes: int,
        channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        rng: np.random.Generator,
        dtype: DTypeLike,
    ) -> None:
        even = uniform_draw(kernel_size, planes + channels)
        shape = (kernel_size, kernel_size)
        self.image = init.parameter(even, rng, (*shape, channels, out_channels), dtype)
        self.planes: Tensor | None = None
        if planes:
            self.planes = init.parameter(even, rng, (*shape, planes, out_channels), dtype)
        self.bias = init.parameter(init.zeros, rng, (out_channels,), dtype)

    def __call__(self, image: Tensor, planes: Tensor | None, dilation: int) -> Tensor:
        """Return the convolution; planes that are None are zero."""
        y = conv2d(image, self.image, self.bias, dilation=dilation)
        if planes is None or self.planes is None:
            return y
        return add(y, conv2d(planes, self.planes, dilation=dilation))


def uniform_draw(kernel_size: int, channels: int) -> init.Draw:
    """Return the draw of filters, uniform in +-1 / sqrt(fan in)."""
    return partial(init.uniform, limit=1 / sqrt(kernel_size**2 * channels))
