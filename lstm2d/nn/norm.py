"""Batch normalisation with its running statistics."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from lstm2d.nn.module import Module
from lstm2d.ops.norm import batch_norm
from lstm2d.tensor import Tensor


class BatchNorm(Module):
    """Bring each channel to mean 0 and variance 1, without a scale and a shift that are learnt.

    Parameters
    ----------
    channels : int
        Channels of the features.
    dtype : dtype, default float32
        Data type of the running mean and variance, which start at 0 and 1.
    """

    def __init__(self, channels: int, *, dtype: DTypeLike = np.float32) -> None:
        self.mean, self.var = np.zeros(channels, dtype), np.ones(channels, dtype)

    def __call__(self, x: Tensor, *, training: bool) -> Tensor:
        """Return the normalised features.

        Parameters
        ----------
        x : Tensor of shape (N, H, W, channels)
            Features.
        training : bool
            True: with mean and variance of this batch, which also enter the running ones. False: with those.

        Returns
        -------
        Tensor of the shape of `x`
            As `lstm2d.ops.batch_norm` gives it.
        """
        return batch_norm(x, self.mean, self.var, training=training)
