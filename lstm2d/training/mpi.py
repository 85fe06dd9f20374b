"""The processes of a run that `mpiexec` has started, connected by MPI."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lstm2d.tensor import FloatArray
from lstm2d.training.passed_errors import packed, unpacked
from lstm2d.training.ranks import Order, Ranks, Sum

FIGURES, GRADIENT, TEXT = range(3)  # tags: messages of one rank to another arrive in the order of sending
SPINS = 200  # tests of a message before its rank begins to sleep between them
SHORT, LONG = 5e-5, 1e-3  # seconds between two tests
PATIENCE = 1.0  # seconds until they become longer: another rank validates, or reads images


class Request(Protocol):
    """A message on its way, as mpi4py represents it."""

    def Test(self) -> bool:
        """Return whether it has arrived, or has left."""


class Communicator(Protocol):
    """The part of ``mpi4py.MPI.Comm`` that is used here."""

    def Get_rank(self) -> int:  # noqa: D102
        ...

    def Get_size(self) -> int:  # noqa: D102
        ...

    def Isend(self, buf: NDArray[Any], dest: int, tag: int) -> Request:  # noqa: D102
        ...

    def Irecv(self, buf: NDArray[Any], source: int, tag: int) -> Request:  # noqa: D102
        ...

    def Ibcast(self, buf: NDArray[Any], root: int) -> Request:  # noqa: D102
        ...

    def Abort(self, errorcode: int) -> None:  # noqa: D102
        ...


class Together(Ranks):
    """Several processes that compute the steps of a run together.

    All sums are added up by the processes themselves, since the order in which MPI adds is its own affair.
    Nothing is pickled. A process that waits sleeps between two looks at its messages: MPI itself would use a
    whole CPU for that, which other processes of the machine can use.

    Parameters
    ----------
    comm : Communicator
        All processes.
    neighbours : int, default 1
        Number of them on this machine.

    Attributes
    ----------
    amid : Order or None
        On rank 0, the order whose messages are not all exchanged yet: others do not wait for the next one.
    """

    def __init__(self, comm: Communicator, neighbours: int = 1) -> None:
        super().__init__()
        self.neighbours = neighbours
        self.comm, self.rank, self.size = comm, comm.Get_rank(), comm.Get_size()
        self.amid: Order | None = None
        self._expected: dict[int, deque[tuple[Sum, list[Request]]]] = {}
        self._leaving: list[tuple[Sum, list[Request]]] = []

    def order(self, order: Order, *numbers: int, text: str = "") -> None:
        """Tell the ranks that follow what to do next; nothing on these themselves."""
        if self.rank:
            return
        self.amid, content = order, text.encode()
        self._broadcast(np.array([order, len(numbers), len(content)], np.int64))
        if numbers:
            self._broadcast(np.array(numbers, np.int64))
        if content:
            self._broadcast(np.frombuffer(content, np.uint8))
        if order in (Order.COPY, Order.DROP):  # without further messages
            self.amid = None

    def next_order(self) -> tuple[Order, list[int], str]:
        """Wait for the next order of rank 0.

        Returns
        -------
        order : Order
            What to do.
        numbers : list of int
            Further numbers.
        text : str
            Further text.
        """
        head = self._broadcast(np.zeros(3, np.int64))
        numbers = self._broadcast(np.zeros(int(head[1]), np.int64)) if head[1] else np.zeros(0, np.int64)
        text = self._broadcast(np.zeros(int(head[2]), np.uint8)).tobytes().decode() if head[2] else ""
        return Order(int(head[0])), numbers.tolist(), text

    def share(self, arrays: Iterable[FloatArray]) -> None:
        """Overwrite arrays, in place, by those of rank 0."""
        for array in arrays:
            buffer = np.ascontiguousarray(array)
            self._broadcast(buffer)
            if self.rank and buffer is not array:
                array[...] = buffer
        if self.amid is not Order.STEP:
            self.amid = None

    def expect(self, rank: int, total: Sum) -> None:
        """Provide the memory for a sum that a rank will send; in the order in which it sends them."""
        requests = [
            self.comm.Irecv(total.figures, rank, FIGURES),
            self.comm.Irecv(total.gradient, rank, GRADIENT),
        ]
        self._expected.setdefault(rank, deque()).append((total, requests))

    def send(self, rank: int, total: Sum) -> None:
        """Begin to send a sum, which must not change until `finish`, to a rank that expects it."""
        requests = [
            self.comm.Isend(total.figures, rank, FIGURES),
            self.comm.Isend(total.gradient, rank, GRADIENT),
        ]
        self._leaving.append((total, requests))

    def receive(self, rank: int) -> Sum:
        """Wait for the oldest sum that is expected from a rank."""
        total, requests = self._expected[rank].popleft()
        for request in requests:
            self._wait(request)
        return total

    def progress(self) -> None:
        """Let messages proceed that are on their way."""
        for queue in (*self._expected.values(), self._leaving):
            for _, requests in queue:
                for request in requests:
                    request.Test()

    def finish(self, error: Exception | None) -> None:
        """End a step: wait until everything is sent, and keep the error of an example of this rank."""
        for _, requests in self._leaving:
            for request in requests:
                self._wait(request)
        self._leaving.clear()
        self.amid = None
        super().finish(error)

    def failure(self, rank: int) -> Exception:
        """Return the error of the last step that a rank has kept; rank 0 calls it."""
        if rank == self.rank:
            return super().failure(rank)
        self.order(Order.TELL, rank)
        found = self.hear(rank)
        self.amid = None
        return unpacked(found, rank)

    def tell(self, content: Mapping[str, Any]) -> None:
        """Send a text to rank 0, which hears it."""
        values = np.frombuffer(json.dumps(content).encode(), np.uint8)
        self._wait(self.comm.Isend(np.array([values.size], np.int64), 0, TEXT))
        self._wait(self.comm.Isend(values, 0, TEXT))

    def hear(self, rank: int) -> dict[str, Any]:
        """Return the next text of another rank; on rank 0."""
        size = np.zeros(1, np.int64)
        self._wait(self.comm.Irecv(size, rank, TEXT))
        values = np.zeros(int(size[0]), np.uint8)
        self._wait(self.comm.Irecv(values, rank, TEXT))
        found: dict[str, Any] = json.loads(values.tobytes().decode())
        return found

    def tell_failure(self) -> None:
        """Send the error of the last step to rank 0."""
        self.tell(packed(super().failure(self.rank)))

    def hear_all(self) -> list[dict[str, Any]]:
        """Return the next text of each other rank, after the order to prepare."""
        found = [self.hear(rank) for rank in range(1, self.size)]
        self.amid = None
        return found

    def dismiss(self, code: int) -> None:
        """End all ranks; on rank 0, with the exit code of the program."""
        if self.amid is None:
            self.order(Order.LEAVE)
        else:  # they would never look for an order
            self.comm.Abort(code)

    def _broadcast(self, buffer: NDArray[Any]) -> NDArray[Any]:
        self._wait(self.comm.Ibcast(buffer, 0))
        return buffer

    def _wait(self, request: Request) -> None:
        for _ in range(SPINS):
            if request.Test():
                return
        begun = time.monotonic()
        while not request.Test():
            time.sleep(SHORT if time.monotonic() - begun < PATIENCE else LONG)
