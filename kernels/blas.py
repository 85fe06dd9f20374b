"""BLAS with one thread while kernels call it.

The kernels spread work over threads themselves, cut the same way for any number of threads: a BLAS library
rounds differently for another number of threads, and its threads would compete with those of the kernels.

Most libraries have one number of threads for the whole process, some have one for each thread that calls
them. The first is set when the first caller comes and set back when the last one has left; the second is set
by each caller for itself. threadpoolctl finds the libraries. It does not set the number of OpenBLAS: since
version 3.8 it does so for one thread of the program alone, and for the others does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import PurePath
from threading import Condition, local
from typing import Any, NamedTuple

from lstm2d.kernels import forks

AFFIXES = [(prefix, suffix) for prefix in ("", "scipy_") for suffix in ("", "64_", "_64")]


class Library(NamedTuple):
    """How to set the number of threads of a BLAS library."""

    exchange: Callable[[int], int]  # sets the number, returns the one before
    per_thread: bool  # each thread that calls the library has a number of its own


class Limit:
    """One thread for BLAS, as long as any thread of the program is inside.

    Parameters
    ----------
    find : callable
        Returns the libraries; called once, when the first thread enters.
    """

    def __init__(self, find: Callable[[], list[Library]]) -> None:
        self._find = find
        self._libraries: list[Library] | None = None
        self._before: list[int] = []  # of the libraries with one number for all, while a thread is inside
        self._inside = 0  # threads
        self._forking = False
        self._own = local()  # depth of the thread's blocks; its numbers before them
        self._changed = Condition()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Run BLAS with one thread inside the block, in every thread of the program.

        Blocks may be nested.
        """
        self._enter()
        try:
            yield
        finally:
            self._leave()

    def _enter(self) -> None:
        depth = getattr(self._own, "depth", 0)
        if depth == 0:
            with self._changed:
                while self._forking:
                    self._changed.wait()
                if self._libraries is None:
                    self._libraries = self._find()
                if self._inside == 0:
                    self._before = _limit(self._libraries, per_thread=False)
                self._own.before = _limit(self._libraries, per_thread=True)
                self._inside += 1
        self._own.depth = depth + 1

    def _leave(self) -> None:
        self._own.depth -= 1
        if self._own.depth == 0:
            with self._changed:
                assert self._libraries is not None
                _restore(self._libraries, self._own.before, per_thread=True)
                self._inside -= 1
                if self._inside == 0:
                    _restore(self._libraries, self._before, per_thread=False)
                if self._forking:
                    self._changed.notify_all()

    def acquire(self) -> None:
        """Wait until no other thread is inside, and let none in; for `lstm2d.kernels.forks`."""
        own = getattr(self._own, "depth", 0) > 0
        self._changed.acquire()
        while self._inside > own:
            self._forking = True
            self._changed.wait()

    def release(self) -> None:
        """Let threads in again."""
        self._forking = False
        self._changed.notify_all()
        self._changed.release()


def _limit(libraries: list[Library], *, per_thread: bool) -> list[int]:
    """Set the libraries of one kind to one thread; return their numbers before."""
    return [library.exchange(1) for library in libraries if library.per_thread == per_thread]


def _restore(libraries: list[Library], before: list[int], *, per_thread: bool) -> None:
    """Set the libraries of one kind back to their numbers."""
    kind = [library for library in libraries if library.per_thread == per_thread]
    for library, n in zip(kind, before, strict=True):
        if n != 1:
            library.exchange(n)


def find_libraries() -> list[Library]:
    """Return the BLAS that `scipy.linalg.cython_blas` calls.

    Returns
    -------
    list of Library
        One, or all that are loaded where SciPy brings none of its own: it shares one of these then.
    """
    import scipy.linalg.cython_blas  # noqa: F401  loads the library that is looked for
    from threadpoolctl import ThreadpoolController

    found = ThreadpoolController().select(user_api="blas").lib_controllers
    own = [lib for lib in found if _is_of_scipy(PurePath(lib.filepath).parent)]
    return [library for lib in own or found for library in _numbers(lib)]


def _is_of_scipy(folder: PurePath) -> bool:
    """Tell whether the libraries of a folder come with SciPy's wheel: that of NumPy is for others to set."""
    return folder.name == "scipy.libs" or folder.parent.name == "scipy"


def _numbers(controller: Any) -> list[Library]:
    """Return the numbers of threads that a library has, from threadpoolctl's controller of it."""
    library = controller.dynlib
    if controller.internal_api == "mkl":
        return [
            Library(partial(_exchange_in_mkl, library), per_thread=False),
            Library(library.MKL_Set_Num_Threads_Local, per_thread=True),
        ]
    if controller.internal_api != "openblas":
        return [_library(controller.get_num_threads, controller.set_num_threads)]
    if controller.threading_layer == "openmp":
        # OpenBLAS's own number is what any thread has set last; OpenMP's of the calling thread counts
        return [_library(library.omp_get_max_threads, library.omp_set_num_threads, per_thread=True)]
    get, set_ = (_symbol(library, f"openblas_{verb}_num_threads") for verb in ("get", "set"))
    return [_library(get, set_)]


def _library(get: Callable[[], int], set_: Callable[[int], object], per_thread: bool = False) -> Library:
    def exchange(n: int) -> int:
        before = get()
        if n != before:
            set_(n)
        return before

    return Library(exchange, per_thread)


def _exchange_in_mkl(library: Any, n: int) -> int:
    """Set MKL's number for all threads, which also those of OpenMP have; that of the caller hides it."""
    own = library.MKL_Set_Num_Threads_Local(0)
    before: int = library.MKL_Get_Max_Threads()
    library.MKL_Set_Num_Threads(n)
    library.MKL_Set_Num_Threads_Local(own)
    return before


def _symbol(library: Any, name: str) -> Callable[..., int]:
    """Return a function of OpenBLAS, whatever a build puts before and after its name."""
    names = (f"{prefix}{name}{suffix}" for prefix, suffix in AFFIXES)
    found: Callable[..., int] = next(getattr(library, name) for name in names if hasattr(library, name))
    return found


_limit_of_process = Limit(find_libraries)
single_blas = _limit_of_process.__call__
forks.hold(_limit_of_process)
