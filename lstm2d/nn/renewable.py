"""Base class of layers that can be made anew with another number of outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from lstm2d.nn.module import Module


class Renewable(Module):
    """A layer whose constructor a subclass keeps in `_new`, with all arguments but outputs and `rng`."""

    _new: Callable[..., Any]

    def with_outputs(self, outputs: int, *, rng: np.random.Generator) -> Self:
        """Return a layer of the same kind with new values and another number of outputs.

        Parameters
        ----------
        outputs : int
            Channels after it.
        rng : numpy.random.Generator
            Draws the values, from the distributions of this layer.

        Returns
        -------
        Renewable
            The layer.
        """
        layer: Self = self._new(outputs, rng=rng)
        return layer
