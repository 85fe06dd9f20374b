"""Every case of the table on a GPU, or the stand-in, against the reference on the host."""

import sys
from types import ModuleType

import numpy as np
import pytest

from lstm2d import kernels
from lstm2d.selftest import Case, evaluate
from tests.selftest.comparison import Arguments, assert_close, bits, using


def check(cupy: ModuleType, case: Case, dtype: type, *, views: bool) -> None:
    arguments = Arguments(dtype, cupy.asarray, views=views and case.family != "update")
    found = evaluate(case, arguments)
    arguments.assert_unchanged()
    # a loss is a number of the host
    assert all(kernels.on_gpu(a) for a in found.values() if kernels.is_array(a) and a.ndim)
    found = {name: kernels.to_host(a) if kernels.is_array(a) else a for name, a in found.items()}
    assert_close(found, case, dtype, f"{dtype.__name__}, {views=}")
    repeated = evaluate(case, arguments)
    assert bits({name: kernels.to_host(a) for name, a in repeated.items()}) == bits(found)


@pytest.mark.parametrize("case", using("cuda"))
def test_same_as_on_the_host(cupy_module: ModuleType, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(cupy_module, "_pool"):
        check(cupy_module, case, np.float32, views=True)
        check(cupy_module, case, np.float64, views=False)
        return
    monkeypatch.setenv("LSTM2D_STAND_IN_DEVICES", "1")
    for order, dtype in enumerate((np.float64, np.float32, np.float64)):  # forward, backward, shuffled
        monkeypatch.setattr(sys.modules["cupy._kernel"], "orders", [order])
        check(cupy_module, case, dtype, views=order == 2)


@pytest.mark.gpu
@pytest.mark.slow
@pytest.mark.parametrize("case", using("bits"))
def test_large_arrays(cupy_module: ModuleType, case: Case) -> None:
    if hasattr(cupy_module, "_pool"):
        pytest.skip("no GPU, or no CuPy")
    check(cupy_module, case, np.float32, views=False)
