"""Launching kernels, and compiling every source with CUDA's compilers."""

import shutil
import subprocess
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

FAMILIES = sorted(
    path.name.removesuffix(".cu")
    for path in files("lstm2d.kernels._cuda").iterdir()
    if path.name.endswith(".cu") and path.name != "common.cu"
)


@pytest.fixture
def launch(cp: ModuleType) -> ModuleType:
    return import_module("lstm2d.kernels._cuda.launch")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("nvcc") is None, reason="no nvcc here")
@pytest.mark.parametrize(("real", "capability"), [("float", 90), ("double", 75)])
@pytest.mark.parametrize("family", FAMILIES)
def test_sources_compile(family: str, real: str, capability: int, tmp_path: Path) -> None:
    # not through the module: it needs CuPy
    folder = files("lstm2d.kernels._cuda")
    text = "".join((folder / f"{name}.cu").read_text("utf-8") for name in ("common", family))
    path = tmp_path / "kernel.cu"
    path.write_text(text, "utf-8")
    options = ["-std=c++17", f"-DREAL={real}", "-Xptxas", "-v", f"-arch=sm_{capability}", "-cubin"]
    command = ["nvcc", *options, str(path), "-o", str(tmp_path / "kernel.cubin")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr, done.stderr
    spilled = [
        line for line in done.stderr.splitlines() if "spill" in line and " 0 bytes spill stores" not in line
    ]
    assert spilled == []


def test_a_view_is_refused(cp: ModuleType, launch: ModuleType) -> None:
    with pytest.raises(ValueError, match="not C-contiguous"):
        launch.launch("elementwise", "tanh_forward", 4, cp.zeros((4, 4))[:, 1], cp.zeros(4), np.int64(4))


def test_a_large_int_is_refused(cp: ModuleType, launch: ModuleType) -> None:
    with pytest.raises(OverflowError, match="2147483648"):
        launch.launch("elementwise", "direction_sum_forward", 1, cp.zeros(4), cp.zeros(1), 2**31, np.int64(1))


def test_a_float_array_says_what_real_is(cp: ModuleType, launch: ModuleType) -> None:
    with pytest.raises(TypeError, match="no floating-point"):
        launch.launch("elementwise", "tanh_forward", 1, cp.zeros(1, "int32"), np.int64(1))


def test_nothing_to_do_runs_nothing(cp: ModuleType, launch: ModuleType) -> None:
    launch.launch("elementwise", "tanh_forward", 0, cp.zeros(0), cp.zeros(0), np.int64(0))


def test_waiting_blocks_must_fit(cp: ModuleType, launch: ModuleType) -> None:
    blocks = launch.processors() + 1
    with pytest.raises(ValueError, match=f"{blocks} blocks"):
        launch.launch_resident(
            "elementwise", "tanh_forward", blocks, 32, cp.zeros(1), cp.zeros(1), np.int64(1)
        )


def test_more_items_than_threads(cp: ModuleType, launch: ModuleType) -> None:
    n = launch.THREADS * launch.WAVES * launch.processors() + 7
    x, y = cp.zeros(n, "float32"), cp.empty(n, "float32")
    launch.launch("elementwise", "sigmoid_forward", n, x, y, np.int64(n))
    assert (y.get() == 0.5).all()


def test_none_is_a_null_pointer(cp: ModuleType, launch: ModuleType) -> None:
    assert launch._argument(None, np.dtype("float32")) == 0
    assert launch._argument(None, np.dtype("float32")).nbytes == 8
