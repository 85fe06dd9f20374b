"""Loops that Numba compiles, called by several threads at once; the cache of compiled loops."""

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstm2d import waits
from lstm2d.kernels import dispatch
from lstm2d.kernels._numba import jit
from lstm2d.kernels._numba.jit import kernel
from tests.callers import at_once, restless


@pytest.fixture(autouse=True)
def _restless() -> Iterator[None]:
    with restless():
        yield


def test_one_thread_prepares_and_the_others_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = []

    def slowly(function: Any) -> Any:
        prepared.append(function)
        time.sleep(0.05)
        return function

    monkeypatch.setattr(jit, "_cached", slowly)
    loop = kernel(lambda x: x + 1)
    assert at_once(6, loop) == [1, 2, 3, 4, 5, 6]
    assert len(prepared) == 1


@pytest.mark.parametrize("threads", [1, 3])
def test_each_thread_has_scratch_memory_of_its_own(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    """Another thread may change the number of threads while the loop runs."""
    numbers = chain([threads], repeat(9))
    monkeypatch.setattr(jit, "get_num_threads", lambda: next(numbers))
    monkeypatch.setattr(jit, "_cached", lambda function: function)
    memory = []

    def loop(result: np.ndarray, scratch: np.ndarray, begin: int, end: int) -> None:
        assert scratch.shape == (5,)
        assert scratch.dtype == np.float32
        scratch[...] = begin
        result[begin:end] += np.arange(begin, end)
        if begin < end:
            memory.append(scratch)

    result = np.zeros(8)
    jit.spread(kernel(loop), 8, jit.GRAIN, result, scratch=(5, np.float32))
    assert result.tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert sorted(row.tolist() for row in memory) == [[8 * k // threads] * 5 for k in range(threads)]


def counting(x: np.ndarray) -> int:
    x[0] += 1
    if x[1] == 0:
        raise ValueError("division of nothing")
    return x[0] // x[1]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder in which compiled loops are stored, with that of `counting` in it."""
    monkeypatch.setenv("LSTM2D_CACHE", str(tmp_path))
    assert kernel(counting)(np.array([5, 2])) == 3
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def hits(loop: kernel) -> int:
    """Return the number of signatures of a loop that were loaded from the cache."""
    compiled: Any = loop._compiled
    return sum(compiled.stats.cache_hits.values())


def test_an_error_of_the_loop_runs_it_once(cache: Path) -> None:
    before = contents(cache)
    assert [Path(name).suffix for name in sorted(before)] == [".nbc", ".nbi"]
    loop, x = kernel(counting), np.array([5, 0])
    with pytest.raises(ValueError, match="division of nothing"):
        loop(x)
    assert x.tolist() == [6, 0]
    assert hits(loop) == 1
    assert contents(cache) == before


def test_an_error_of_the_compiler_is_raised_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(x: np.ndarray) -> int:
        return x.no_such_attribute

    before, prepared = contents(cache), []
    real = jit.part
    monkeypatch.setattr(jit, "part", lambda function: prepared.append(function) or real(function))
    loop = kernel(wrong)
    for _ in range(2):
        with pytest.raises(jit.numba.TypingError, match="no_such_attribute"):
            loop(np.zeros(2))
    assert prepared == [wrong]
    assert contents(cache) == before


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize(
    "damage", [lambda data: b"", lambda data: data[: len(data) // 2], lambda data: b"x" * 99]
)
def test_a_damaged_file_is_replaced(cache: Path, suffix: str, damage: Callable[[bytes], bytes]) -> None:
    (path,) = cache.rglob(f"*{suffix}")
    path.write_bytes(damage(path.read_bytes()))
    again, later, x = kernel(counting), kernel(counting), np.array([5, 2])
    assert again(x) == 3
    assert x[0] == 6
    assert hits(again) == 0
    assert later(x) == 3
    assert hits(later) == 1
    assert len(contents(cache)) == 2


@pytest.mark.parametrize("damaged", [False, True])
def test_a_full_disk_costs_only_the_cache(
    cache: Path, damaged: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replace(source: str, target: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (index,) = cache.rglob("*.nbi")
    if damaged:
        index.write_bytes(b"")
    before = contents(cache)
    monkeypatch.setattr(os, "replace", replace)
    loop, x = kernel(counting), np.array([5.5, 2.0])
    for k in (6, 7):
        assert loop(x) == (k + 0.5) // 2
        assert x[0] == k + 0.5
    assert hits(loop) == 0
    assert contents(cache) == before


def test_a_folder_that_cannot_be_written_to(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_folder(function: Callable[..., object]) -> None:
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(jit, "_Cache", no_folder)
    assert kernel(counting)(np.array([5, 2])) == 3


def test_numbas_own_folder_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSTM2D_CACHE", str(tmp_path))
    before = jit.numba.config.CACHE_DIR

    def one(x: np.ndarray) -> float:
        return x[0]

    loops = [kernel(one) for _ in range(8)]
    at_once(8, lambda k: loops[k]._prepare())
    assert before == jit.numba.config.CACHE_DIR


@pytest.mark.slow
def test_several_threads_compile_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSTM2D_CACHE", str(tmp_path))

    def total(x: np.ndarray) -> float:
        found = 0.0
        for k in range(x.size):
            found += x[k]
        return found

    loop = kernel(total)
    arrays = [np.full(3, k, (np.float32, np.float64)[k % 2]) for k in range(8)]
    assert at_once(8, lambda k: loop(arrays[k])) == [3.0 * k for k in range(8)]
    assert list(tmp_path.rglob("*.nbi"))


def scaled(x: np.ndarray) -> float:
    return 2 * x[0]


def test_two_processes_that_store_a_loop_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both list their code without having seen the other's; the first one writes its code last."""
    monkeypatch.setenv("LSTM2D_CACHE", str(tmp_path))
    first, second = kernel(scaled), kernel(scaled)
    index, data = jit._Files._load_index, jit._Files._save_data
    real: dict[str, Any] = {"stale": False, "inside": False}

    def load(self: Any) -> Any:
        return {} if real["stale"] else index(self)

    def save(self: Any, name: str, content: Any) -> None:
        if not real["inside"]:
            real.update(inside=True, stale=True)
            assert second(np.array([3.0])) == 6
            real.update(stale=False)
        data(self, name, content)

    with monkeypatch.context() as patch:
        patch.setattr(jit._Files, "_load_index", load)
        patch.setattr(jit._Files, "_save_data", save)
        assert first(np.array([3.0], np.float32)) == 6
    for dtype in (np.float32, np.float64):
        assert kernel(scaled)(np.array([5.0], dtype)) == 10


PROGRAM = """
import sys
import numpy as np
from lstm2d import kernels
crf = kernels.pick("crf", like=None)
x = np.arange(6.0).reshape(3, 2)
sys.stdin.readline()
print(crf.gaussian_sum(x, x, np.ones(3), np.ones(3)).sum())
"""


@pytest.mark.slow
def test_processes_that_compile_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", PROGRAM]
    env = os.environ | {"LSTM2D_CACHE": str(tmp_path)}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    programs = [subprocess.Popen(command, env=env, **pipes) for _ in range(3)]
    for program in programs:
        assert program.stdin is not None
        program.stdin.write("begin\n")
        program.stdin.flush()
    found = {program.communicate()[0] for program in programs}
    assert len(found) == 1
    assert [program.returncode for program in programs] == [0, 0, 0]
    assert not list(tmp_path.rglob("*.tmp.*"))
    ran = subprocess.run(command, env=env, input="\n", capture_output=True, text=True, check=True)
    assert {ran.stdout} == found


@pytest.mark.skipif(sys.platform == "win32", reason="no permissions of files there")
def test_the_folder_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSTM2D_CACHE", str(tmp_path))
    before = os.umask(0)
    try:
        folder = jit.cache_folder()
    finally:
        os.umask(before)
    assert folder is not None
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o750)  # others could have put code into it
    assert jit.cache_folder() is None


@pytest.mark.parametrize("home", ["read-only", "a file", "none"])
def test_without_a_folder_to_keep_them(home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loops run all the same, and whoever waits learns what to do."""
    for name in ("LSTM2D_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    if home == "a file":
        (tmp_path / "home").write_text("")
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
    elif home == "none":
        monkeypatch.setattr(Path, "home", _no_home)
    else:  # root may write everywhere
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setattr(Path, "mkdir", _read_only)
    assert jit.cache_folder() is None
    monkeypatch.setattr(waits, "SECONDS", 0.0)
    reports: set[str] = set()
    with waits.heard_by(lambda what, seconds: reports.add(what)):
        assert kernel(scaled)(np.array([7.0])) == 14
    assert reports == {"Numba compiles kernels, in every process: no folder keeps them (set LSTM2D_CACHE)"}


def _no_home() -> Path:
    raise RuntimeError("Could not determine home directory.")


def _read_only(self: Path, *args: object, **options: object) -> None:
    raise OSError(errno.EROFS, "Read-only file system")


@pytest.mark.usefixtures("cache")
def test_why_numba_compiles_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "why_not_compiled", lambda: "no C compiler")
    monkeypatch.setattr(waits, "SECONDS", 0.0)
    reports: set[str] = set()
    with waits.heard_by(lambda what, seconds: reports.add(what)):
        kernel(scaled)(np.array([7]))
    assert reports == {"Numba compiles kernels, once (no C compiler at installation)"}


def plus_one(x: np.ndarray) -> None:
    x[0] += 1


@pytest.mark.usefixtures("cache")
def test_compiling_is_reported_and_loading_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "why_not_compiled", lambda: None)
    monkeypatch.setattr(waits, "SECONDS", 0.0)
    reports: list[tuple[str, float]] = []
    with waits.heard_by(lambda what, seconds: reports.append((what, seconds))):
        kernel(plus_one)(np.zeros(1))
        first = len(reports)
        kernel(plus_one)(np.zeros(1))  # from the cache
    kernel(plus_one)(np.zeros(1, np.float32))  # nobody listens any more
    assert len(reports) == first > 1
    assert {what for what, _ in reports} == {"Numba compiles kernels, once on this machine"}
    seconds = [time for _, time in reports]
    assert seconds == sorted(seconds)
    assert seconds[-1] > 0


def test_short_waits_are_not_reported() -> None:
    reports: list[tuple[str, float]] = []
    with waits.heard_by(lambda what, seconds: reports.append((what, seconds))):
        waits.report("something", waits.SECONDS - 0.1)
        waits.report("something", waits.SECONDS)
    assert reports == [("something", waits.SECONDS)]


def test_read_only_arrays_need_no_second_compilation() -> None:
    loop = kernel(largest)
    values = np.arange(5.0)
    assert loop(values) == 4
    values.flags.writeable = False
    assert loop(values) == 4
    assert loop(values[1:4]) == 3
    compiled: Any = loop._compiled
    assert len(compiled.signatures) == 1


def largest(x: np.ndarray) -> float:
    found: float = x[0]
    for k in range(x.size):
        found = max(found, x[k])
    return found
