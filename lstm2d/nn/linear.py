"""One matrix and one bias for all positions."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from lstm2d.nn import init
from lstm2d.nn.module import Module
from lstm2d.ops.linear import linear
from lstm2d.tensor import Tensor


class Linear(Module):
    """Apply ``x @ weight + bias`` to the channels of every position.

    Parameters
    ----------
    in_features, out_features : int
        Channels before and after.
    bias : bool, default True
        Whether a bias is added. It starts at 0.
    weight : init.Draw, optional
        Draws the weights; `init.glorot_uniform` if left out.
    rng : numpy.random.Generator
        What it draws from.
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
        rng: np.random.Generator,
        dtype: DTypeLike = np.float32,
    ) -> None:
        shape = (in_features, out_features)
        if weight is None:
            values = init.glorot_uniform(rng, shape, fan_in=in_features, fan_out=out_features, dtype=dtype)
        else:
            values = weight(rng, shape, dtype=dtype)
        self.weight = Tensor(values, requires_grad=True)
        self.bias = Tensor(np.zeros(out_features, dtype), requires_grad=True) if bias else None

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
