"""Batch normalisation with its running statistics."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from lstm2d.nn.module import Module
from lstm2d.ops.norm import batch_norm
from lstm2d.tensor import Tensor


class BatchNorm(Module):
    """Normalise each channel to mean 0 and variance 1, without a learned scale and shift.

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
            If True, use the mean and variance of this batch and update the running ones; else use those.

        Returns
        -------
        Tensor of the shape of `x`
            Output of `lstm2d.ops.batch_norm`.
        """
        return batch_norm(x, self.mean, self.var, training=training)
