"""Peak memory as the benchmarks report it."""

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

MB = 1_000_000


@pytest.fixture(scope="module")
def memory(benchmark_module: Callable[[str], ModuleType]) -> ModuleType:
    module = benchmark_module("memory")
    if not module.measurable():
        pytest.skip("no /proc/self/clear_refs")
    return module


def test_peak_of_arrays(memory: ModuleType) -> None:
    def program() -> object:
        passing = np.ones(80 * MB, np.uint8)
        kept = np.ones(40 * MB, np.uint8)
        del passing
        return kept

    assert memory.peak_mb(program) == pytest.approx(120, abs=2)
    assert memory.peak_mb(lambda: np.ones(10 * MB, np.uint8)) == pytest.approx(10, abs=2)


def test_what_is_held_before_does_not_count(memory: ModuleType) -> None:
    held = np.ones(50 * MB, np.uint8)
    assert memory.peak_mb(held.sum) < 2
