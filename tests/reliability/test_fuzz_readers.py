"""The one-minute run of the fuzzers: every reader, with other inputs for every seed."""

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from lstm2d.errors import DataError, ShapeError
from tests.reliability.fuzz.mutate import Mutator
from tests.reliability.fuzz.run import input_number
from tests.reliability.fuzz.table import GROUPS, targets_of
from tests.reliability.fuzz.target import Reader, Target

SECONDS = float(os.environ.get("LSTM2D_FUZZ_SECONDS", "10"))  # per group
SEED = int(os.environ.get("LSTM2D_FUZZ_SEED", "16"))


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
def test_readers(group: str, tmp_path: Path) -> None:
    """A process of its own: it survives a crash of the reader, which a finding may be."""
    command = [sys.executable, "-m", "tests.reliability.fuzz.run", group]
    command += ["--seconds", str(SECONDS), "--seed", str(SEED), "-o", str(tmp_path / "findings")]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    for target in targets_of(group):
        assert f" {target.name} " in done.stdout


def test_inputs_depend_on_seed_and_number_alone() -> None:
    target = targets_of("records")[0]
    assert input_number(target, 1, 5) == input_number(target, 1, 5)
    found = {input_number(target, seed, number) for seed in (1, 2) for number in range(20)}
    assert len(found) > 30
    assert not found <= set(Mutator(target).seeds)


def key_error() -> None:
    raise KeyError("x")


def shape_error() -> None:
    raise ShapeError("wrong")


def data_error() -> None:
    raise DataError("wrong")


def much_memory() -> None:
    assert len([0] * 20_000_000) == 20_000_000


def endless() -> None:
    while True:
        pass


def warning() -> None:
    warnings.warn("x", RuntimeWarning, stacklevel=1)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (key_error, "KeyError"),
        (shape_error, "exit code 1"),
        (data_error, None),
        (much_memory, "MiB of memory"),
        (endless, "of CPU time"),
        (warning, "RuntimeWarning"),
        (int, None),
    ],
)
def test_what_is_a_finding(tmp_path: Path, fault: Callable[[], object], expected: str | None) -> None:
    def read(path: Path) -> None:
        if path.read_bytes() == b"bad":
            fault()

    # the others must not reach a limit of time on a busy machine
    target = Target("toy", lambda: [b"good"], read, seconds=0.3 if fault is endless else 20)
    reader = Reader(target, tmp_path)
    reader.warm_up()
    problem = reader.problem(b"bad")
    assert (problem is None) == (expected is None)
    assert expected is None or expected in str(problem)
