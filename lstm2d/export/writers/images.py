"""Operations with windows of pixels, whose ONNX operators have the channels first."""

from __future__ import annotations

from lstm2d.export.graph import Graph, Value
from lstm2d.export.writers.arguments import Arguments
from lstm2d.export.writers.dense import elementwise
from lstm2d.tensor import FloatArray

ACTIVATIONS = {"relu": "Relu", "tanh": "Tanh"}


def conv2d(g: Graph, a: Arguments) -> Value:
    """Write `lstm2d.ops.conv2d`."""
    weight = a.parameter("weight").transpose(3, 2, 0, 1)  # (C_out, C_in, kh, kw)
    return _convolution(g, a, "Conv", weight, dilations=a.pair("dilation"))


def conv_transpose2d(g: Graph, a: Arguments) -> Value:
    """Write `lstm2d.ops.conv_transpose2d`."""
    weight = a.parameter("weight").transpose(2, 3, 0, 1)  # (C_in, C_out, kh, kw)
    return _convolution(g, a, "ConvTranspose", weight)


def _convolution(g: Graph, a: Arguments, operator: str, weight: FloatArray, **more: list[int]) -> Value:
    bias = a.optional("bias")
    y = g.add(
        operator,
        a.value().first,
        g.constant(weight),
        None if bias is None else g.constant(bias),
        kernel_shape=[*weight.shape[2:]],
        strides=a.pair("stride"),
        pads=a.pair("padding") * 2,
        **more,
    )
    activation, result = a.fixed("activation"), Value(g, first=y)
    return result if activation is None else elementwise(g, ACTIVATIONS[activation], result)


def max_pool2d(g: Graph, a: Arguments) -> Value:
    """Write `lstm2d.ops.max_pool2d`."""
    y = g.add(
        "MaxPool",
        a.value().first,
        kernel_shape=a.pair("size"),
        strides=a.pair("stride"),
        pads=a.pair("padding") * 2,
        dilations=a.pair("dilation"),
    )
    return Value(g, first=y)


def avg_pool2d(g: Graph, a: Arguments) -> Value:
    """Write `lstm2d.ops.avg_pool2d`."""
    y = g.add(
        "AveragePool",
        a.value().first,
        kernel_shape=a.pair("size"),
        strides=a.pair("stride"),
        pads=a.pair("padding") * 2,
        count_include_pad=1,
    )
    return Value(g, first=y)


def local_response_norm(g: Graph, a: Arguments) -> Value:
    """Write `lstm2d.ops.local_response_norm`; ONNX's operator where the window is symmetrical."""
    x, size = a.value(), int(a.fixed("size"))
    alpha, beta, k = (float(a.fixed(name)) for name in ("alpha", "beta", "k"))
    if a.rank == 4 and size % 2:
        return Value(g, first=g.add("LRN", x.first, alpha=alpha, beta=beta, bias=k, size=size))
    last = a.rank - 1
    before, channels = size // 2, g.size(x.last, last)
    sides = [0] * last
    pads = g.integers(*sides, before, *sides, size - 1 - before)
    squares = g.add("Pad", g.add("Mul", x.last, x.last), pads)
    parts = [
        g.slice(squares, [last], [start], [g.add("Add", channels, g.integers(start))])
        for start in range(size)
    ]
    mean = g.add("Mul", g.add("Sum", *parts), g.constant(alpha / size))
    base = g.add("Pow", g.add("Add", mean, g.constant(k)), g.constant(-beta))
    return Value(g, g.add("Mul", x.last, base))
