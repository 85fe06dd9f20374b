"""Pooling on a GPU, or the stand-in."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from lstm2d import kernels
from tests.kernels.cuda.compare import assert_agrees, on_device, reference

Pair = tuple[int, int]
# (N, H, W, C), size, stride, padding
CASES: list[tuple[tuple[int, int, int, int], Pair, Pair, Pair]] = [
    ((1, 1, 1, 1), (1, 1), (1, 1), (0, 0)),
    ((2, 6, 9, 3), (3, 3), (3, 3), (0, 0)),
    ((1, 7, 8, 2), (2, 2), (2, 2), (0, 0)),  # a row is left over
    ((2, 7, 8, 5), (3, 3), (1, 1), (1, 1)),
    ((1, 9, 5, 18), (3, 3), (2, 2), (0, 0)),  # windows overlap
    ((1, 9, 11, 2), (2, 3), (3, 5), (0, 0)),  # gaps between windows
    ((2, 5, 6, 2), (3, 4), (2, 1), (1, 2)),
    ((1, 18, 17, 2), (17, 16), (1, 1), (2, 0)),  # a window of more than 256 pixels
    ((1, 1, 1, 2), (3, 3), (3, 3), (1, 1)),
    ((0, 4, 4, 3), (2, 2), (2, 2), (0, 0)),
    ((1, 4, 4, 0), (2, 2), (2, 2), (0, 0)),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
def test_max(cp: ModuleType, rng: np.random.Generator, case: tuple[Any, ...], dtype: str) -> None:
    x = rng.integers(-3, 4, case[0]).astype(dtype)  # many equal ones
    check_max(cp, rng, x, case)


@pytest.mark.parametrize("case", CASES)
def test_nan_wins(cp: ModuleType, rng: np.random.Generator, case: tuple[Any, ...]) -> None:
    x = rng.standard_normal(case[0])
    x[rng.random(x.shape) < 0.2] = np.nan
    x[rng.random(x.shape) < 0.2] = -np.inf
    check_max(cp, rng, x, case)


def check_max(cp: ModuleType, rng: np.random.Generator, x: np.ndarray, case: tuple[Any, ...]) -> None:
    y, winner = reference("pool", "max_pool2d_forward", x, *case[1:], True)
    found, found_winner = on_device(cp, "pool", "max_pool2d_forward", x, *case[1:], True)
    np.testing.assert_array_equal(found, y)
    np.testing.assert_array_equal(found_winner, winner)
    assert found.dtype == x.dtype
    assert found_winner.dtype == (np.uint8 if case[1][0] * case[1][1] <= 256 else np.intc)
    grad_y = rng.standard_normal(y.shape).astype(x.dtype)
    assert_agrees(cp, "pool", "max_pool2d_backward", grad_y, winner, *case)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
def test_mean(cp: ModuleType, rng: np.random.Generator, case: tuple[Any, ...], dtype: str) -> None:
    x = rng.standard_normal(case[0]).astype(dtype)
    assert_agrees(cp, "pool", "avg_pool2d_forward", x, *case[1:])
    shape = reference("pool", "avg_pool2d_forward", x, *case[1:]).shape
    grad_y = rng.standard_normal(shape).astype(dtype)
    assert_agrees(cp, "pool", "avg_pool2d_backward", grad_y, *case)


def test_views_and_no_winners(cp: ModuleType, rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 12, 10, 6))
    part = cp.asarray(x)[:, ::2, ::-1, ::3]
    options = ((2, 2), (2, 2), (0, 0))
    k = kernels.pick("pool", like=part)
    y, winner = k.max_pool2d_forward(part, *options, False)
    assert winner is None
    expected, winner = reference("pool", "max_pool2d_forward", part.get(), *options, True)
    np.testing.assert_array_equal(y.get(), expected)
    backward = k.max_pool2d_backward(
        cp.asarray(expected[:, ::-1])[:, ::-1], cp.asarray(winner[::-1])[::-1], part.shape, *options
    )
    exact = reference("pool", "max_pool2d_backward", expected, winner, part.shape, *options)
    np.testing.assert_allclose(backward.get(), exact, rtol=1e-12)
