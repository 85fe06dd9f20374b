"""Several threads of one program that call the library at the same time."""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import TypeVar

from lstm2d.kernels import threads
from lstm2d.kernels.blas import find_libraries

Result = TypeVar("Result")


def at_once(n: int, call: Callable[[int], Result]) -> list[Result]:
    """Return what `call` returns for 0 to n - 1, each in a thread of its own; they start together."""
    barrier = Barrier(n)

    def run(k: int) -> Result:
        barrier.wait()
        return call(k)

    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(run, range(n)))


@contextmanager
def restless() -> Iterator[None]:
    """Let the interpreter switch between threads as often as possible."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


@contextmanager
def blas_threads(n: int) -> Iterator[None]:
    """Give the kernels' BLAS `n` threads outside of any limit, whatever the environment variables are."""
    libraries = find_libraries()
    before = [library.exchange(n) for library in libraries]
    try:
        yield
        assert [library.exchange(n) for library in libraries] == [n] * len(libraries)  # as it was left
    finally:
        for library, number in zip(libraries, before, strict=True):
            library.exchange(number)


@contextmanager
def kernel_threads(n: int | None = None) -> Iterator[None]:
    """Set the kernels' number of threads to `n`, if given, and restore it after the block."""
    before = threads._threads
    if n is not None:
        threads.set_num_threads(n)
    try:
        yield
    finally:
        threads._threads = before
