"""The 2D-LSTM layer with its parameters."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import DTypeLike

from lstm2d.nn import init
from lstm2d.nn.module import Module
from lstm2d.ops.lstm2d import lstm2d_layer
from lstm2d.tensor import FloatArray, Tensor

DIRECTIONS, GATES = 4, 5
FORGET = slice(1, 3)  # the gates x and y


class LSTM2D(Module):
    """Scan images with four 2D-LSTMs of separate weights, one from each corner.

    Parameters
    ----------
    in_channels : int
        Channels of the input.
    units : int
        Hidden units of each direction.
    peepholes : bool, default True
        Whether the gates see the cells.
    cell_scale : float, default 1.0
        Factor of both old cells in the new one.
    leaky : bool, default False
        Whether the new cell holds a weighted mean of the old ones instead of their sum.
    gate_clip : float, optional
        Bound of the error of every gate, as for `lstm2d.ops.lstm2d_layer`.
    forget_bias : tuple of float, default (0.0, 0.0)
        First bias of the forget gates x and y; all other biases and the peepholes start at 0. With 0 both
        gates start half open, so that without `leaky` a cell is as large as the mean of its old ones. With
        `leaky`, gate x is the share of the old cells that is kept and gate y that of the vertical one among
        them: (1.0, 0.0) keeps 73 %.
    draw : init.Draw, optional
        Draws weights and peepholes, and a deviation of each bias from its first value. By default the weights
        are drawn by `init.glorot_uniform` for each gate, and nothing is added to biases and peepholes.
    rng : numpy.random.Generator
        Where the values come from.
    dtype : dtype, default float32
        Data type of the parameters.
    """

    def __init__(
        self,
        in_channels: int,
        units: int,
        *,
        peepholes: bool = True,
        cell_scale: float = 1.0,
        leaky: bool = False,
        gate_clip: float | None = None,
        forget_bias: tuple[float, float] = (0.0, 0.0),
        draw: init.Draw | None = None,
        rng: np.random.Generator,
        dtype: DTypeLike = np.float32,
    ) -> None:
        def weights(inputs: int) -> Tensor:
            glorot = partial(init.glorot_uniform, fan_in=inputs, fan_out=units)
            return init.parameter(draw or glorot, rng, (DIRECTIONS, inputs, GATES * units), dtype)

        def biases(rng: np.random.Generator, shape: tuple[int, ...], *, dtype: DTypeLike) -> FloatArray:
            values = (draw or init.zeros)(rng, (DIRECTIONS, GATES, units), dtype=dtype)
            values[:, FORGET] += np.array(forget_bias, dtype)[:, None]
            return values.reshape(shape)

        self.weight = weights(in_channels)
        self.recurrent = weights(2 * units)
        self.bias = init.parameter(biases, rng, (DIRECTIONS, GATES * units), dtype)
        self.peepholes: Tensor | None = None
        if peepholes:
            self.peepholes = init.parameter(draw or init.zeros, rng, (DIRECTIONS, GATES, units), dtype)
        self.cell_scale, self.leaky, self.gate_clip = cell_scale, leaky, gate_clip

    def __call__(self, x: Tensor) -> Tensor:
        """Return the hidden states.

        Parameters
        ----------
        x : Tensor of shape (N, H, W, in_channels)
            Features.

        Returns
        -------
        Tensor of shape (N, H, W, 4 * units)
            Down-right, down-left, up-right, up-left.
        """
        return lstm2d_layer(
            x,
            self.weight,
            self.recurrent,
            self.bias,
            self.peepholes,
            cell_scale=self.cell_scale,
            leaky=self.leaky,
            gate_clip=self.gate_clip,
        )
