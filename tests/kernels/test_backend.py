"""The backend of the kernels: how it is chosen, and that models do not depend on it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import ModuleType

import numpy as np
import pytest

from lstm2d import kernels
from lstm2d.errors import ConfigError
from lstm2d.kernels import dispatch
from lstm2d.kernels.families import FAMILIES

PROGRAM = """
from lstm2d import kernels
from lstm2d.kernels.families import FAMILIES
print(*(kernels.chosen(family) for family in FAMILIES))
"""


@pytest.fixture(autouse=True)
def _read_again() -> Iterator[None]:
    dispatch.order.cache_clear()
    yield
    dispatch.order.cache_clear()


@pytest.fixture
def without_cython(monkeypatch: pytest.MonkeyPatch) -> None:
    right: Callable[[str, str], ModuleType | None] = dispatch._load
    monkeypatch.setattr(dispatch, "_load", lambda b, family: None if b == "_cython" else right(b, family))


@pytest.mark.parametrize("backend", ["cython", "numba", "reference"])
def test_the_variable_forces_a_backend(backend: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | {dispatch.VARIABLE: backend},
        capture_output=True,
        text=True,
        check=True,
    )
    expected = {family: f"_{backend}" for family in FAMILIES}
    if backend == "cython":
        expected["crf"] = "_numba"  # Cython has no other version
    assert ran.stdout.split() == list(expected.values())


def test_compiled_kernels_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(dispatch.VARIABLE, raising=False)
    assert kernels.chosen("conv") == "_cython"
    with kernels.use("_numba"):
        assert kernels.chosen("conv") == "_numba"


@pytest.mark.usefixtures("without_cython")
def test_numba_computes_what_is_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(dispatch.VARIABLE, raising=False)
    assert {kernels.chosen(family) for family in FAMILIES} == {"_numba"}
    monkeypatch.setenv(dispatch.VARIABLE, "cython")
    dispatch.order.cache_clear()
    with pytest.raises(ConfigError, match="not compiled"):
        kernels.pick("conv", like=np.zeros(1))


def test_another_word_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(dispatch.VARIABLE, "numpy")
    with pytest.raises(ConfigError, match=r"LSTM2D_BACKEND .*'numpy'") as caught:
        kernels.pick("conv", like=np.zeros(1))
    assert caught.value.expected == "cython, numba, reference"
