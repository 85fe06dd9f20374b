"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from collections.abc import Mapping

from lstm2d.tensor import Tensor
from lstm2d.training.optimizer import Flat, Group, Optimizer


class SGD(Optimizer):
    r"""Update all parameters at once, in place, along the gradient.

    Parameters
    ----------
    parameters : mapping of str to Tensor
        As for `Optimizer`.
    momentum : float, default 0.9
        In [0, 1).
    weight_decay, clip_norm, average : float
        As for `Optimizer`.
    groups : mapping of str to Group, optional
        As for `Optimizer`.

    Notes
    -----
    With gradient :math:`g`, scaled down to `clip_norm` where it is longer, and learning rate :math:`\eta`:

    .. math:: v \leftarrow \mu v - \eta (g + \lambda w), \quad w \leftarrow w + v

    as in RNNLIB and the 2D-LSTM paper (the rate is part of the velocity). :math:`\lambda` is 0 for biases.
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        *,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        clip_norm: float = 0.0,
        average: float = 0.0,
        groups: Mapping[str, Group] | None = None,
    ) -> None:
        super().__init__(
            parameters, weight_decay=weight_decay, clip_norm=clip_norm, average=average, groups=groups
        )
        self.momentum = momentum
        self._velocity = self._memory_vector()

    def _update(
        self, part: slice, learning_rate: float, clip: float, weight_decay: float, decay: float
    ) -> None:
        mean, rates = self._mean_and_rates(part)
        self._kernels.sgd_step(
            self.weights[part],
            self.gradient[part],
            self._velocity[part],
            mean,
            rates,
            learning_rate,
            clip,
            weight_decay,
            self.momentum,
            decay,
        )

    def _memory(self) -> dict[str, Flat]:
        return {"velocity": self._velocity}
