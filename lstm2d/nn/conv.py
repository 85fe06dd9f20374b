"""Convolution, transposed convolution and learned enlargement with their parameters."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import DTypeLike

from lstm2d.nn import init
from lstm2d.nn.module import Module
from lstm2d.nn.renewable import Renewable
from lstm2d.ops.conv import Activation, conv2d, conv_transpose2d
from lstm2d.ops.shape import reshape, transpose
from lstm2d.tensor import FloatArray, Tensor


class Conv2d(Renewable):
    """Convolve images with a bank of filters.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels before and after.
    kernel_size : int
        Side of the filters, in pixels.
    stride, padding, dilation : int
        As for `lstm2d.ops.conv2d`.
    activation : {"relu", "tanh"}, optional
        Applied to the result.
    weight : init.Draw, optional
        Draws the first filters; by default `init.glorot_uniform`. The bias starts at 0.
    rng : numpy.random.Generator
        Where the values come from.
    dtype : dtype, default float32
        Data type of the parameters.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        activation: Activation | None = None,
        weight: init.Draw | None = None,
        rng: np.random.Generator,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.weight = _filters(kernel_size, in_channels, out_channels, weight, rng, dtype)
        self.bias = init.parameter(init.zeros, rng, (out_channels,), dtype)
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self.activation = activation
        self._new = partial(
            type(self),
            in_channels,
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            activation=activation,
            weight=weight,
            dtype=dtype,
        )

    def __call__(self, x: Tensor) -> Tensor:
        """Return the convolved images.

        Parameters
        ----------
        x : Tensor of shape (N, H, W, in_channels)
            Images.

        Returns
        -------
        Tensor of shape (N, rows, columns, out_channels)
            Output of `lstm2d.ops.conv2d`.
        """
        return conv2d(
            x,
            self.weight,
            self.bias,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            activation=self.activation,
        )


class ConvTranspose2d(Renewable):
    """Spread every position over a window of a larger image.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels before and after.
    kernel_size : int
        Side of the windows, in pixels.
    stride, padding : int
        As for `lstm2d.ops.conv_transpose2d`.
    activation : {"relu", "tanh"}, optional
        Applied to the result.
    weight : init.Draw, optional
        Draws the first filters; by default `init.glorot_uniform`. The bias starts at 0.
    rng : numpy.random.Generator
        Where the values come from.
    dtype : dtype, default float32
        Data type of the parameters.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int = 0,
        activation: Activation | None = None,
        weight: init.Draw | None = None,
        rng: np.random.Generator,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.weight = _filters(kernel_size, in_channels, out_channels, weight, rng, dtype)
        self.bias = init.parameter(init.zeros, rng, (out_channels,), dtype)
        self.stride, self.padding = stride, padding
        self.activation = activation
        self._new = partial(
            type(self),
            in_channels,
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
            activation=activation,
            weight=weight,
            dtype=dtype,
        )

    def __call__(self, x: Tensor) -> Tensor:
        """Return the larger images.

        Parameters
        ----------
        x : Tensor of shape (N, H, W, in_channels)
            Images.

        Returns
        -------
        Tensor of shape (N, rows, columns, out_channels)
            Output of `lstm2d.ops.conv_transpose2d`.
        """
        return conv_transpose2d(
            x,
            self.weight,
            self.bias,
            stride=self.stride,
            padding=self.padding,
            activation=self.activation,
        )


class Upsample(Module):
    """Enlarge each channel by itself: a transposed convolution with one kernel for all channels.

    A linear map of the channels can therefore come before or after it, with the same result.

    Parameters
    ----------
    factor : int
        How many times as many rows and columns, even. The side of the kernel is twice as much.
    dtype : dtype, default float32
        Data type of the kernel, which starts as bilinear interpolation, `init.bilinear_kernel`.
    """

    def __init__(self, factor: int, *, dtype: DTypeLike = np.float32) -> None:
        self.factor = factor
        self.weight = init.parameter(
            _bilinear, np.random.default_rng(0), (2 * factor, 2 * factor, 1, 1), dtype
        )

    def __call__(self, x: Tensor) -> Tensor:
        """Return the enlarged images.

        Parameters
        ----------
        x : Tensor of shape (N, H, W, C)
            Images; beyond their edges are zeros.

        Returns
        -------
        Tensor of shape (N, factor * H, factor * W, C)
            The transposed convolution, without half a factor of pixels on each side.
        """
        n, rows, columns, channels = x.shape
        planes = reshape(transpose(x, (0, 3, 1, 2)), (n * channels, rows, columns, 1))
        y = conv_transpose2d(planes, self.weight, stride=self.factor, padding=self.factor // 2)
        return transpose(reshape(y, (n, channels, *y.shape[1:3])), (0, 2, 3, 1))


def _bilinear(rng: np.random.Generator, shape: tuple[int, ...], *, dtype: DTypeLike) -> FloatArray:
    """Return bilinear interpolation of one channel, without drawing anything."""
    return init.bilinear_kernel(shape[0], 1, dtype)


def _filters(
    kernel_size: int,
    inputs: int,
    outputs: int,
    draw: init.Draw | None,
    rng: np.random.Generator,
    dtype: DTypeLike,
) -> Tensor:
    taps = kernel_size**2
    draw = draw or partial(init.glorot_uniform, fan_in=taps * inputs, fan_out=taps * outputs)
    return init.parameter(draw, rng, (kernel_size, kernel_size, inputs, outputs), dtype)
