"""Gradients of the examples of a minibatch, summed in an order that does not depend on who computes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lstm2d import kernels
from lstm2d.training.optimizer import Optimizer
from lstm2d.training.ranks import FAILED, LOSS, TERMS, Ranks, Sum

Example = Callable[[int], tuple[float, float]]


def middle_of(low: int, high: int) -> int:
    """Return where a range of at least two positions is divided: the largest power of two leaves a rest."""
    return low + (1 << (high - low - 1).bit_length() - 1)


def spare_sums(count: int, ranks: Ranks) -> int:
    """Return how many sums a process holds at most at the same time, besides that in `Optimizer.gradient`.

    Parameters
    ----------
    count : int
        Number of examples.
    ranks : Ranks
        Those that share the work: what they send has its memory too.

    Returns
    -------
    int
        About the logarithm of `count`.
    """
    levels = (count - 1).bit_length()
    return max(0, levels - 1) + (levels if ranks.size > 1 else 0)


def tree_sum(count: int, example: Example, optimizer: Optimizer, ranks: Ranks) -> tuple[float, float]:
    r"""Sum the gradients of the examples of a minibatch.

    Parameters
    ----------
    count : int
        Number of examples; at least 1.
    example : callable
        Takes the position of an example, from 0. Adds its gradient to the `grad` of the parameters, and
        returns its loss and the number of terms.
    optimizer : Optimizer
        Owner of the parameters. On rank 0, its `gradient` and their `grad` hold the sum in the end.
    ranks : Ranks
        Those that share the work; all call this with the same count.

    Returns
    -------
    loss, terms : float
        Sums over all examples on rank 0; on others they mean nothing.

    Raises
    ------
    Exception
        On rank 0, what `example` has raised, on any rank, for the first example that failed. The other ranks
        keep their errors in `ranks`.

    Notes
    -----
    The sum over positions :math:`[l, h)` is that over :math:`[l, m)` plus that over :math:`[m, h)`, where
    :math:`m - l` is the largest power of two below :math:`h - l`. Each rank adds what lies in its own range
    of positions; a sum that begins in the range of one rank and ends in that of another is added on the
    first. So the additions, and the bits of the result, are the same for any number of ranks.

    `spare_sums` is the number of vectors of the size of the gradient that this takes.
    """
    return _Step(count, example, optimizer, ranks).run()


class _Step:
    """The sum of one minibatch, on one rank."""

    def __init__(self, count: int, example: Example, optimizer: Optimizer, ranks: Ranks) -> None:
        self.count, self.example, self.optimizer, self.ranks = count, example, optimizer, ranks
        self.owned = ranks.owned(count)
        self.error: Exception | None = None

    def run(self) -> tuple[float, float]:
        """Compute and exchange the sums of this rank."""
        ranks = self.ranks
        total = Sum(self.optimizer.gradient)
        pieces = list(self._pieces(0, self.count, 0))
        for low, high, _ in pieces:
            for middle in self._received(low, high):
                ranks.expect(ranks.owner(middle, self.count), self._empty())
        for low, high, before in pieces:
            if low == 0:
                self._sum(low, high, total)
            else:
                ranks.send(ranks.owner(before, self.count), self._sum(low, high, self._empty()))
        ranks.finish(self.error)
        if ranks.rank == 0:
            if total.figures[FAILED] < self.count:
                raise ranks.failure(ranks.owner(int(total.figures[FAILED]), self.count))
            self.optimizer.spread()
        return float(total.figures[LOSS]), float(total.figures[TERMS])

    def _empty(self) -> Sum:
        like = self.optimizer.gradient
        return Sum(kernels.empty(like.shape, like.dtype, like=like))

    def _pieces(self, low: int, high: int, before: int) -> Iterator[tuple[int, int, int]]:
        """Yield the largest ranges that begin on this rank, and where the range before them begins."""
        if low in self.owned:
            yield low, high, before
        elif high - low > 1 and low < self.owned.stop:
            middle = middle_of(low, high)
            yield from self._pieces(low, middle, before)
            yield from self._pieces(middle, high, low)

    def _received(self, low: int, high: int) -> Iterator[int]:
        """Yield where the ranges begin that other ranks send for a sum of this rank, in order."""
        if high - low > 1:
            middle = middle_of(low, high)
            yield from self._received(low, middle)
            if middle in self.owned:
                yield from self._received(middle, high)
            else:
                yield middle

    def _sum(self, low: int, high: int, total: Sum) -> Sum:
        """Write the sum over a range, which begins on this rank, into `total`; return it."""
        if high - low == 1:
            return self._leaf(low, total, add=False)
        middle = middle_of(low, high)
        self._sum(low, middle, total)
        if middle not in self.owned:
            total.add(self.ranks.receive(self.ranks.owner(middle, self.count)))
        elif high - middle == 1:
            self._leaf(middle, total, add=True)
        else:
            total.add(self._sum(middle, high, self._empty()))
        return total

    def _leaf(self, position: int, total: Sum, *, add: bool) -> Sum:
        """Write or add the gradient of an example."""
        self.optimizer.zero_grad()
        if self.error is None:
            try:
                total.count(*self.example(position))
            except Exception as error:  # raised on rank 0, after all ranks have ended the step
                self.error = error
        if self.error is not None:  # the sum means nothing any more, but other ranks wait for it
            total.count(0.0, 0.0, position)
            return total
        self.optimizer.gather(total.gradient, add=add)
        self.optimizer.zero_grad()
        self.ranks.progress()
        return total
