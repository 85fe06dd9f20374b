"""The device, with the threads of the stand-in run in several orders."""

import sys
from types import ModuleType

import pytest


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
