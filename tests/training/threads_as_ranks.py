"""Ranks of a run in threads of one process, connected by queues instead of MPI."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lstm2d.training.follow import follow
from lstm2d.training.mpi import Together

T = TypeVar("T")
ROOT = -1  # tag of broadcasts


class Done:
    """A message that was sent."""

    def Test(self) -> bool:
        return True


class Coming:
    """A message that is received as soon as it is there; further ones wait, as in MPI."""

    def __init__(
        self,
        queue: SimpleQueue[Any],
        buffer: NDArray[Any],
        before: "Coming | None",
        failures: list[Exception],
    ) -> None:
        self.queue, self.buffer, self.before, self.is_there = queue, buffer, before, False
        self.failures = failures

    def Test(self) -> bool:
        assert not self.failures
        if self.is_there or (self.before is not None and not self.before.Test()):
            return self.is_there
        try:
            found = self.queue.get_nowait()
        except Empty:
            return False
        assert (found.shape, found.dtype) == (self.buffer.shape, self.buffer.dtype)
        self.buffer[...] = found
        self.is_there = True
        return True


class Communicator:
    """What `Together` uses of mpi4py's communicator."""

    def __init__(self, rank: int, size: int, queues: dict[tuple[int, int, int], SimpleQueue[Any]]) -> None:
        self.rank, self.size, self.queues = rank, size, queues
        self.last: dict[tuple[int, int, int], Coming] = {}
        self.aborted: int | None = None
        self.failures: list[Exception] = []  # of any rank: the others must not wait for it

    def Get_rank(self) -> int:
        return self.rank

    def Get_size(self) -> int:
        return self.size

    def Isend(self, buf: NDArray[Any], dest: int, tag: int) -> Done:
        self.queues[self.rank, dest, tag].put(buf.copy())
        return Done()

    def Irecv(self, buf: NDArray[Any], source: int, tag: int) -> Coming:
        place = (source, self.rank, tag)
        self.last[place] = Coming(self.queues[place], buf, self.last.get(place), self.failures)
        return self.last[place]

    def Ibcast(self, buf: NDArray[Any], root: int) -> Done | Coming:
        if self.rank != root:
            return self.Irecv(buf, root, ROOT)
        for rank in range(self.size):
            if rank != root:
                self.Isend(buf, rank, ROOT)
        return Done()

    def Abort(self, errorcode: int) -> None:
        self.aborted = errorcode


def connected(size: int) -> list[Together]:
    """Return ranks that are connected."""
    places = [(a, b, tag) for a in range(size) for b in range(size) for tag in (ROOT, 0, 1, 2)]
    queues: dict[tuple[int, int, int], SimpleQueue[Any]] = {place: SimpleQueue() for place in places}
    communicators = [Communicator(rank, size, queues) for rank in range(size)]
    for each in communicators:
        each.failures = communicators[0].failures
    return [Together(each) for each in communicators]


def on_all(size: int, work: Callable[[Together], T]) -> list[T | Exception]:
    """Run a function on each of several ranks; return their results, or what they raised."""

    def attempt(ranks: Together) -> T | Exception:
        try:
            return work(ranks)
        except Exception as error:
            ranks.comm.failures.append(error)  # type: ignore[attr-defined]
            return error

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(attempt, connected(size)))


def led(size: int, work: Callable[[Together], T]) -> T:
    """Run a function on rank 0, in this thread, while the others follow it; return its result."""
    first, *others = connected(size)

    def attempt(ranks: Together) -> None:
        try:
            with np.errstate(all="ignore"):
                follow(ranks)
        except Exception as error:
            ranks.comm.failures.append(error)  # type: ignore[attr-defined]
            raise

    with ThreadPoolExecutor(max(1, len(others))) as pool:
        ends = [pool.submit(attempt, ranks) for ranks in others]
        try:
            return work(first)
        finally:
            first.dismiss(0)
            for end in ends:
                end.result()
