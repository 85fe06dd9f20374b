"""Shared fixtures."""

import importlib
import importlib.util
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import settings

# the same examples in every run, however busy the machine; none are stored in the checkout
settings.register_profile("lstm2d", derandomize=True, database=None, deadline=None)
settings.load_profile("lstm2d")


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """Let child processes be interrupted: under nohup, or after ``&`` in a script, SIGINT is ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep stored weights and caches out of the user's folders."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LSTM2D_DATA", str(tmp_path_factory.mktemp("data")))
        folder = tmp_path_factory.getbasetemp()
        shared = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
        # the variable names a folder in which several runs share what Numba compiles
        patch.setenv("LSTM2D_CACHE", os.environ.get("LSTM2D_TEST_CACHE", str(shared / "lstm2d-cache")))
        yield


@pytest.fixture(autouse=True)
def _settings() -> Iterator[None]:
    """Fail a test that leaves a setting of the process changed."""
    from tests.guard import unchanged

    with unchanged():
        yield


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """Return a generator whose seed depends only on the test's name."""
    return np.random.default_rng(list(request.node.nodeid.encode()))


@pytest.fixture
def compiled() -> None:
    """Skip a test of what only compiled kernels promise, such as how fast a command starts."""
    from lstm2d import kernels

    if kernels.chosen("lstm2d") != "_cython":
        pytest.skip("the kernels in use are not compiled")


@pytest.fixture(scope="session")
def checkout() -> Path:
    """Return the folder of the sources, for tests that read them.

    It is the folder above ``tests/``, unless LSTM2D_CHECKOUT names another. So the tests can run from a
    copy against an installed wheel, without importing the sources by accident.
    """
    return Path(os.environ.get("LSTM2D_CHECKOUT", Path(__file__).resolve().parents[1]))


@pytest.fixture(scope="session")
def brightness_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model file with known labels: class 1 if the red channel is above 127.5, else class 0.

    A 2D-LSTM with open input and output gates and closed forget gates sees only its own pixel. Class 2
    never wins.
    """
    from lstm2d.io.model_file import save_model
    from lstm2d.reliability.inputs.drawn import brightness

    path = tmp_path_factory.mktemp("model") / "brightness.safetensors"
    save_model(path, brightness())
    return path


@pytest.fixture(scope="session")
def dark_model(tmp_path_factory: pytest.TempPathFactory, brightness_model: Path) -> Path:
    """Return a file of the same model with other last weights: it labels every pixel as class 0."""
    from lstm2d.io.model_file import load_model, save_model

    model = load_model(brightness_model)
    state = dict(model.state)
    state["feedforward.0.weight"] = np.zeros_like(state["feedforward.0.weight"])
    state["feedforward.0.bias"] = np.array([20, 0, -20], np.float32)
    path = tmp_path_factory.mktemp("model") / "dark.safetensors"
    save_model(path, replace(model, state=state))
    return path


STAND_IN = Path(__file__).resolve().parent / "stand_in"


def real_gpu() -> bool:
    """Return whether CuPy is installed and has a device."""
    if importlib.util.find_spec("cupy") is None:
        return False
    cupy = importlib.import_module("cupy")
    try:
        return cupy.cuda.runtime.getDeviceCount() > 0 and not hasattr(cupy, "_pool")
    except cupy.cuda.runtime.CUDARuntimeError:
        return False


@pytest.fixture(scope="session")
def cupy_module() -> ModuleType:
    """Return CuPy, or the stand-in if it has no device."""
    if real_gpu():
        return importlib.import_module("cupy")
    for name in [name for name in sys.modules if name.partition(".")[0] == "cupy"]:
        del sys.modules[name]
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(STAND_IN)
        module = importlib.import_module("cupy")
    return module


@pytest.fixture
def device(cupy_module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of a device: a GPU if there is one, else the stand-in, which runs on the CPU."""
    if hasattr(cupy_module, "_pool"):
        monkeypatch.setenv("LSTM2D_STAND_IN_DEVICES", "1")
    return "cuda:0"
