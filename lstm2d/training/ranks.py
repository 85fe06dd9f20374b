"""The processes that compute the steps of a run together, numbered by rank; usually there is one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from enum import IntEnum, unique

import numpy as np

from lstm2d.errors import Lstm2dError
from lstm2d.tensor import FloatArray

LOSS, TERMS, FAILED = range(3)  # of the figures of a `Sum`


class Sum:
    """A sum over some examples of a minibatch.

    Parameters
    ----------
    gradient : ndarray of shape (n,)
        Sum of their gradients, see `Optimizer.gradient`.

    Attributes
    ----------
    figures : ndarray of shape (3,), float64
        Sum of the losses, number of their terms, and the position of the first example that failed; infinity
        if none did. If one failed, the other values mean nothing.
    """

    __slots__ = ("figures", "gradient")

    def __init__(self, gradient: FloatArray) -> None:
        self.gradient = gradient
        self.figures = np.array([0.0, 0.0, np.inf])

    def count(self, loss: float, terms: float, failed: float = np.inf) -> None:
        """Add the figures of further examples."""
        self.figures[LOSS] += loss
        self.figures[TERMS] += terms
        self.figures[FAILED] = min(self.figures[FAILED], failed)

    def add(self, other: Sum) -> None:
        """Add the sum over the examples that follow."""
        self.count(*other.figures.tolist())
        if self.figures[FAILED] == np.inf:  # else it was never written
            self.gradient += other.gradient


@unique
class Order(IntEnum):
    """What rank 0 tells the other ranks to do; further numbers and texts follow."""

    LEAVE = 0  # end
    PREPARE = 1  # assemble a run
    SYNCHRONISE = 2  # take over the arrays of the network
    STEP = 3  # compute gradients of examples of a minibatch
    NEXT_STAGE = 4  # begin the next stage of the run
    COPY = 5  # work on a copy of the run
    DROP = 6  # return to the run that was copied
    TELL = 7  # send the error that ended the last step on one rank


class Ranks:
    """The only process of a run. Subclasses connect several.

    Rank 0 leads: it alone applies steps, validates, writes and reports. The others follow its orders.

    Attributes
    ----------
    rank, size : int
        Number of this process, from 0, and number of all.
    neighbours : int
        Number of processes on this machine.
    """

    rank, size, neighbours = 0, 1, 1

    def __init__(self) -> None:
        self.error: Exception | None = None
        self._sent: deque[Sum] = deque()

    def owned(self, count: int) -> range:
        """Return the positions in a minibatch that this rank computes.

        Parameters
        ----------
        count : int
            Size of the minibatch; at least 1.

        Returns
        -------
        range
            Consecutive positions. Rank 0 has the first one; some ranks have none if there are more ranks than
            positions.
        """
        return range(-(-self.rank * count // self.size), -(-(self.rank + 1) * count // self.size))

    def owner(self, position: int, count: int) -> int:
        """Return the rank that computes a position in a minibatch of this size."""
        return position * self.size // count

    def order(self, order: Order, *numbers: int, text: str = "") -> None:
        """Tell the ranks that follow what to do next."""

    def share(self, arrays: Iterable[FloatArray]) -> None:
        """Overwrite arrays, in place, by those of rank 0."""

    def expect(self, rank: int, total: Sum) -> None:
        """Provide the memory for a sum that a rank will send; in the order in which it sends them."""

    def send(self, rank: int, total: Sum) -> None:
        """Begin to send a sum, which must not change until `finish`, to a rank that expects it."""
        self._sent.append(total)

    def receive(self, rank: int) -> Sum:
        """Wait for the oldest sum that is expected from a rank."""
        return self._sent.popleft()

    def progress(self) -> None:
        """Let messages proceed that are on their way."""

    def finish(self, error: Exception | None) -> None:
        """End a step: wait until everything is sent, and keep the error of an example of this rank."""
        self.error = error

    def failure(self, rank: int) -> Exception:
        """Return the error of the last step that a rank has kept; rank 0 calls it."""
        error, self.error = self.error, None  # it holds the arrays of the step
        return error or Lstm2dError(f"rank {rank} has failed without an error")
