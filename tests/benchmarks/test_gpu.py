"""The comparison on a GPU: both sides agree, it runs, and without a GPU it reports so in one line."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.conftest import STAND_IN


@pytest.fixture(scope="module")
def bench(benchmark_module: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_module("bench_gpu")


def run(checkout: Path, *args: str, stand_in: bool) -> subprocess.CompletedProcess[str]:
    """Run the benchmark with the stand-in as the only GPU."""
    env = os.environ | {"LSTM2D_STAND_IN_DEVICES": "1" if stand_in else "0", "CUDA_VISIBLE_DEVICES": ""}
    if stand_in:
        env["PYTHONPATH"] = os.pathsep.join([str(STAND_IN), env.get("PYTHONPATH", "")])
    command = [sys.executable, str(checkout / "benchmarks" / "bench_gpu.py"), *args]
    return subprocess.run(command, env=env, capture_output=True, text=True)


@pytest.mark.parametrize(("args", "code"), [([], 1), (["--quick"], 0)])
def test_without_a_gpu(checkout: Path, args: list[str], code: int) -> None:
    done = run(checkout, *args, stand_in=False)
    assert done.returncode == code
    assert done.stdout == ""
    assert done.stderr.startswith("nothing to measure: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_every_case_can_be_made(bench: ModuleType) -> None:
    for name in bench.CASES:
        case = bench.make(name, 1, bench.TINY, "cpu")
        forward = bench.our_programs(case)["forward"][0]()
        assert all(np.isfinite(array).all() for array in forward), name


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lstm2d-5x5", "lstm2d-3x3", "n-renet-ref", "reseg-paper"])
def test_both_sides_are_equal(bench: ModuleType, name: str) -> None:
    torch = pytest.importorskip("torch", exc_type=ImportError)
    torch.set_num_threads(1)
    case = bench.make(name, 2, bench.TINY, "cpu")
    ours = bench.our_programs(case)
    before = case.network.state_dict()
    for direction, (arrays, timed) in bench.peer_programs(case, "channels_last").items():
        timed()
        ours[direction][1]()
        bench.check(f"{name}, {direction}", ours[direction][0](), arrays(), bench.TOLERANCE)
    for key, values in case.network.state_dict().items():
        np.testing.assert_array_equal(values, before[key])


@pytest.mark.slow
def test_it_runs(checkout: Path) -> None:
    done = run(checkout, "--quick", "--only", "lstm2d-5x5", "--images", "1", "2", "--json", stand_in=True)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["machine"]["gpu"]["name"] == "stand-in"
    rows = [(row["case"], row["images"], row["direction"]) for row in report["rows"]]
    assert rows == [("lstm2d-5x5", n, direction) for n in (1, 2) for direction in ("forward", "step")]
    assert all(row["ours_ms"] > 0 for row in report["rows"])
