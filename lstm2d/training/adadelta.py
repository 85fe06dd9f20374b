"""Adadelta: step sizes from the running means of gradients and of steps."""

from __future__ import annotations

from collections.abc import Mapping

from lstm2d.tensor import Tensor
from lstm2d.training.optimizer import Flat, Group, Optimizer


class Adadelta(Optimizer):
    r"""Update all parameters at once, in place, each with its own rate [1]_.

    Parameters
    ----------
    parameters : mapping of str to Tensor
        As for `Optimizer`.
    rho : float, default 0.95
        Decay of both running means, in [0, 1).
    eps : float, default 1e-6
        Added to both; above 0. It determines the size of the first steps.
    weight_decay, clip_norm, average : float
        As for `Optimizer`.
    groups : mapping of str to Group, optional
        As for `Optimizer`.

    Notes
    -----
    With gradient :math:`g`, scaled down to `clip_norm` if it is longer and with the weight decay added
    (except for biases), and learning rate :math:`\eta` (1 in the paper, which has none):

    .. math::

        s &\leftarrow \rho s + (1 - \rho) g^2 \\
        c &= g \sqrt{d + \epsilon} / \sqrt{s + \epsilon} \\
        d &\leftarrow \rho d + (1 - \rho) c^2 \\
        w &\leftarrow w - \eta c

    References
    ----------
    .. [1] M. Zeiler, "ADADELTA: an adaptive learning rate method", 2012.
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        *,
        rho: float = 0.95,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        clip_norm: float = 0.0,
        average: float = 0.0,
        groups: Mapping[str, Group] | None = None,
    ) -> None:
        super().__init__(
            parameters, weight_decay=weight_decay, clip_norm=clip_norm, average=average, groups=groups
        )
        self.rho, self.eps = rho, eps
        self._square, self._change = self._memory_vector(), self._memory_vector()

    def _update(
        self, part: slice, learning_rate: float, clip: float, weight_decay: float, decay: float
    ) -> None:
        mean, rates = self._mean_and_rates(part)
        self._kernels.adadelta_step(
            self.weights[part],
            self.gradient[part],
            self._square[part],
            self._change[part],
            mean,
            rates,
            learning_rate,
            clip,
            weight_decay,
            self.rho,
            self.eps,
            decay,
        )

    def _memory(self) -> dict[str, Flat]:
        return {"square": self._square, "change": self._change}
