"""Class probabilities and losses on a GPU, or the stand-in, against the reference."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from lstm2d import kernels

IGNORE = 255


def tolerance(dtype: str) -> dict[str, float]:
    return {"rtol": 1e-5, "atol": 1e-6} if dtype == "float32" else {"rtol": 1e-11, "atol": 1e-13}


def both(cp: ModuleType, name: str, *args: Any) -> tuple[Any, Any]:
    """Return the results of a function on the device, copied to the host, and of the reference."""
    with kernels.use("_reference"):
        expected = getattr(kernels.pick("softmax", like=args[0]), name)(*args)
    device = [cp.asarray(a) if isinstance(a, np.ndarray) else a for a in args]
    got = getattr(kernels.pick("softmax", like=device[0]), name)(*device)
    if isinstance(got, tuple):
        return tuple(kernels.to_host(v) if kernels.is_array(v) else v for v in got), expected
    return kernels.to_host(got), expected


def test_nothing_is_hidden(cp: ModuleType) -> None:
    inf, nan = np.inf, np.nan
    bad = np.array([[[nan, 0, 0], [0, nan, 0], [0, 0, nan], [inf, 0, 0], [-inf, -inf, -inf]]])
    assert np.isnan(both(cp, "softmax_forward", bad)[0]).all()
    np.testing.assert_array_equal(
        both(cp, "softmax_forward", np.array([[[-inf, 0, -inf]]]))[0], [[[0, 1, 0]]]
    )
    for row in bad[0]:  # even if no target or weight refers to it
        scores = np.stack([np.zeros(3), row])[None]
        (total, _), _ = both(cp, "soft_cross_entropy_forward", scores, np.zeros((1, 2, 3)), np.zeros((1, 2)))
        assert np.isnan(total)
        labels = np.array([[0, IGNORE]])
        assert np.isnan(both(cp, "cross_entropy_forward", scores, labels, np.ones(3), IGNORE, False)[0][0])


def test_a_class_that_nobody_asks_for_costs_nothing(cp: ModuleType) -> None:
    scores = np.array([[[0.0, -np.inf, 0.0]]])
    soft = both(cp, "soft_cross_entropy_forward", scores, np.array([[[1.0, 0.0, 0.0]]]), np.ones((1, 1)))
    hard = both(cp, "cross_entropy_forward", scores, np.array([[0]]), np.ones(3), IGNORE, True)
    assert soft[0][0] == pytest.approx(np.log(2))
    assert hard[0][0] == pytest.approx(np.log(2))


@pytest.mark.parametrize("label", [3, -1, 254])
def test_a_wrong_label(cp: ModuleType, label: int) -> None:
    scores, labels = cp.zeros((1, 200, 3)), np.zeros((1, 200), np.int64)
    labels[0, 150] = label
    k = kernels.pick("softmax", like=scores)
    with pytest.raises(ValueError, match=r"outside \[0, 3\)"):
        k.cross_entropy_forward(scores, cp.asarray(labels), cp.zeros(3), IGNORE, True)


def test_any_value_can_be_ignored(cp: ModuleType) -> None:
    args = np.zeros((1, 3, 4)), np.array([[-1, 2, -1]]), np.ones(4), -1
    (total, mass, probability), _ = both(cp, "cross_entropy_forward", *args, True)
    assert (total, mass) == (pytest.approx(np.log(4)), 1)
    grad, _ = both(cp, "cross_entropy_backward", probability, *args[1:], 1.0)
    np.testing.assert_allclose(grad, [[[0] * 4, [0.25, 0.25, -0.75, 0.25], [0] * 4]])
