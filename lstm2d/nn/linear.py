"""A linear layer: one matrix and one bias for all positions."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import DTypeLike

from lstm2d.nn import init
from lstm2d.nn.renewable import Renewable
from lstm2d.ops.linear import linear
from lstm2d.tensor import Tensor


class Linear(Renewable):
    """Apply ``x @ weight + bias`` to the channels of every position.

    Parameters
    ----------
    in_features, out_features : int
        Channels before and after.
    bias : bool, default True
        Whether to add a bias.
    weight : init.Draw, optional
        Draws the first weights; by default `init.glorot_uniform`.
    first_bias : init.Draw, default init.zeros
        Draws the first bias.
    rng : numpy.random.Generator
        Where the values come from.
    dtype : dtype, default float32
        Data type of the parameters.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        weight: init.Draw | None = None,
        first_bias: init.Draw = init.zeros,
        rng: np.random.Generator,
        dtype: DTypeLike = np.float32,
    ) -> None:
        draw = weight or partial(init.glorot_uniform, fan_in=in_features, fan_out=out_features)
        self.weight = init.parameter(draw, rng, (in_features, out_features), dtype)
        self.bias = init.parameter(first_bias, rng, (out_features,), dtype) if bias else None
        self._new = partial(
            type(self), in_features, bias=bias, weight=weight, first_bias=first_bias, dtype=dtype
        )

    def __call__(self, x: Tensor) -> Tensor:
        """Return the products.

        Parameters
        ----------
        x : Tensor of shape (N, ..., in_features)
            Features.

        Returns
        -------
        Tensor of shape (N, ..., out_features)
            New features.
        """
        return linear(x, self.weight, self.bias)
