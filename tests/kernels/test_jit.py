"""Loops that Numba compiles, called by several threads at once; the cache of compiled loops."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstm2d.kernels._numba import jit
from lstm2d.kernels._numba.jit import kernel
from tests.callers import at_once, restless


@pytest.fixture(autouse=True)
def _restless() -> Iterator[None]:
    with restless():
        yield


def test_one_thread_prepares_and_the_others_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = []

    def slowly(function: Any) -> Any:
        prepared.append(function)
        time.sleep(0.05)
        return function

    monkeypatch.setattr(jit, "_cached", slowly)
    loop = kernel(lambda x: x + 1)
    assert at_once(6, loop) == [1, 2, 3, 4, 5, 6]
    assert len(prepared) == 1


def test_what_failed_is_replaced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    cleared, compiled = [], []

    def damaged(*args: object) -> None:
        raise OSError("damaged cache")

    def part(function: Any) -> Any:
        compiled.append(function)
        return function

    monkeypatch.setattr(jit, "_cached", lambda function: damaged)
    monkeypatch.setattr(jit, "clear_cache", lambda: cleared.append(True))
    monkeypatch.setattr(jit, "part", part)
    loop = kernel(lambda x: x + 1)
    assert at_once(6, loop) == [1, 2, 3, 4, 5, 6]
    assert (len(cleared), len(compiled)) == (1, 1)


def test_an_error_of_the_function_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes again from what is compiled without the cache, which is cleared no second time."""
    cleared = []
    monkeypatch.setattr(jit, "_cached", lambda function: function)
    monkeypatch.setattr(jit, "clear_cache", lambda: cleared.append(True))
    monkeypatch.setattr(jit, "part", lambda function: function)
    loop = kernel(lambda x: 1 // x)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            loop(0)
    assert loop(1) == 1
    assert len(cleared) == 1


def test_numbas_own_folder_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSTM2D_CACHE", str(tmp_path))
    before = jit.numba.config.CACHE_DIR

    def one(x: np.ndarray) -> float:
        return x[0]

    loops = [kernel(one) for _ in range(8)]
    at_once(8, lambda k: loops[k]._prepare())
    assert before == jit.numba.config.CACHE_DIR


@pytest.mark.slow
def test_several_threads_compile_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSTM2D_CACHE", str(tmp_path))

    def total(x: np.ndarray) -> float:
        found = 0.0
        for k in range(x.size):
            found += x[k]
        return found

    loop = kernel(total)
    arrays = [np.full(3, k, (np.float32, np.float64)[k % 2]) for k in range(8)]
    assert at_once(8, lambda k: loop(arrays[k])) == [3.0 * k for k in range(8)]
    assert list(tmp_path.rglob("*.nbi"))
