"""Dropout."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from lstm2d import kernels
from lstm2d.errors import ShapeError
from lstm2d.random import Purpose, generator
from lstm2d.tape import record
from lstm2d.tensor import FloatArray, Tensor

WORD = 2**32


def dropout(
    x: Tensor,
    rate: float,
    *,
    seed: int,
    epoch: int,
    samples: Sequence[int],
    layer: int = 0,
    training: bool = True,
) -> Tensor:
    r"""Set random values to 0 and scale the others so that the expected value is unchanged [1]_.

    Parameters
    ----------
    x : Tensor of shape (N, ...)
        Features of N images.
    rate : float
        Probability that a value is set to 0, in [0, 1).
    seed, epoch : int
        Seed of the run, and epoch.
    samples : sequence of int
        Number of each image in the training set. The mask of an image depends only on `seed`, `epoch`, this
        number and `layer`: not on the rest of the batch, earlier draws or threads.
    layer : int, default 0
        Number of the dropout layer in the network; each has its own masks.
    training : bool, default True
        If False, `x` is returned unchanged.

    Returns
    -------
    Tensor of the shape of `x`
        Each value times 0, or times 1 / (1 - rate).

    Raises
    ------
    ShapeError
        If the number of samples is not the number of images.
    ValueError
        If `rate` is out of range.

    Notes
    -----
    Masks are drawn with Philox, 32 bits per value. NaN times 0 is NaN. Keeps the mask for the backward pass,
    one byte per value.

    References
    ----------
    .. [1] N. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15,
       2014.
    """
    if not 0 <= rate < 1:
        raise ValueError(f"dropout: rate {rate}, expected 0 or more, below 1")
    if x.data.ndim == 0 or len(samples) != x.shape[0]:
        raise ShapeError(f"dropout: {len(samples)} sample numbers for x {x.shape}", expected="one per image")
    if not training or rate == 0:
        return x
    limit = round(rate * WORD)
    drawn = np.empty(x.shape, np.bool_)  # on the host: the masks are the same on every device
    for image, sample in zip(drawn.reshape(len(drawn), prod(x.shape[1:])), samples, strict=True):
        rng = generator(seed, epoch, sample, Purpose.DROPOUT, layer)
        words = rng.bit_generator.random_raw((image.size + 1) // 2).view("<u4")
        np.greater_equal(words[: image.size], limit, out=image)
    kept = kernels.to_device(drawn, kernels.device_of(x.data))
    factor = x.data.dtype.type(1 / (1 - rate))

    def apply(values: FloatArray) -> FloatArray:
        y: FloatArray = values * kept
        y *= factor
        return y

    def backward(grad_y: FloatArray) -> tuple[FloatArray]:
        return (apply(grad_y),)

    return record(
        "dropout",
        {"x": x},
        apply(x.data),
        backward,
        rate=rate,
        seed=seed,
        epoch=epoch,
        samples=tuple(map(int, samples)),
        layer=layer,
        training=training,
    )
