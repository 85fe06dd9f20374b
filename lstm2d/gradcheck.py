"""Compare gradients with finite differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lstm2d.tape import backward
from lstm2d.tensor import FloatArray, Tensor


def gradcheck(
    f: Callable[..., Tensor],
    *arrays: FloatArray,
    rng: np.random.Generator,
    eps: float = 1e-6,
    rtol: float = 1e-6,
    atol: float = 1e-8,
) -> None:
    """Check the gradient of `f` along a random direction of each input, and of all inputs together.

    The derivative of ``<f(x), g>`` along ``v``, by a central difference, is compared with ``<grad, v>``.

    Parameters
    ----------
    f : callable
        Takes one Tensor for each array, returns a Tensor.
    *arrays : ndarray of float64
        Inputs at which to check; they are not modified.
    rng : numpy.random.Generator
        Draws ``g`` and ``v``.
    eps : float, default 1e-6
        Half the step of the difference, in units of the inputs.
    rtol, atol : float
        Tolerances as in `numpy.testing.assert_allclose`.

    Raises
    ------
    TypeError
        If an array is not float64: differences in float32 are too inexact.
    AssertionError
        If a difference and the gradient disagree, or `f` modified an input.
    """
    if any(a.dtype != np.float64 for a in arrays):
        raise TypeError("gradcheck needs float64 inputs")
    leaves = [Tensor(a.copy(), requires_grad=True) for a in arrays]
    y = f(*leaves)
    g = rng.standard_normal(y.data.shape)
    backward(y, g)
    for leaf, a in zip(leaves, arrays, strict=True):
        np.testing.assert_array_equal(leaf.data, a, err_msg="an input was changed")
    directions = [rng.standard_normal(a.shape) for a in arrays]
    slopes = [
        0.0 if x.grad is None else float(np.sum(x.grad * v)) for x, v in zip(leaves, directions, strict=True)
    ]

    def numeric(moving: range) -> float:
        ends = []
        for step in (eps, -eps):
            moved = [
                Tensor(a + step * v if k in moving else a)
                for k, (a, v) in enumerate(zip(arrays, directions, strict=True))
            ]
            ends.append(f(*moved).data)
        return float(np.sum((ends[0] - ends[1]) * g)) / (2 * eps)

    n = len(arrays)
    for moving in [range(k, k + 1) for k in range(n)] + [range(n)]:
        np.testing.assert_allclose(
            sum(slopes[k] for k in moving), numeric(moving), rtol=rtol, atol=atol, err_msg=f"inputs {moving}"
        )
