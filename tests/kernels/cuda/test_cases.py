"""Every case of the table on a GPU, or the stand-in, against the reference on the host."""

import sys
from types import ModuleType

import numpy as np
import pytest

from lstm2d.selftest import Case
from tests.kernels.cuda.compare import check
from tests.selftest.comparison import SEVERAL, check_one_input_alone, using


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


@pytest.mark.parametrize(
    "case", [case for case in SEVERAL[::5] if "cuda" in case.users], ids=lambda case: case.name
)
def test_gradient_of_one_input_alone(cp: ModuleType, case: Case) -> None:
    check_one_input_alone(case, cp.asarray)
