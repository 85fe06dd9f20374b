"""BLAS has one thread while any thread of the program uses the limit, and as many as before afterwards."""

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from threading import Barrier, Event, Thread, local
from types import SimpleNamespace
from typing import Any

import pytest
from threadpoolctl import ThreadpoolController

from lstm2d.kernels import blas
from lstm2d.kernels.blas import Library, Limit, find_libraries, single_blas
from tests.callers import at_once, blas_threads, restless

MANY = 6


class Counted:
    """A library with one number of threads for the process, or one per thread."""

    def __init__(self, per_thread: bool) -> None:
        self.numbers: Any = local() if per_thread else SimpleNamespace()
        self.library = Library(self.exchange, per_thread)

    @property
    def number(self) -> int:
        return getattr(self.numbers, "n", MANY)

    def exchange(self, n: int) -> int:
        before, self.numbers.n = self.number, n
        return before


@pytest.fixture(params=[False, True], ids=["one for all", "one for each thread"])
def counted(request: pytest.FixtureRequest) -> Counted:
    return Counted(request.param)


def limit_of(*libraries: Counted) -> Limit:
    return Limit(lambda: [counted.library for counted in libraries])


def test_inside_and_after(counted: Counted) -> None:
    limit = limit_of(counted)
    for _ in range(2):
        with limit():
            assert counted.number == 1
            with limit():
                assert counted.number == 1
            assert counted.number == 1
        assert counted.number == MANY


def test_after_an_exception(counted: Counted) -> None:
    limit = limit_of(counted)
    with pytest.raises(ZeroDivisionError), limit():
        raise ZeroDivisionError
    assert counted.number == MANY


def test_the_last_one_that_leaves_sets_it_back(counted: Counted) -> None:
    limit, inside, leave = limit_of(counted), Barrier(2), Event()
    seen: list[int] = []

    def other() -> None:
        with limit():
            inside.wait()
            leave.wait()
            seen.append(counted.number)

    thread = Thread(target=other)
    with limit():
        thread.start()
        inside.wait()
    assert counted.number == (MANY if counted.library.per_thread else 1)  # the other one is still inside
    leave.set()
    thread.join()
    assert seen == [1]
    assert counted.number == MANY


def test_threads_that_come_and_go(counted: Counted) -> None:
    limit = limit_of(counted, Counted(True), Counted(False))

    def work(k: int) -> bool:
        right = True
        for _ in range(300):
            with limit():
                right &= counted.number == 1
        return right

    with restless():
        assert all(at_once(6, work))
    assert counted.number == MANY
    assert limit._inside == 0


def test_one_that_was_at_one_already(counted: Counted) -> None:
    counted.exchange(1)
    with limit_of(counted)():
        assert counted.number == 1
    assert counted.number == 1


def test_a_fork_waits_for_other_threads_and_lets_nobody_in() -> None:
    counted = Counted(False)
    limit, events = limit_of(counted), []
    entered, leave = Event(), Event()

    def long() -> None:
        with limit():
            entered.set()
            leave.wait()
            events.append("left")

    def late() -> None:
        with limit():
            events.append("entered")

    def fork() -> None:
        limit.acquire()
        events.append(f"forked with {counted.number}")
        limit.release()

    threads = [Thread(target=run) for run in (long, fork, late)]
    threads[0].start()
    entered.wait()
    threads[1].start()
    while not limit._forking:
        pass
    threads[2].start()
    leave.set()
    for thread in threads:
        thread.join(timeout=10)
        assert not thread.is_alive()
    assert events == ["left", f"forked with {MANY}", "entered"]


def test_a_thread_that_is_inside_can_fork() -> None:
    counted = Counted(False)
    limit = limit_of(counted)
    with limit():
        limit.acquire()
        limit.release()
        with limit():
            assert counted.number == 1
        assert counted.number == 1
    assert counted.number == MANY


# ---- real libraries


def now(library: Library) -> int:
    """Return the number of threads of a library."""
    n = library.exchange(1)
    library.exchange(n)
    return n


def test_the_blas_of_the_kernels_in_any_thread() -> None:
    """Also in a thread that is not the first one to set a limit with threadpoolctl."""

    def work(k: int) -> list[int]:
        with single_blas():
            return [now(library) for library in find_libraries()]

    with blas_threads(4):
        for threads in (1, 4):
            assert at_once(threads, work) == [[1] * len(find_libraries())] * threads
        assert work(0) == [1] * len(find_libraries())


def controller(api: str, folder: str = "/lib", **functions: Callable[..., int]) -> Any:
    options = {"threading_layer": functions.pop("layer", "pthreads"), "internal_api": api}
    return SimpleNamespace(dynlib=SimpleNamespace(**functions), filepath=f"{folder}/x.so", **options)


@pytest.mark.parametrize(("prefix", "suffix"), [("", ""), ("scipy_", ""), ("scipy_", "64_"), ("", "_64")])
def test_openblas_with_threads_of_its_own(prefix: str, suffix: str) -> None:
    numbers = [5]
    functions: Any = {
        f"{prefix}openblas_get_num_threads{suffix}": lambda: numbers[-1],
        f"{prefix}openblas_set_num_threads{suffix}": numbers.append,
    }
    (library,) = blas._numbers(controller("openblas", **functions))
    assert not library.per_thread
    assert library.exchange(1) == 5
    assert library.exchange(5) == 1
    assert numbers == [5, 1, 5]


def test_openblas_on_openmp_has_a_number_for_each_thread() -> None:
    numbers = [5]
    functions: Any = {"omp_get_max_threads": lambda: numbers[-1], "omp_set_num_threads": numbers.append}
    (library,) = blas._numbers(controller("openblas", layer="openmp", **functions))
    assert library.per_thread
    assert (library.exchange(1), library.exchange(5), numbers) == (5, 1, [5, 1, 5])


def test_mkl_has_both() -> None:
    """A number for the process, and one per thread that overrides it unless it is 0."""
    everywhere, own = [8], [0]

    def set_own(n: int) -> int:
        own.append(n)
        return own[-2]

    functions: Any = {
        "MKL_Set_Num_Threads_Local": set_own,
        "MKL_Set_Num_Threads": everywhere.append,
        "MKL_Get_Max_Threads": lambda: own[-1] or everywhere[-1],
    }
    limit = Limit(lambda: blas._numbers(controller("mkl", **functions)))
    for before in (0, 3):
        own.append(before)
        with limit():
            assert (everywhere[-1], own[-1]) == (1, 1)
        assert (everywhere[-1], own[-1]) == (8, before)


def test_another_library_is_left_to_threadpoolctl() -> None:
    numbers = [4]
    blis = controller("blis")
    blis.get_num_threads, blis.set_num_threads = lambda: numbers[-1], numbers.append
    (library,) = blas._numbers(blis)
    assert (library.exchange(1), library.exchange(4), numbers) == (4, 1, [4, 1, 4])


@pytest.mark.parametrize(
    ("folder", "own"),
    [
        ("/v/site-packages/scipy.libs", True),
        ("/v/site-packages/scipy/.dylibs", True),
        ("/v/site-packages/numpy.libs", False),
        ("/usr/lib/x86_64-linux-gnu/openblas-pthread", False),
        ("/home/scipy/v/numpy.libs", False),
    ],
)
def test_which_library_is_scipys(folder: str, own: bool) -> None:
    assert blas._is_of_scipy(PurePosixPath(folder)) == own


def test_numpys_own_library_is_left_alone() -> None:
    find_libraries()
    found = ThreadpoolController().select(user_api="blas").lib_controllers
    other = [lib for lib in found if Path(lib.filepath).parent.name == "numpy.libs"]
    if not other:
        pytest.skip("NumPy and SciPy share one")
    before = [lib.get_num_threads() for lib in other]
    with single_blas():
        assert [lib.get_num_threads() for lib in other] == before
