"""Operations on each position: linear layers, activations, normalisation, softmax."""

from __future__ import annotations

import numpy as np

from lstm2d.export.graph import Graph, Value
from lstm2d.export.resampling import DOUBLE, FLOAT, cast
from lstm2d.export.writers.arguments import Arguments


def elementwise(g: Graph, op: str, x: Value) -> Value:
    """Apply an operator to each element, in the order of axes that exists."""
    return Value(g, first=g.add(op, x.first)) if x.has_first else Value(g, g.add(op, x.last))


def relu(g: Graph, a: Arguments) -> Value:
    """Write `lstm2d.ops.relu`."""
    return elementwise(g, "Relu", a.value())


def tanh(g: Graph, a: Arguments) -> Value:
    """Write `lstm2d.ops.tanh`."""
    return elementwise(g, "Tanh", a.value())


def sigmoid(g: Graph, a: Arguments) -> Value:
    """Write `lstm2d.ops.sigmoid`."""
    return elementwise(g, "Sigmoid", a.value())


def scale(g: Graph, a: Arguments) -> Value:
    """Write `lstm2d.ops.scale`."""
    x, factor = a.value(), g.constant(a.fixed("factor"))
    if x.has_first:
        return Value(g, first=g.add("Mul", x.first, factor))
    return Value(g, g.add("Mul", x.last, factor))


def add(g: Graph, a: Arguments) -> Value:
    """Write `lstm2d.ops.add`."""
    x, y = a.value("x"), a.value("y")
    if x.has_first and y.has_first:
        return Value(g, first=g.add("Add", x.first, y.first))
    return Value(g, g.add("Add", x.last, y.last))


def linear(g: Graph, a: Arguments) -> Value:
    """Write `lstm2d.ops.linear`: a product, or a 1x1 convolution where the channels come first."""
    x, weight, bias = a.value(), a.parameter("weight"), a.optional("bias")
    if x.has_first:
        kernel = g.constant(weight.T[:, :, np.newaxis, np.newaxis])
        return Value(g, first=g.add("Conv", x.first, kernel, None if bias is None else g.constant(bias)))
    product = g.add("MatMul", x.last, g.constant(weight))
    return Value(g, product if bias is None else g.add("Add", product, g.constant(bias)))


def softmax(g: Graph, a: Arguments) -> Value:
    """Write `lstm2d.ops.softmax`."""
    return Value(g, g.add("Softmax", a.value().last, axis=-1))


def clip_normalise(g: Graph, a: Arguments) -> Value:
    """Write `lstm2d.ops.clip_normalise`."""
    x = a.value().last
    positive = g.add("Max", x, g.constant(0.0))
    total = g.add("ReduceSum", positive, g.integers(-1), keepdims=1)
    classes = cast(g, g.add("Shape", x, start=-1), FLOAT)
    # a row without a positive value becomes uniform
    even = g.add("Equal", total, g.constant(0.0))
    filled = g.add("Where", even, g.constant(1.0), positive)
    return Value(g, g.add("Div", filled, g.add("Where", even, classes, total)))


def direction_sum(g: Graph, a: Arguments) -> Value:
    """Write `lstm2d.ops.direction_sum`."""
    return Value(g, g.add("Sum", *g.add_several("Split", 4, a.value().last, axis=-1)))


def batch_norm(g: Graph, a: Arguments) -> Value:
    """Write `lstm2d.ops.batch_norm` with the running statistics."""
    x = a.value()
    mean, variance = (a.parameter(name).astype(np.float64) for name in ("mean", "var"))
    scale, shift = a.optional("scale"), a.optional("shift")
    factor = 1 / np.sqrt(variance + a.fixed("eps"))
    if scale is not None:
        factor = factor * scale
    centre = mean.astype(np.float32)
    offset = factor * (centre - mean) + (0.0 if shift is None else shift)
    first = x.has_first
    shape = (-1, 1, 1) if first else (-1,)
    names = [g.constant(values.reshape(shape)) for values in (centre, factor, offset)]
    centred = g.add("Sub", x.first if first else x.last, names[0])
    result = g.add("Add", g.add("Mul", centred, names[1]), names[2])
    return Value(g, first=result) if first else Value(g, result)


def l2_normalise(g: Graph, a: Arguments) -> Value:
    """Write `lstm2d.ops.l2_normalise`; the sum of squares is one of float64, as ours."""
    x = a.value()
    name = x.first if x.has_first else x.last
    axes = g.integers(*range(1, a.rank))
    wide = cast(g, name, DOUBLE)
    square = g.add("ReduceSum", g.add("Mul", wide, wide), axes, keepdims=1)
    # where all are 0 the quotient is 0 too
    norm = g.add("Sqrt", g.add("Max", square, g.constant(np.finfo(np.float64).tiny, np.float64)))
    factor = g.add("Div", g.constant(a.fixed("scale"), np.float64), norm)
    result = cast(g, g.add("Mul", wide, factor), FLOAT)
    return Value(g, first=result) if x.has_first else Value(g, result)
