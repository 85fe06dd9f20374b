"""The order in which an epoch visits the images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lstm2d.random import Purpose, generator


def epoch_order(count: int, *, seed: int, epoch: int) -> NDArray[np.intp]:
    """Return the order of one epoch.

    Parameters
    ----------
    count : int
        Number of images.
    seed : int
        Seed of the run.
    epoch : int
        Epoch, 0 or more.

    Returns
    -------
    array of shape (count,), intp
        Each image's number once. Depends on the arguments alone, so that a resumed run goes on in the same
        order.
    """
    return generator(seed, epoch, 0, Purpose.ORDER).permutation(count).astype(np.intp, copy=False)
