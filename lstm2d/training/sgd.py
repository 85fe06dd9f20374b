"""Stochastic gradient descent with momentum, weight decay, clipping and a running mean of the weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.tensor import Tensor

Flat = NDArray[np.floating[Any]]
ALIGN = 16  # values; every parameter starts on a cache line of the common vector


class SGD:
    r"""Changes all parameters at once, in place.

    Parameters
    ----------
    parameters : mapping of str to Tensor
        All of one dtype. Their arrays are replaced by views into one vector, so that a step is a handful of
        operations whatever the number of parameters.
    momentum : float, default 0.9
        In [0, 1).
    weight_decay : float, default 0.0
        Added to the gradient as ``weight_decay * parameter``, after the clipping.
    clip_norm : float, default 0.0
        Largest Euclidean norm of the whole gradient; 0 is no limit.
    average : float, default 0.0
        Decay of the running mean of the weights, in [0, 1); 0 keeps none.

    Notes
    -----
    With gradient :math:`g`, scaled down to `clip_norm` where it is longer, and learning rate :math:`\eta`:

    .. math:: v \leftarrow \mu v - \eta (g + \lambda w), \quad w \leftarrow w + v

    as RNNLIB and the 2D-LSTM paper have it (the rate inside the velocity). The mean follows with decay
    :math:`\min(d, (1 + t) / (10 + t))` after step :math:`t`, so that the first weights are forgotten soon.
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        *,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        clip_norm: float = 0.0,
        average: float = 0.0,
    ) -> None:
        self.parameters = dict(parameters)
        self.momentum, self.weight_decay, self.clip_norm, self.average = (
            momentum,
            weight_decay,
            clip_norm,
            average,
        )
        self._places: dict[str, tuple[int, int]] = {}
        size = 0
        for name, parameter in self.parameters.items():
            self._places[name] = (size, size + parameter.data.size)
            size += -(-parameter.data.size // ALIGN) * ALIGN
        dtype = next(iter(self.parameters.values())).data.dtype
        self._weights = np.zeros(size, dtype)
        self._gradient = np.zeros(size, dtype)
        self._velocity = np.zeros(size, dtype)
        self._scratch = np.zeros(size, np.float64)  # squares of float32 gradients overflow float32
        for name, parameter in self.parameters.items():
            view = self._view(self._weights, name)
            view[...] = parameter.data
            parameter.data = view
        self._mean = self._weights.copy() if average else None

    def zero_grad(self) -> None:
        """Forget the gradients of the last step."""
        for parameter in self.parameters.values():
            parameter.grad = None

    def gradient_norm(self) -> float:
        """Gather the gradients and return their common Euclidean norm.

        Returns
        -------
        float
            Summed in float64 in a fixed order. NaN or infinity if a gradient is not finite.
        """
        for name, parameter in self.parameters.items():
            self._view(self._gradient, name)[...] = 0.0 if parameter.grad is None else parameter.grad
        with np.errstate(over="ignore"):  # infinity is an answer
            np.square(self._gradient, out=self._scratch, dtype=np.float64)
            return float(np.sqrt(self._scratch.sum()))

    def step(self, learning_rate: float, norm: float, time: int) -> None:
        """Change the weights with the gradients that `gradient_norm` gathered.

        Parameters
        ----------
        learning_rate : float
            Rate of this step.
        norm : float
            What `gradient_norm` returned.
        time : int
            Steps done before this one.
        """
        gradient = self._gradient
        if self.clip_norm and norm > self.clip_norm:
            gradient *= self.clip_norm / norm
        if self.weight_decay:
            gradient += self.weight_decay * self._weights
        with np.errstate(over="ignore", invalid="ignore"):  # `is_finite` tells
            gradient *= learning_rate
            self._velocity *= self.momentum
            self._velocity -= gradient
            self._weights += self._velocity
        if self._mean is not None:
            decay = min(self.average, (1 + time) / (10 + time))
            np.subtract(self._weights, self._mean, out=gradient)
            gradient *= 1.0 - decay
            self._mean += gradient

    def not_finite(self) -> list[str]:
        """Return the names of the parameters whose gradient is not finite."""
        return [name for name in self.parameters if not np.isfinite(self._view(self._gradient, name)).all()]

    def is_finite(self) -> bool:
        """Tell whether all weights are finite: a finite gradient times a large rate can still overflow."""
        return bool(np.isfinite(self._weights).all())

    def swap_average(self) -> None:
        """Exchange the weights with their running mean, if there is one; twice is as if never."""
        if self._mean is not None:
            self._scratch[:] = self._weights  # float64 holds both dtypes exactly
            self._weights[:] = self._mean
            self._mean[:] = self._scratch

    def state_dict(self) -> dict[str, Flat]:
        """Return all that the next step depends on: weights, velocity and running mean, each by parameter.

        Returns
        -------
        dict of str to ndarray
            Copies, named "weight.NAME", "velocity.NAME" and "average.NAME".
        """
        return {
            f"{kind}.{name}": self._view(vector, name).copy()
            for kind, vector in self._vectors().items()
            for name in self.parameters
        }

    def load_state_dict(self, state: Mapping[str, Flat]) -> None:
        """Take over what `state_dict` returned.

        Parameters
        ----------
        state : mapping of str to ndarray
            Names and shapes as `state_dict` has them. A running mean is left out where none is kept, and
            starts at the weights where `state` has none.

        Raises
        ------
        KeyError
            If a name is missing.
        ValueError
            If a shape does not fit.
        """
        for kind, vector in self._vectors().items():
            for name in self.parameters:
                source = f"{kind}.{name}"
                if kind == "average" and source not in state:
                    source = f"weight.{name}"
                view = self._view(vector, name)
                if state[source].shape != view.shape:
                    raise ValueError(f"{source} has shape {state[source].shape}, expected {view.shape}")
                view[...] = state[source]

    def _vectors(self) -> dict[str, Flat]:
        vectors = {"weight": self._weights, "velocity": self._velocity}
        return vectors if self._mean is None else vectors | {"average": self._mean}

    def _view(self, vector: Flat, name: str) -> Flat:
        start, stop = self._places[name]
        return vector[start:stop].reshape(self.parameters[name].data.shape)
