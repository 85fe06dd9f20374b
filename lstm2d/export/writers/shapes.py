"""Operations that move values: cutting, padding, resampling, windows, order of axes."""

from __future__ import annotations

from lstm2d.export.graph import TO_FIRST, TO_LAST, Graph, Value
from lstm2d.export.resampling import bilinear, cubic, reflected, repeated
from lstm2d.export.writers.arguments import Arguments


def concatenate(g: Graph, a: Arguments) -> Value:
    """Write `lstm2d.ops.concatenate`."""
    values = [a.value(name) for name in a.names]
    if all(value.has_first for value in values):
        return Value(g, first=g.add("Concat", *(value.first for value in values), axis=1))
    return Value(g, g.add("Concat", *(value.last for value in values), axis=-1))


def crop(g: Graph, a: Arguments) -> Value:
    """Write `lstm2d.ops.crop`."""
    x = a.value()
    starts, ends = ([a.number(name) for name in sides] for sides in (("top", "left"), ("bottom", "right")))
    if x.has_first:
        return Value(g, first=g.slice(x.first, [2, 3], starts, ends))
    return Value(g, g.slice(x.last, [1, 2], starts, ends))


def pad2d(g: Graph, a: Arguments) -> Value:
    """Write `lstm2d.ops.pad2d`."""
    x = a.value()
    top, bottom, left, right = a.fixed("padding")
    if a.fixed("mode") == "reflect":
        rows = reflected(g, x.last, 1, x.size(1), top, bottom) if top + bottom else x.last
        return Value(g, reflected(g, rows, 2, x.size(2), left, right) if left + right else rows)
    if x.has_first:
        return Value(g, first=g.add("Pad", x.first, g.integers(0, 0, top, left, 0, 0, bottom, right)))
    return Value(g, g.add("Pad", x.last, g.integers(0, top, left, 0, 0, bottom, right, 0)))


def reshape(g: Graph, a: Arguments) -> Value:
    """Write `lstm2d.ops.reshape`."""
    return Value(g, g.add("Reshape", a.value().last, g.shape(*a.numbers("shape")), allowzero=1))


def transpose(g: Graph, a: Arguments) -> Value:
    """Write `lstm2d.ops.transpose`, which costs nothing where the tensor exists in that order."""
    x, axes = a.value(), tuple(a.fixed("axes"))
    if axes == TO_FIRST:
        return Value(g, x.first)
    if axes == TO_LAST:
        return Value(g, first=x.last)
    return Value(g, g.add("Transpose", x.last, perm=axes))


def window_gather(g: Graph, a: Arguments) -> Value:
    """Write `lstm2d.ops.window_gather`."""
    x, window = a.value(), int(a.fixed("window"))
    n, height, width, channels = (x.size(axis) for axis in range(4))
    rows, columns = (g.add("Div", side, g.integers(window)) for side in (height, width))
    split = g.add("Reshape", x.last, g.shape(n, rows, window, columns, window, channels))
    ordered = g.add("Transpose", split, perm=[0, 1, 3, 2, 4, 5])
    return Value(g, g.add("Reshape", ordered, g.shape(n, rows, columns, -1)))


def bilinear_resize(g: Graph, a: Arguments) -> Value:
    """Write `lstm2d.ops.bilinear_resize`."""
    x, corners = a.value(), bool(a.fixed("align_corners"))
    rows = bilinear(g, x.last, 1, x.size(1), a.number("height"), corners)
    return Value(g, bilinear(g, rows, 2, x.size(2), a.number("width"), corners))


def cubic_resize(g: Graph, a: Arguments) -> Value:
    """Write `lstm2d.ops.cubic_resize`."""
    x = a.value()
    rows = cubic(g, x.last, 1, x.size(1), a.number("height"))
    return Value(g, cubic(g, rows, 2, x.size(2), a.number("width")))


def repeat_cells(g: Graph, a: Arguments) -> Value:
    """Write `lstm2d.ops.repeat_cells`."""
    x, spacing = a.value(), int(a.fixed("spacing"))
    rows = repeated(g, x.last, 1, spacing, x.size(1), a.number("height"))
    return Value(g, repeated(g, rows, 2, spacing, x.size(2), a.number("width")))
