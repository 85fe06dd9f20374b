"""Class probabilities and losses on a GPU, or the stand-in, against the reference."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from lstm2d import kernels

SHAPES = [(1, 1, 1), (2, 7, 5), (1, 300, 3), (3, 61, 33), (0, 4, 3), (2, 0, 3)]
IGNORE = 255
TYPES = ["float32", "float64"]


def tolerance(dtype: str) -> dict[str, float]:
    return {"rtol": 1e-5, "atol": 1e-6} if dtype == "float32" else {"rtol": 1e-11, "atol": 1e-13}


def both(cp: ModuleType, name: str, *args: Any) -> tuple[Any, Any]:
    """Return what a function gives on the device, brought to the host, and what the reference gives."""
    with kernels.use("_reference"):
        expected = getattr(kernels.pick("softmax", like=args[0]), name)(*args)
    device = [cp.asarray(a) if isinstance(a, np.ndarray) else a for a in args]
    got = getattr(kernels.pick("softmax", like=device[0]), name)(*device)
    if isinstance(got, tuple):
        return tuple(kernels.to_host(v) if kernels.is_array(v) else v for v in got), expected
    return kernels.to_host(got), expected


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_softmax(cp: ModuleType, rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> None:
    x, grad_y = (5 * rng.standard_normal((2, *shape))).astype(dtype)
    y, expected = both(cp, "softmax_forward", x)
    np.testing.assert_allclose(y, expected, **tolerance(dtype))
    grad_x, expected = both(cp, "softmax_backward", y, grad_y)
    np.testing.assert_allclose(grad_x, expected, **tolerance(dtype))


def test_nothing_is_hidden(cp: ModuleType) -> None:
    inf, nan = np.inf, np.nan
    bad = np.array([[[nan, 0, 0], [0, nan, 0], [0, 0, nan], [inf, 0, 0], [-inf, -inf, -inf]]])
    assert np.isnan(both(cp, "softmax_forward", bad)[0]).all()
    np.testing.assert_array_equal(
        both(cp, "softmax_forward", np.array([[[-inf, 0, -inf]]]))[0], [[[0, 1, 0]]]
    )
    for row in bad[0]:  # also where no target and no weight looks at it
        scores = np.stack([np.zeros(3), row])[None]
        (total, _), _ = both(cp, "soft_cross_entropy_forward", scores, np.zeros((1, 2, 3)), np.zeros((1, 2)))
        assert np.isnan(total)
        labels = np.array([[0, IGNORE]])
        assert np.isnan(both(cp, "cross_entropy_forward", scores, labels, np.ones(3), IGNORE, False)[0][0])


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_soft_cross_entropy(
    cp: ModuleType, rng: np.random.Generator, shape: tuple[int, ...], dtype: str
) -> None:
    scores = (5 * rng.standard_normal(shape)).astype(dtype)
    targets, weight = rng.random(shape).astype(dtype), rng.random(shape[:2]).astype(dtype)
    targets[..., 0] = 0
    (total, probability), expected = both(cp, "soft_cross_entropy_forward", scores, targets, weight)
    assert type(total) is float
    assert total == pytest.approx(expected[0], rel=1e-5 if dtype == "float32" else 1e-12)
    np.testing.assert_allclose(probability, expected[1], **tolerance(dtype))
    got, wanted = both(cp, "soft_cross_entropy_backward", probability, targets, weight, 0.7)
    np.testing.assert_allclose(got, wanted, **tolerance(dtype))


def test_a_class_that_nobody_asks_for_costs_nothing(cp: ModuleType) -> None:
    scores = np.array([[[0.0, -np.inf, 0.0]]])
    soft = both(cp, "soft_cross_entropy_forward", scores, np.array([[[1.0, 0.0, 0.0]]]), np.ones((1, 1)))
    hard = both(cp, "cross_entropy_forward", scores, np.array([[0]]), np.ones(3), IGNORE, True)
    assert soft[0][0] == pytest.approx(np.log(2))
    assert hard[0][0] == pytest.approx(np.log(2))


@pytest.mark.parametrize("integer", ["uint8", "int64"])
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_cross_entropy(
    cp: ModuleType, rng: np.random.Generator, shape: tuple[int, ...], dtype: str, integer: str
) -> None:
    k = shape[-1]
    scores, weights = (5 * rng.standard_normal(shape)).astype(dtype), rng.random(k).astype(dtype)
    labels = rng.integers(0, k + 1, shape[:2])
    labels = np.where(labels == k, IGNORE, labels).astype(integer)
    weights[0] = 0
    (total, mass, probability), expected = both(
        cp, "cross_entropy_forward", scores, labels, weights, IGNORE, True
    )
    assert type(total) is type(mass) is float
    rel = 1e-5 if dtype == "float32" else 1e-12
    assert (total, mass) == (pytest.approx(expected[0], rel=rel), pytest.approx(expected[1], rel=rel))
    np.testing.assert_allclose(probability, expected[2], **tolerance(dtype))
    (again, _, nothing), _ = both(cp, "cross_entropy_forward", scores, labels, weights, IGNORE, False)
    assert (again, nothing) == (total, None)
    got, wanted = both(cp, "cross_entropy_backward", probability, labels, weights, IGNORE, -0.3)
    np.testing.assert_allclose(got, wanted, **tolerance(dtype))


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


@pytest.mark.parametrize("dtype", TYPES)
def test_clip_normalise(cp: ModuleType, rng: np.random.Generator, dtype: str) -> None:
    x = rng.standard_normal((2, 70, 5)).astype(dtype)
    x[0, 0], x[0, 1, 2], x[1, 3] = -1, np.nan, 0
    y, expected = both(cp, "clip_normalise", x)
    np.testing.assert_allclose(y, expected, **tolerance(dtype))
    assert np.isnan(y[0, 1]).all()


def test_views_are_understood(cp: ModuleType, rng: np.random.Generator) -> None:
    scores, labels = rng.standard_normal((4, 10, 6)), rng.integers(0, 3, (4, 10))
    k = kernels.pick("softmax", like=cp.zeros(1))
    device = cp.asarray(scores)[1::2, ::-1, ::2], cp.asarray(labels)[1::2, ::-1], cp.asarray(np.ones(6))[::2]
    total, mass, _ = k.cross_entropy_forward(*device, IGNORE, False)
    logs = np.log(both(cp, "softmax_forward", np.ascontiguousarray(scores[1::2, ::-1, ::2]))[0])
    picked = np.take_along_axis(logs, labels[1::2, ::-1, None], axis=2)
    assert (total, mass) == (pytest.approx(-picked.sum()), 20)


def test_two_runs_give_the_same_bits(cp: ModuleType, rng: np.random.Generator) -> None:
    scores = cp.asarray(rng.standard_normal((1, 2000, 4)).astype(np.float32))
    labels, weights = cp.asarray(rng.integers(0, 4, (1, 2000))), cp.asarray(np.ones(4, np.float32))
    k = kernels.pick("softmax", like=scores)
    assert len({k.cross_entropy_forward(scores, labels, weights, IGNORE, False)[0] for _ in range(2)}) == 1
