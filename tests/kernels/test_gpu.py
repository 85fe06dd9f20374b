"""The choice of the device, and the messages if it cannot be used; all without a GPU."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from lstm2d.errors import ConfigError, Lstm2dError
from lstm2d.kernels import gpu


class NoGPUError(RuntimeError):
    """Stand-in for CuPy's CUDARuntimeError."""


class Cuda(SimpleNamespace):
    """Stand-in for `cupy.cuda`, which loads libraries when they are first used."""

    missing = ""

    def __getattr__(self, name: str) -> Any:
        if name == self.missing:
            raise ImportError(f"lib{name}.so.12: cannot open shared object file")
        if name not in ("cublas", "nvrtc"):
            raise AttributeError(name)
        return SimpleNamespace(getVersion=self.nvrtc_version)

    def nvrtc_version(self) -> tuple[int, int]:
        """Return the version of the compiler, if the library can be loaded."""
        if self.missing == "libnvrtc":
            raise RuntimeError("CuPy failed to load libnvrtc.so.12: OSError:\nlibnvrtc.so.12")
        return 12, 8


def fake_cupy(count: int | None = 1, free: int = 4 << 30, missing: str = "") -> SimpleNamespace:
    """Return the part of CuPy that `resolve_device` uses; `count` is None without a driver."""

    def device_count() -> int:
        if count is None:
            raise NoGPUError("cudaErrorInsufficientDriver: CUDA driver version is insufficient\nmore")
        return count

    def device(number: int) -> SimpleNamespace:
        return SimpleNamespace(mem_info=(free, 8 << 30), compute_capability="100")

    runtime = SimpleNamespace(
        CUDARuntimeError=NoGPUError,
        getDeviceCount=device_count,
        getDeviceProperties=lambda number: {"name": b"A card"},
        runtimeGetVersion=lambda: 12080,
        driverGetVersion=lambda: 13010,
    )
    cuda = Cuda(runtime=runtime, Device=device, missing=missing)
    return SimpleNamespace(cuda=cuda, __version__="14.0.1")


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Return a function that installs a CuPy: None for none, an exception for a broken one."""

    def put(cupy: Any) -> None:
        def import_module(name: str) -> Any:
            assert name == "cupy"
            assert cupy is not None, "CuPy was imported, and is not installed"
            if isinstance(cupy, Exception):
                raise cupy
            return cupy

        monkeypatch.setattr(gpu, "find_spec", lambda name: cupy)
        monkeypatch.setattr(gpu, "import_module", import_module)

    return put


BROKEN = {
    "CuPy is not installed": None,
    "CuPy cannot be imported (libnvrtc.so.12: cannot open shared object file)": ImportError(
        "\nlibnvrtc.so.12: cannot open shared object file\nand much advice"
    ),
    "no GPU can be used (cudaErrorInsufficientDriver: CUDA driver version is insufficient)": fake_cupy(None),
    "there is no such GPU": fake_cupy(0),
    "a library of CUDA is missing (libcublas.so.12: cannot open shared object file)": fake_cupy(
        missing="cublas"
    ),
    "a library of CUDA is missing (CuPy failed to load libnvrtc.so.12: OSError:)": fake_cupy(
        missing="libnvrtc"
    ),
    "the GPU has too little free memory (100 of 8192 MiB)": fake_cupy(free=100 << 20),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_gpu_that_cannot_be_used(install: Callable[[Any], None], what: str) -> None:
    install(BROKEN[what])
    assert gpu.resolve_device("auto") == "cpu"
    assert gpu.resolve_device("cpu") == "cpu"
    assert gpu.why_no_gpu() == what
    assert gpu.usable() == []
    with pytest.raises(ConfigError) as caught:
        gpu.resolve_device("cuda")
    assert (caught.value.what, caught.value.where) == (what, "`device='cuda'`")
    assert caught.value.expected or caught.value.hint
    assert str(caught.value).count("\n") <= 2


def test_the_cause_is_kept(install: Callable[[Any], None]) -> None:
    def busy(number: int) -> None:
        raise NoGPUError("cudaErrorDevicesUnavailable")

    busy_gpu = fake_cupy(1)
    busy_gpu.cuda.Device = busy
    broken = ImportError("libnvrtc.so.12: cannot open shared object file")
    for cupy, cause in (
        (broken, "libnvrtc.so.12: cannot open"),
        (fake_cupy(None), "cudaErrorInsufficientDriver"),
        (fake_cupy(missing="cublas"), "libcublas.so.12"),
        (busy_gpu, "cudaErrorDevicesUnavailable"),
    ):
        install(cupy)
        with pytest.raises(ConfigError) as caught:
            gpu.resolve_device("cuda")
        problem = caught.value.__cause__
        assert isinstance(problem, ConfigError)
        assert str(problem.__cause__).startswith(cause)


def test_a_gpu_that_can_be_used(install: Callable[[Any], None]) -> None:
    install(fake_cupy(2))
    asked = ["auto", "cpu", "cuda", "cuda:0", "cuda:1"]
    assert [gpu.resolve_device(device) for device in asked] == ["cuda:0", "cpu", "cuda:0", "cuda:0", "cuda:1"]
    assert gpu.why_no_gpu() is None
    assert gpu.usable() == ["cuda:0", "cuda:1"]
    with pytest.raises(ConfigError, match="no such GPU") as caught:
        gpu.resolve_device("cuda:2")
    assert caught.value.expected == "cuda:0 to cuda:1"


@pytest.mark.parametrize("asked", ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "cuda:²", "cuda:99999", "CUDA"])
def test_no_device(asked: str) -> None:
    with pytest.raises(ConfigError, match="unknown device"):
        gpu.resolve_device(asked)


def test_a_gpu_that_others_fill_does_not_hide_the_next(
    install: Callable[[Any], None],
) -> None:
    cupy = fake_cupy(2)
    cupy.cuda.Device = lambda number: SimpleNamespace(mem_info=(number << 30, 8 << 30))
    install(cupy)
    assert gpu.usable() == ["cuda:1"]
    assert gpu.resolve_device("cuda:1") == "cuda:1"
    assert gpu.resolve_device("auto") == "cpu"


def test_what_a_gpu_is(install: Callable[[Any], None]) -> None:
    install(fake_cupy(2))
    assert gpu.describe("cuda:1") == {
        "device": "cuda:1",
        "name": "A card",
        "compute_capability": "10.0",
        "memory_bytes": 8 << 30,
        "free_bytes": 4 << 30,
        "cupy": "14.0.1",
        "cuda": "12.8",
        "driver_cuda": "13.1",
    }


def test_out_of_memory() -> None:
    error = gpu.out_of_memory(MemoryError(), where="here", hint="do that")
    assert isinstance(error, Lstm2dError)
    assert str(error) == "out of memory: here\n  do: do that"
    theirs = type("OutOfMemoryError", (MemoryError,), {"__module__": "cupy.cuda.memory"})
    error = gpu.out_of_memory(theirs("Out of memory allocating 8 bytes\nmore"), where="here", hint="do that")
    assert error.what == "out of GPU memory (Out of memory allocating 8 bytes)"
