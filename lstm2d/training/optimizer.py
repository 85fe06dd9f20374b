"""Base of the optimizers: one vector of all weights, clipping, weight decay, groups and a running mean."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np

from lstm2d import kernels
from lstm2d.tensor import FloatArray, Tensor

Flat = FloatArray  # one axis
ALIGN = 16  # values; every parameter starts on a cache line of the common vector


@dataclass(frozen=True, slots=True)
class Group:
    """Training of a group of parameters.

    Parameters
    ----------
    rate : float, default 1.0
        Factor of the learning rate.
    frozen : bool, default False
        Whether they are not trained. They then have no gradient and do not count in its norm.
    """

    rate: float = 1.0
    frozen: bool = False


class Optimizer(ABC):
    r"""Update all parameters at once, in place.

    Parameters
    ----------
    parameters : mapping of str to Tensor
        Parameters of the same dtype and on the same device. Their arrays are replaced by views into one
        vector, with the biases at its end, so that a step takes one or two kernels.
    weight_decay : float, default 0.0
        Added to the gradient as ``weight_decay * parameter``, after the clipping; not for biases.
    clip_norm : float, default 0.0
        Largest Euclidean norm of the whole gradient; 0 for no limit.
    average : float, default 0.0
        Decay of the running mean of the weights, in [0, 1); 0 for none.
    groups : mapping of str to Group, optional
        Groups by name of a parameter or of a part of the network, see `belongs`. The longest matching name
        applies. `requires_grad` of frozen parameters becomes False.

    Attributes
    ----------
    weights, gradient : ndarray of shape (n,)
        The common vectors of the weights and of their gradients; unused places hold zeros.

    Raises
    ------
    ValueError
        If a group is empty.

    Notes
    -----
    The mean follows the weights with decay :math:`\min(d, (1 + t) / (10 + t))` after step :math:`t`, so that
    the first weights soon have little influence.
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        *,
        weight_decay: float = 0.0,
        clip_norm: float = 0.0,
        average: float = 0.0,
        groups: Mapping[str, Group] | None = None,
    ) -> None:
        self.parameters = dict(parameters)
        self.weight_decay, self.clip_norm, self.average = weight_decay, clip_norm, average
        self._places: dict[str, tuple[int, int]] = {}
        size = 0
        for name in sorted(self.parameters, key=is_bias):
            values = self.parameters[name].data.size
            self._places[name] = (size, size + values)
            size += _aligned(values)
        biases = min((start for name, (start, _) in self._places.items() if is_bias(name)), default=size)
        parts = [(slice(0, biases), weight_decay), (slice(biases, size), 0.0)]
        if not weight_decay:
            parts = [(slice(0, size), 0.0)]
        # consecutive parts of the vector, each with its weight decay
        self._parts = [(part, decay) for part, decay in parts if part.stop > part.start]
        first = next(iter(self.parameters.values())).data
        self._kernels = kernels.pick("update", like=first)
        self.weights = kernels.zeros((size,), first.dtype, like=first)
        self.gradient = kernels.zeros((size,), first.dtype, like=first)
        for name, parameter in self.parameters.items():
            view = self._view(self.weights, name)
            view[...] = parameter.data
            parameter.data = view
        self._gradients = {name: self._view(self.gradient, name) for name in self.parameters}
        self._matrices: dict[str, FloatArray] = {}
        self._mean = self.weights.copy() if average else None
        self._frozen: list[str] = []
        self._rates: Flat | None = None  # factors of the learning rate, one per weight; None if all are 1
        self._set_groups(groups or {})

    def _set_groups(self, groups: Mapping[str, Group]) -> None:
        used = {_longest(name, groups) for name in self.parameters}
        if empty := [key for key in groups if key not in used]:
            raise ValueError(f"no parameter is called, or belongs to, {', '.join(empty)}")
        for name in self.parameters:
            group = group_of(name, groups)
            if group.frozen:
                self._frozen.append(name)
                self.parameters[name].requires_grad = False
            if (rate := 0.0 if group.frozen else group.rate) != 1:
                if self._rates is None:
                    self._rates = self._memory_vector()
                    self._rates[...] = 1
                self._view(self._rates, name)[...] = rate

    def whiten(self, matrices: Mapping[str, FloatArray]) -> None:
        """Multiply gradients by matrices from now on, before anything else.

        Parameters
        ----------
        matrices : mapping of str to ndarray of shape (n, n)
            By name of a parameter with n rows, all axes but its last one.
        """
        dtype, device = self.weights.dtype, kernels.device_of(self.weights)
        for name, matrix in matrices.items():
            self._matrices[name] = kernels.to_device(matrix.astype(dtype), device)

    def zero_grad(self) -> None:
        """Clear the gradients of the last step."""
        for parameter in self.parameters.values():
            parameter.grad = None

    def gather(self, total: Flat, *, add: bool) -> None:
        """Write the `grad` of all parameters into a vector, or add it.

        Parameters
        ----------
        total : ndarray of shape (n,)
            Of the size of `gradient`, in the same order.
        add : bool
            Whether to add; if not, every value is overwritten.
        """
        for name, parameter in self.parameters.items():
            start, stop = self._places[name]
            view = self._view(total, name)
            none = parameter.grad is None or name in self._frozen
            grad: Any = 0.0 if none else parameter.grad
            if add:
                view += grad  # adding zero turns a negative zero into a positive one
            else:
                view[...] = grad
                total[stop : start + _aligned(stop - start)] = 0.0

    def spread(self) -> None:
        """Let the `grad` of all parameters be the views of `gradient`."""
        for name, parameter in self.parameters.items():
            parameter.grad = self._gradients[name]

    def gradient_norm(self) -> float:
        """Gather the gradients in `gradient`, whiten them, and return their common Euclidean norm.

        Returns
        -------
        float
            Summed in float64 in a fixed order. NaN or infinity if a gradient is not finite.
        """
        if any(parameter.grad is not self._gradients[name] for name, parameter in self.parameters.items()):
            self.gather(self.gradient, add=False)
        for name, matrix in self._matrices.items():
            view = self._gradients[name]
            multiply = kernels.pick("linear", like=view).linear_forward
            product = multiply(matrix[np.newaxis], view.reshape(len(matrix), -1), None)
            view[...] = product.reshape(view.shape)
        return float(self._kernels.gradient_norm(self.gradient))

    def step(self, learning_rate: float, norm: float, time: int) -> None:
        """Update the weights with the gradients that `gradient_norm` gathered.

        Parameters
        ----------
        learning_rate : float
            Rate of this step.
        norm : float
            Output of `gradient_norm`.
        time : int
            Steps done before this one.
        """
        clip = self.clip_norm / norm if self.clip_norm and norm > self.clip_norm else 1.0
        decay = min(self.average, (1 + time) / (10 + time))
        for part, weight_decay in self._parts:
            self._update(part, learning_rate, clip, weight_decay, decay)

    @abstractmethod
    def _update(
        self, part: slice, learning_rate: float, clip: float, weight_decay: float, decay: float
    ) -> None:
        """Update a part of the weights and of their mean; `decay` is that of the mean."""

    def _mean_and_rates(self, part: slice) -> tuple[Flat | None, Flat | None]:
        """Return a part of the running mean and of the factors of the rate, where they exist."""
        mean, rates = self._mean, self._rates
        return None if mean is None else mean[part], None if rates is None else rates[part]

    @abstractmethod
    def _memory(self) -> dict[str, Flat]:
        """Return the vectors that the next step depends on besides the weights, by name."""

    def not_finite(self) -> list[str]:
        """Return the names of the parameters whose gradient is not finite."""
        finite = self._kernels.is_finite
        return [name for name in self.parameters if not finite(self._view(self.gradient, name))]

    def is_finite(self) -> bool:
        """Return whether the weights and the state for the next step are finite.

        A finite gradient times a large rate can still overflow, and so can its square.
        """
        return all(self._kernels.is_finite(vector) for vector in self._vectors().values())

    def largest_weight(self) -> tuple[str, float]:
        """Return the parameter with the largest absolute value, and that value."""
        return max(((name, self._extent(self.weights, name)) for name in self.parameters), key=itemgetter(1))

    def largest_gradient(self) -> str:
        """Return the parameter with the largest absolute value in its gradient."""
        return max(self.parameters, key=lambda name: self._extent(self.gradient, name))

    def _extent(self, vector: Flat, name: str) -> float:
        """Return the largest absolute value of a parameter, or of its gradient."""
        view = self._view(vector, name)
        return max(float(view.max()), -float(view.min())) if view.size else 0.0

    def swap_average(self) -> None:
        """Exchange the weights with their running mean, if there is one; a second call undoes it."""
        if self._mean is not None:
            weights = self.weights.copy()
            self.weights[...] = self._mean
            self._mean[...] = weights

    def state_dict(self) -> dict[str, Flat]:
        """Return the state: weights, optimizer memory and running mean of each parameter.

        Returns
        -------
        dict of str to ndarray
            Copies on the host, named "weight.NAME", "average.NAME" and, for SGD, "velocity.NAME", for
            Adadelta "square.NAME" and "change.NAME".
        """
        return {
            f"{kind}.{name}": kernels.to_host(self._view(vector, name).copy())
            for kind, vector in self._vectors().items()
            for name in self.parameters
        }

    def load_state_dict(self, state: Mapping[str, Flat]) -> None:
        """Load the output of `state_dict`.

        Parameters
        ----------
        state : mapping of str to ndarray
            Arrays with the names and shapes of `state_dict`. A running mean is ignored if none is kept; if
            `state` has none, it starts at the weights.

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
                kernels.copy_into(view, state[source])

    def _memory_vector(self) -> Flat:
        """Return zeros, one for each weight."""
        vector: Flat = kernels.zeros(self.weights.shape, self.weights.dtype, like=self.weights)
        return vector

    def _vectors(self) -> dict[str, Flat]:
        vectors = {"weight": self.weights} | self._memory()
        return vectors if self._mean is None else vectors | {"average": self._mean}

    def _view(self, vector: Flat, name: str) -> Flat:
        start, stop = self._places[name]
        return vector[start:stop].reshape(self.parameters[name].data.shape)


def _aligned(values: int) -> int:
    """Return the room of a parameter of that many values in the common vector."""
    return -(-values // ALIGN) * ALIGN


def belongs(name: str, part: str) -> bool:
    """Return whether a parameter is, or belongs to, a part of the network.

    Parameters
    ----------
    name : str
        Name of a parameter, such as "backbone.conv1_2.weight".
    part : str
        Consecutive steps of that path: "backbone", "conv1_2", "conv1_2.weight". A block
        is named without the numbers of its layers: "conv1".

    Returns
    -------
    bool
        Whether the parameter belongs to the part.
    """
    return re.search(rf"(?:^|\.){re.escape(part)}(?:_\d+)?(?:\.|$)", name) is not None


def is_bias(name: str) -> bool:
    """Return whether a parameter is a bias, on which no weight decay acts."""
    return name.rpartition(".")[2] == "bias"


def group_of(name: str, groups: Mapping[str, Group]) -> Group:
    """Return the group of a parameter: that of the longest name it belongs to, or the default group."""
    key = _longest(name, groups)
    return Group() if key is None else groups[key]


def is_frozen(name: str, groups: Mapping[str, Group]) -> bool:
    """Return whether a parameter is frozen."""
    return group_of(name, groups).frozen


def _longest(name: str, groups: Mapping[str, Group]) -> str | None:
    """Return the longest key that a parameter belongs to."""
    return max((key for key in groups if belongs(name, key)), key=len, default=None)
