"""A device for the kernels: a GPU where there is one, else the stand-in that runs them on the CPU."""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

STAND_IN = Path(__file__).resolve().parents[2] / "stand_in"


def real_gpu() -> bool:
    """Tell whether CuPy is installed and has a device."""
    if importlib.util.find_spec("cupy") is None:
        return False
    cupy = importlib.import_module("cupy")
    try:
        return cupy.cuda.runtime.getDeviceCount() > 0 and not hasattr(cupy, "_pool")
    except cupy.cuda.runtime.CUDARuntimeError:
        return False


@pytest.fixture(scope="session")
def cupy_module() -> ModuleType:
    """Return CuPy, or the stand-in where it has no device."""
    if real_gpu():
        return importlib.import_module("cupy")
    for name in [name for name in sys.modules if name.partition(".")[0] == "cupy"]:
        del sys.modules[name]
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(STAND_IN)
        module = importlib.import_module("cupy")
    return module


@pytest.fixture(params=[0, 1, 2], ids=["forward", "backward", "shuffled"])
def cp(
    cupy_module: ModuleType, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> ModuleType:
    """Return CuPy or the stand-in, with its threads run in several orders."""
    if hasattr(cupy_module, "_pool"):
        monkeypatch.setenv("LSTM2D_STAND_IN_DEVICES", "1")
        monkeypatch.setattr(sys.modules["cupy._kernel"], "orders", [request.param])
    elif request.param:
        pytest.skip("a GPU has its own order")
    return cupy_module
