"""Resampling and repetition along an axis, with places that are computed at run time."""

from __future__ import annotations

import numpy as np

from lstm2d.export.graph import Graph
from lstm2d.kernels.taps import KEYS

DOUBLE = 11  # ONNX's numbers of types
FLOAT, INT64 = 1, 7


def places(g: Graph, count: str) -> str:
    """Return 0, 1, ... up to a number of shape (1,), int64."""
    zero = g.constant(0, np.int64)
    return g.add("Range", zero, g.add("Squeeze", count), g.constant(1, np.int64))


def bilinear(g: Graph, x: str, axis: int, size: str, new_size: str, align_corners: bool) -> str:
    """Resample the rows (axis 1) or columns (axis 2) of images linearly, as `lstm2d.ops.bilinear_resize`."""
    old, new, index = (_double(g, name) for name in (size, new_size, places(g, new_size)))
    one = g.constant([1.0], np.float64)
    if align_corners:
        steps = g.add("Max", g.add("Sub", new, one), one)
        place = g.add("Mul", index, g.add("Div", g.add("Sub", old, one), steps))
    else:
        place = g.add("Max", _centres(g, index, old, new), g.constant([0.0], np.float64))
    last = g.add("Sub", old, one)
    low = g.add("Min", g.add("Floor", place), last)
    high = g.add("Min", g.add("Add", low, one), last)
    part = g.add("Sub", place, low)
    return _weighted(g, x, axis, [(low, g.add("Sub", one, part)), (high, part)])


def cubic(g: Graph, x: str, axis: int, size: str, new_size: str) -> str:
    """Resample the rows (axis 1) or columns (axis 2) of images by cubic convolution, as `cubic_resize`."""
    old, new, index = (_double(g, name) for name in (size, new_size, places(g, new_size)))
    place = _centres(g, index, old, new)
    low = g.add("Floor", place)
    part = g.add("Sub", place, low)
    one, zero = g.constant([1.0], np.float64), g.constant([0.0], np.float64)
    last = g.add("Sub", old, one)
    rest = g.add("Sub", one, part)
    near = (KEYS + 2, -(KEYS + 3), 0.0, 1.0)
    far = (KEYS, -5 * KEYS, 8 * KEYS, -4 * KEYS)
    taps = []
    for step, distance, polynomial in (
        (-1.0, g.add("Add", part, one), far),
        (0.0, part, near),
        (1.0, rest, near),
        (2.0, g.add("Add", rest, one), far),
    ):
        source = g.add("Add", low, g.constant([step], np.float64))
        taps.append((g.add("Min", g.add("Max", source, zero), last), _polynomial(g, polynomial, distance)))
    return _weighted(g, x, axis, taps)


def repeated(g: Graph, x: str, axis: int, spacing: int, count: str, new_size: str) -> str:
    """Repeat rows (axis 1) or columns (axis 2) as `lstm2d.ops.repeat_cells`."""
    square = g.add("Div", places(g, new_size), g.integers(spacing))
    last = g.add("Sub", count, g.integers(1))
    return g.add("Gather", x, g.add("Min", square, last), axis=axis)


def reflected(g: Graph, x: str, axis: int, size: str, before: int, after: int) -> str:
    """Add rows or columns by reflection that does not repeat the border, as often as needed."""
    total = g.add("Add", size, g.integers(before + after))
    place = g.add("Sub", places(g, total), g.integers(before))
    last = g.add("Sub", size, g.integers(1))
    both = g.add("Mul", last, g.integers(2))
    way = g.add("Mod", place, g.add("Max", both, g.integers(1)))  # not negative: the sign is the divisor's
    back = g.add("Sub", both, way)
    return g.add("Gather", x, g.add("Max", g.add("Min", way, back), g.integers(0)), axis=axis)


def cast(g: Graph, x: str, kind: int) -> str:
    """Return a tensor as another type."""
    return g.add("Cast", x, to=kind)


def _double(g: Graph, x: str) -> str:
    return cast(g, x, DOUBLE)


def _centres(g: Graph, index: str, old: str, new: str) -> str:
    """Return the centres of the new pixels in units of old ones, from the first old centre."""
    half = g.constant([0.5], np.float64)
    return g.add("Sub", g.add("Mul", g.add("Add", index, half), g.add("Div", old, new)), half)


def _polynomial(g: Graph, factors: tuple[float, ...], x: str) -> str:
    """Return a polynomial by Horner's rule; the highest power comes first."""
    result = g.constant([factors[0]], np.float64)
    for factor in factors[1:]:
        result = g.add("Add", g.add("Mul", result, x), g.constant([factor], np.float64))
    return result


def _weighted(g: Graph, x: str, axis: int, taps: list[tuple[str, str]]) -> str:
    """Return the sum of rows or columns times weights, in the order of the taps."""
    after = g.integers(-1, *[1] * (3 - axis))
    total = None
    for place, weight in taps:
        values = g.add("Gather", x, cast(g, place, INT64), axis=axis)
        product = g.add("Mul", values, g.add("Reshape", cast(g, weight, FLOAT), after))
        total = product if total is None else g.add("Add", total, product)
    assert total is not None
    return total
