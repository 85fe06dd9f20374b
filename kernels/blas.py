"""Limit BLAS to one thread while kernels call it.

Kernels distribute work over threads themselves, cut in the same way for any number of threads: a BLAS library
rounds differently with another number of threads, and its threads would compete with those of the kernels.

Most libraries have one number of threads for the whole process, some have one for each calling thread. The
former is set when the first thread enters and restored when the last one leaves; the latter is set by each
thread for itself. threadpoolctl finds the libraries. It does not set the number of OpenBLAS: since version
3.8, it does so in one thread of the process only, and has no effect in the others.
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
    """Sets the number of threads of a BLAS library."""

    exchange: Callable[[int], int]  # sets the number, returns the previous one
    per_thread: bool  # whether each calling thread has its own number


class Limit:
    """Limits BLAS to one thread while any thread of the process is inside a block.

    Parameters
    ----------
    find : callable
        Returns the libraries. Called once, when the first thread enters.
    """

    def __init__(self, find: Callable[[], list[Library]]) -> None:
        self._find = find
        self._libraries: list[Library] | None = None
        self._before: list[int] = []  # previous numbers of the libraries with one for all threads
        self._inside = 0  # number of threads
        self._forking = False
        self._own = local()  # nesting depth of the thread's blocks, its previous numbers
        self._changed = Condition()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Limit BLAS to one thread inside the block, which may be nested."""
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
        """Wait until no other thread is inside, and block those that enter; for `lstm2d.kernels.forks`."""
        own = getattr(self._own, "depth", 0) > 0
        self._changed.acquire()
        while self._inside > own:
            self._forking = True
            self._changed.wait()

    def release(self) -> None:
        """Unblock the threads that wait to enter."""
        self._forking = False
        self._changed.notify_all()
        self._changed.release()


def _limit(libraries: list[Library], *, per_thread: bool) -> list[int]:
    """Set the libraries of one kind to one thread; return their previous numbers."""
    return [library.exchange(1) for library in libraries if library.per_thread == per_thread]


def _restore(libraries: list[Library], before: list[int], *, per_thread: bool) -> None:
    """Restore the numbers of the libraries of one kind."""
    kind = [library for library in libraries if library.per_thread == per_thread]
    for library, n in zip(kind, before, strict=True):
        if n != 1:
            library.exchange(n)


def find_libraries() -> list[Library]:
    """Return the BLAS libraries that `scipy.linalg.cython_blas` may call.

    Returns
    -------
    list of Library
        That of SciPy's wheel, or all that are loaded if SciPy has none of its own.
    """
    import scipy.linalg.cython_blas  # noqa: F401  loads the library
    from threadpoolctl import ThreadpoolController

    found = ThreadpoolController().select(user_api="blas").lib_controllers
    own = [lib for lib in found if _is_of_scipy(PurePath(lib.filepath).parent)]
    return [library for lib in own or found for library in _numbers(lib)]


def _is_of_scipy(folder: PurePath) -> bool:
    """Return whether the libraries of a folder belong to SciPy's wheel, not to NumPy's."""
    return folder.name == "scipy.libs" or folder.parent.name == "scipy"


def _numbers(controller: Any) -> list[Library]:
    """Return the thread numbers of a library, from threadpoolctl's controller."""
    library = controller.dynlib
    if controller.internal_api == "mkl":
        return [
            Library(partial(_exchange_in_mkl, library), per_thread=False),
            Library(library.MKL_Set_Num_Threads_Local, per_thread=True),
        ]
    if controller.internal_api != "openblas":
        return [_library(controller.get_num_threads, controller.set_num_threads)]
    if controller.threading_layer == "openmp":
        # OpenBLAS reports what any thread has set last, but uses OpenMP's number of the calling thread
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
    """Set MKL's number for all threads, which the calling thread's own number hides."""
    own = library.MKL_Set_Num_Threads_Local(0)
    before: int = library.MKL_Get_Max_Threads()
    library.MKL_Set_Num_Threads(n)
    library.MKL_Set_Num_Threads_Local(own)
    return before


def _symbol(library: Any, name: str) -> Callable[..., int]:
    """Return a function of OpenBLAS, with any prefix and suffix of its builds."""
    names = (f"{prefix}{name}{suffix}" for prefix, suffix in AFFIXES)
    found: Callable[..., int] = next(getattr(library, name) for name in names if hasattr(library, name))
    return found


_limit_of_process = Limit(find_libraries)
single_blas = _limit_of_process.__call__
forks.hold(_limit_of_process)
