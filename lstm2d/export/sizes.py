"""Numbers that follow from the size of the image, found from their values for several sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lstm2d.errors import ConfigError

Dimensions = Sequence[Sequence[tuple[int, ...]]]  # of each trace: the shape of each value


@dataclass(frozen=True, slots=True)
class Size:
    """A number that is a linear function of a dimension, at most a limit.

    Parameters
    ----------
    value : int
        Number of the value in the trace.
    axis : int
        Its axis.
    factor, offset : int
        The number is ``factor * dimension + offset``.
    limit : int, optional
        At most this.
    """

    value: int
    axis: int
    factor: int
    offset: int
    limit: int | None = None

    def of(self, dimension: int) -> int:
        """Return the number for a dimension."""
        number = self.factor * dimension + self.offset
        return number if self.limit is None else min(self.limit, number)


def find(numbers: Sequence[int], dimensions: Dimensions, first: Sequence[int], what: str) -> int | Size:
    """Return what gives a number for every size of the image.

    Parameters
    ----------
    numbers : sequence of int
        The number in each trace.
    dimensions : sequence of sequence of tuple of int
        The shapes of the values that exist by then, trace by trace.
    first : sequence of int
        Values to try first: the inputs of the operation.
    what : str
        For the message.

    Returns
    -------
    int or Size
        The number itself if it is the same in all traces.

    Raises
    ------
    ConfigError
        If it is no linear function of any dimension.
    """
    if len(set(numbers)) == 1:
        return numbers[0]
    for limited in (False, True):
        for value in [*first, *range(len(dimensions[0]) - 1, -1, -1)]:
            for axis in range(len(dimensions[0][value])):
                sizes = [shapes[value][axis] for shapes in dimensions]
                for found in _candidates(value, axis, sizes, numbers, limited):
                    if all(found.of(size) == number for size, number in zip(sizes, numbers, strict=True)):
                        return found
    raise ConfigError(
        f"{what} depends on the size of the image in a way that has no ONNX form here",
        expected="a linear function of the size of a layer",
    )


def _candidates(
    value: int, axis: int, sizes: Sequence[int], numbers: Sequence[int], limited: bool
) -> Iterator[Size]:
    pairs = sorted({*zip(sizes, numbers, strict=True)})
    if limited:
        limit = max(numbers)
        below = [(size, number) for size, number in pairs if number < limit]
        if below and sum(number == limit for _, number in pairs) > 1:
            yield Size(value, axis, 1, below[0][1] - below[0][0], limit)
        return
    (low, a), (high, b) = pairs[0], pairs[-1]
    if high > low and (b - a) % (high - low) == 0:
        factor = (b - a) // (high - low)
        yield Size(value, axis, factor, a - factor * low)
