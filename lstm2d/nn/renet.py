"""The ReNet layer: recurrent sweeps over the columns, then over the rows of an image."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import DTypeLike

from lstm2d.nn import init
from lstm2d.nn.module import Module
from lstm2d.ops.rnn import gru_sweep, lstm_sweep, rnn_sweep
from lstm2d.ops.windows import window_gather
from lstm2d.tensor import FloatArray, Tensor

Unit = Literal["gru", "lstm", "tanh", "irnn"]
UNITS: tuple[Unit, ...] = get_args(Unit)
GATES: dict[Unit, int] = {"gru": 3, "lstm": 4, "tanh": 1, "irnn": 1}
FORGET = 1  # the LSTM's gates are i, f, g, o
COLUMNS, ROWS = 1, 2  # the axes that are swept


class Sweep(Module):
    """Two recurrent networks that sweep along one axis, one from each end.

    Parameters
    ----------
    in_channels : int
        Channels of the input.
    units : int
        Hidden units of each direction.
    axis : {1, 2}
        1 along columns (down, up), 2 along rows (right, left).
    unit : {"gru", "lstm", "tanh", "irnn"}, default "gru"
        "irnn" has rectified units whose recurrent matrix starts as the identity.
    forget_bias : float, default 0.0
        First bias of the LSTM's forget gates; all other biases start at 0.
    weight, recurrent : init.Draw
        Draw the input matrices and the recurrent matrices of each gate.
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
        axis: int,
        unit: Unit = "gru",
        forget_bias: float = 0.0,
        weight: init.Draw,
        recurrent: init.Draw,
        rng: np.random.Generator,
        dtype: DTypeLike = np.float32,
    ) -> None:
        gates = GATES[unit]

        def matrices(draw: init.Draw, inputs: int) -> Tensor:
            def by_gate(rng: np.random.Generator, shape: tuple[int, ...], *, dtype: DTypeLike) -> FloatArray:
                values = draw(rng, (2, gates, inputs, units), dtype=dtype).swapaxes(1, 2)
                return np.ascontiguousarray(values).reshape(shape)

            return init.parameter(by_gate, rng, (2, inputs, gates * units), dtype)

        def biases(rng: np.random.Generator, shape: tuple[int, ...], *, dtype: DTypeLike) -> FloatArray:
            values = np.zeros((2, gates, units), dtype)
            if unit == "lstm":
                values[:, FORGET] = forget_bias
            return values.reshape(shape)

        self.unit, self.axis = unit, axis
        self.weight = matrices(weight, in_channels)
        self.recurrent = matrices(init.identity_draw if unit == "irnn" else recurrent, units)
        self.bias = init.parameter(biases, rng, (2, gates * units), dtype)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the hidden states.

        Parameters
        ----------
        x : Tensor of shape (N, H, W, in_channels)
            Features.

        Returns
        -------
        Tensor of shape (N, H, W, 2 * units)
            Down and up, or right and left.
        """
        parameters = (self.weight, self.recurrent, self.bias)
        if self.unit == "gru":
            return gru_sweep(x, *parameters, axis=self.axis)
        if self.unit == "lstm":
            return lstm_sweep(x, *parameters, axis=self.axis)
        return rnn_sweep(x, *parameters, axis=self.axis, activation="relu" if self.unit == "irnn" else "tanh")


class ReNet(Module):
    """Sweep along the columns of an image's patches, then along the rows of the result [1]_.

    Parameters
    ----------
    in_channels : int
        Channels of the input.
    units : int
        Hidden units of each direction.
    patch : int, default 1
        Side of the non-overlapping patches of pixels; each patch is one step of a sweep.
    unit : {"gru", "lstm", "tanh", "irnn"}, default "gru"
        As for `Sweep`.
    forget_bias : float, default 0.0
        First bias of the LSTM's forget gates.
    weight, recurrent : init.Draw
        Draw the input matrices and the recurrent matrices of each gate.
    rng : numpy.random.Generator
        Where the values come from.
    dtype : dtype, default float32
        Data type of the parameters.

    References
    ----------
    .. [1] F. Visin, K. Kastner, K. Cho, M. Matteucci, A. Courville, Y. Bengio, "ReNet: A Recurrent Neural
       Network Based Alternative to Convolutional Networks", arXiv:1505.00393, 2015.
    """

    def __init__(
        self,
        in_channels: int,
        units: int,
        *,
        patch: int = 1,
        unit: Unit = "gru",
        forget_bias: float = 0.0,
        weight: init.Draw,
        recurrent: init.Draw,
        rng: np.random.Generator,
        dtype: DTypeLike = np.float32,
    ) -> None:
        def sweep(inputs: int, axis: int) -> Sweep:
            return Sweep(
                inputs,
                units,
                axis=axis,
                unit=unit,
                forget_bias=forget_bias,
                weight=weight,
                recurrent=recurrent,
                rng=rng,
                dtype=dtype,
            )

        self.patch = patch
        self.vertical = sweep(in_channels * patch**2, COLUMNS)
        self.horizontal = sweep(2 * units, ROWS)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the hidden states of the second sweep, which depend on the whole image.

        Parameters
        ----------
        x : Tensor of shape (N, H, W, in_channels)
            Features; H and W are multiples of `patch`.

        Returns
        -------
        Tensor of shape (N, H / patch, W / patch, 2 * units)
            Right and left.

        Raises
        ------
        ShapeError
            If the size does not fit.
        """
        return self.sweeps(x)[1]

    def sweeps(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the hidden states of both sweeps, the vertical and the horizontal one.

        Parameters
        ----------
        x : Tensor of shape (N, H, W, in_channels)
            Features; H and W are multiples of `patch`.

        Returns
        -------
        vertical, horizontal : Tensor of shape (N, H / patch, W / patch, 2 * units)
            The two directions of each, concatenated.
        """
        vertical = self.vertical(window_gather(x, self.patch) if self.patch > 1 else x)
        return vertical, self.horizontal(vertical)
