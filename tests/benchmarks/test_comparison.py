"""The comparison with PyTorch that comes before each measurement."""

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest


@pytest.fixture(scope="module")
def comparison(benchmark_module: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_module("comparison")


def test_within_tolerance_of_the_largest_value(comparison: ModuleType) -> None:
    theirs = [np.array([1e-3, 2.0], np.float32), np.array([[-0.5]], np.float32)]
    ours = [theirs[0] + np.float32(0.015), theirs[1] - np.float32(0.004)]
    comparison.check("case", ours, theirs, 1e-2)


@pytest.mark.parametrize(("k", "value"), [(0, 0.03), (1, 0.006), (1, np.nan)])
def test_beyond_it(comparison: ModuleType, k: int, value: float) -> None:
    theirs = [np.array([1e-3, 2.0], np.float32), np.array([[-0.5]], np.float32)]
    ours = [values.copy() for values in theirs]
    ours[k].flat[0] += value
    with pytest.raises(SystemExit, match=f"case: array {k} differs by .* from PyTorch's"):
        comparison.check("case", ours, theirs, 1e-2)


def test_zero_but_for_rounding(comparison: ModuleType) -> None:
    """The gradient of a bias before a normalisation: rounding of sums of values about as large as 2."""
    theirs = [np.full(3, 2, np.float32), np.array([7e-8, -3e-8], np.float32)]
    ours = [theirs[0], np.array([-5e-8, 0], np.float32)]
    comparison.check("case", ours, theirs, 1e-2)
    with pytest.raises(SystemExit, match="array 1"):
        comparison.check("case", [ours[0], ours[1] + np.float32(7e-6)], theirs, 1e-2)
