"""Every operation gives the same bits from any thread; valid numbers of threads."""

from itertools import count
from math import prod
from threading import Event

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstm2d
from lstm2d import Tensor, ops
from lstm2d.errors import ConfigError, ThreadsError
from lstm2d.kernels import threads
from lstm2d.kernels._cython import grain
from lstm2d.kernels.arena import SMALL
from lstm2d.kernels.threads import MAX_THREADS, get_num_threads, set_num_threads
from lstm2d.selftest import CASES as table
from lstm2d.selftest import Case, evaluate, typed
from tests.callers import at_once, blas_threads, kernel_threads, restless

# arrays that use the arena, and a fast case
CASES = [
    case
    for case in table
    if "bits" in case.users
    and case.op in ops.__all__
    and SMALL < 4 * max(map(prod, case.shapes)) < 1 << 19
    and sum(map(prod, case.products)) < 1e8
]


def run(case: Case) -> bytes:
    """Return the result and all gradients."""
    return b"".join(array.tobytes() for array in evaluate(case, typed(np.float32)).values())


def different(n: int, rounds: int) -> list[str]:
    """Return the operations whose bits in one of n threads differ from those of this thread."""
    expected = [run(case) for case in CASES]

    def work(k: int) -> list[str]:
        order = np.random.default_rng(k).permutation(len(CASES) * rounds) % len(CASES)
        return [CASES[j].name for j in order if run(CASES[j]) != expected[j]]

    return sorted({name for found in at_once(n, work) for name in found})


def test_every_operation_is_here() -> None:
    assert {case.op for case in CASES} == set(ops.__all__)


@pytest.mark.parametrize("per_call", [1, 2])
def test_operations_in_four_threads(per_call: int) -> None:
    with restless(), kernel_threads(per_call), blas_threads(4):
        assert different(4, 1) == []


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 8])
@pytest.mark.parametrize("per_call", [1, 3])
def test_operations_in_many_threads(n: int, per_call: int) -> None:
    with restless(), kernel_threads(per_call), blas_threads(4):
        assert different(n, 2) == []


def test_a_number_that_another_thread_changes_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scratch memory is for the number of threads that then use it."""
    monkeypatch.setattr(grain, "GRAIN", 1 << 10)  # the cases are small: use as many threads as there may be
    cases = CASES[::3]
    expected = [run(case) for case in cases]
    computing = Event()

    def work(k: int) -> list[str]:
        if k == 0:
            for turn in count():
                set_num_threads(1 + turn % 4)
                if computing.wait(1e-4):
                    return []
        try:
            return [case.name for case, bits in zip(cases, expected, strict=True) if run(case) != bits]
        finally:
            computing.set()

    with restless(), kernel_threads():
        assert at_once(3, work) == [[], [], []]


@pytest.fixture
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """No number of threads is set while the test runs."""
    monkeypatch.setattr(threads, "_threads", None)


@pytest.mark.usefixtures("_unset")
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *[("1", 1), ("3", 3), (" 4 ", 4), ("007", 7), ("\t8", 8), (str(MAX_THREADS), MAX_THREADS)],
        *[("2,1", 2), ("3, 2 ,1", 3), ("5,0", 5)],  # numbers for nested parallel regions
    ],
)
def test_the_variable(monkeypatch: pytest.MonkeyPatch, value: str, expected: int) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert lstm2d.get_num_threads() == expected


@pytest.mark.usefixtures("_unset")
@pytest.mark.parametrize("value", [None, "", "  "])
def test_no_variable(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if value is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", value)
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: range(5))
    assert get_num_threads() == 5


ODD = [
    "²",
    "٣",
    "0",
    "00",
    "-1",
    "+2",
    "1.5",
    "2x",
    "two",
    "1e3",
    "0x2",
    ",2",
    "2,",
    "2,,1",
    "2;1",
    "2 1",
    "1_0",
]


@pytest.mark.usefixtures("_unset")
@pytest.mark.parametrize("value", [*ODD, str(10**20), "9" * 5000, str(MAX_THREADS + 1)])
def test_no_number_of_threads(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    with pytest.raises(ThreadsError, match="environment variable OMP_NUM_THREADS is not a number") as caught:
        get_num_threads()
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, ConfigError)
    assert caught.value.exit_code == 2
    assert len(str(caught.value).splitlines()[0]) < 200
    with pytest.raises(ThreadsError):  # also in the middle of a computation
        ops.tanh(Tensor(np.zeros((1, 2, 2, 3), np.float32)))


@pytest.mark.usefixtures("_unset")
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12))
def test_any_variable_is_a_number_or_an_error(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", text)
        try:
            found = get_num_threads()
        except ThreadsError:
            return
        assert 1 <= found <= MAX_THREADS


@pytest.mark.usefixtures("_unset")
def test_what_is_set_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "²")
    set_num_threads(3)
    assert get_num_threads() == 3
    assert at_once(2, lambda _: get_num_threads()) == [3, 3]  # of the whole program


@pytest.mark.parametrize("n", [0, -1, MAX_THREADS + 1, 2**31, 10**20])
def test_a_number_out_of_range(n: int) -> None:
    before = get_num_threads()
    with pytest.raises(ThreadsError, match="out of range"):
        set_num_threads(n)
    assert get_num_threads() == before


def test_a_number_that_is_none() -> None:
    for value in (1.5, "2", None):
        with pytest.raises(TypeError):
            set_num_threads(value)  # type: ignore[arg-type]
