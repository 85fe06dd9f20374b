"""Sources of training examples: whole images and crops of them; patches would be another one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lstm2d.random import Purpose, generator

Labels = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Example:
    """The input of a training step.

    Parameters
    ----------
    x : ndarray of shape (N, H, W, C), float32
        Prepared images, usually one; or the output of the network's frozen layers for them.
    labels : ndarray of shape (N, H, W), int
        Class numbers, or those of subclasses; see `TrainingData.targets`.
    names : tuple of str
        The names of the examples, for messages.
    """

    x: NDArray[np.float32]
    labels: Labels
    names: tuple[str, ...]


class Source(Protocol):
    """The examples of an epoch, by number. A source may have any number of them for each image."""

    @property
    def repeats(self) -> bool:
        """Whether epochs repeat the same examples, perhaps mirrored: their features are worth keeping."""

    def __len__(self) -> int:
        """Return the number of examples in an epoch."""

    def example(self, number: int, epoch: int) -> Example:
        """Return one example.

        Parameters
        ----------
        number : int
            Number of the example, from 0.
        epoch : int
            Epoch of the run, from 0.

        Returns
        -------
        Example
            Depends on the arguments and the seed of the run alone, so that a resumed run sees the same.
        """

    def name(self, number: int) -> str:
        """Return the name of an example for messages, such as its image file."""

    def inputs(self) -> tuple[int, Iterator[NDArray[np.float32]]]:
        """List the network inputs that epochs repeat. Only called if `repeats`.

        Returns
        -------
        count : int
            Number of inputs.
        inputs : iterator of ndarray of shape (1, H, W, C), float32
            Each input once.
        """
        return 0, iter(())


def epoch_order(count: int, *, seed: int, epoch: int) -> NDArray[np.intp]:
    """Return the order of the examples in one epoch.

    Parameters
    ----------
    count : int
        Number of examples.
    seed : int
        Seed of the run.
    epoch : int
        Epoch of the run, from 0.

    Returns
    -------
    array of shape (count,), intp
        The number of each example once. Depends on the arguments alone, so that a resumed run has the same
        order.
    """
    return generator(seed, epoch, 0, Purpose.ORDER).permutation(count).astype(np.intp, copy=False)
