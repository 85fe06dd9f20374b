"""A step as the networks see it: what its images are for, and dropout."""

from __future__ import annotations

from dataclasses import dataclass

from lstm2d.ops import dropout
from lstm2d.tensor import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a network knows about a step besides its images.

    Parameters
    ----------
    seed : int, default 0
        Seed of the run.
    epoch : int, default 0
        Epoch, from 0.
    samples : tuple of int, default ()
        The number of each image in the training set.
    training : bool, default False
        Whether the scores are for training: batch normalisation uses the statistics of these images.
    """

    seed: int = 0
    epoch: int = 0
    samples: tuple[int, ...] = ()
    training: bool = False


PREDICTION = Step()


def drop(z: Tensor, rate: float, step: Step, layer: int = 0) -> Tensor:
    """Set random values to 0 in training; see `lstm2d.ops.dropout`.

    Parameters
    ----------
    z : Tensor of shape (N, ...)
        Features of the images of the step.
    rate : float
        Probability that a value is set to 0, in [0, 1).
    step : Step
        What the images are for.
    layer : int, default 0
        Number of the dropout layer in the network.

    Returns
    -------
    Tensor of the shape of `z`
        In prediction `z` itself.
    """
    if not step.training or not rate:
        return z
    return dropout(z, rate, seed=step.seed, epoch=step.epoch, samples=step.samples, layer=layer)
