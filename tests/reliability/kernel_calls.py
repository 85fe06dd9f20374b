"""Random calls of every operation: sizes of 0, windows larger than the image, gaps, all options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from numpy.random import Generator

from lstm2d import Tensor, kernels, ops
from lstm2d.ops.windows import window_targets
from lstm2d.selftest import Case
from lstm2d.selftest.case import Shape
from lstm2d.selftest.cases import draws

SIDES = [0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12]
CHANNELS = [0, 1, 1, 2, 3, 4, 5, 8, 16, 17, 19, 33]
UNITS = [0, 1, 2, 3, 4, 5, 8, 9]
LOOSE = (2e-4, 1e-10)  # Winograd's method; the others are far below
Pair = tuple[int, int]


class Draw:
    """Random sizes and options from one generator."""

    def __init__(self, rng: Generator) -> None:
        self.rng = rng

    def one(self, values: list[Any]) -> Any:
        """Return one of the values."""
        return values[int(self.rng.integers(len(values)))]

    def whole(self, low: int, high: int) -> int:
        """Return a number from low to high, both included."""
        return int(self.rng.integers(low, high + 1))

    def pair(self, low: int, high: int) -> Pair:
        """Return two such numbers, half of the time equal ones."""
        first, second = self.whole(low, high), self.whole(low, high)
        return (first, first) if self.whole(0, 1) else (first, second)

    def fitting(self, length: int, apart: int, most: int) -> int:
        """Return a number of taps, `apart` from each other, that an axis has room for; sometimes of any."""
        room = (length - 1) // apart + 1
        return self.whole(0, most) if room < 1 or self.whole(0, 9) == 0 else self.whole(1, min(most, room))

    def images(self, sides: list[int] = SIDES, channels: list[int] = CHANNELS) -> Shape:
        """Return the shape of images: (N, H, W, C)."""
        return self.one([0, 1, 1, 1, 2, 3]), self.one(sides), self.one(sides), self.one(channels)

    def any_shape(self) -> Shape:
        """Return a shape of one to four axes."""
        return self.images()[-self.whole(1, 4) :]


def _elementwise(d: Draw, op: str) -> Case:
    shape = d.any_shape()
    if op == "direction_sum":
        shape = (*shape[:-1], d.one([4, 4, 4, 1]) * shape[-1])
    second = {"add": [tuple(d.one([n, n, n, 1]) for n in shape)[d.whole(0, len(shape)) :]]}.get(op, [])
    options = {"factor": d.one([0.0, -2.5])} if op == "scale" else {}
    draw = d.one([draws.normal, draws.special]) if op in ("tanh", "sigmoid", "relu") else draws.normal
    return Case(op, (shape, *second), options, draw=draw, family="elementwise", error=(2e-5, 1e-12))


def _linear(d: Draw, op: str) -> Case:
    x, outputs = d.any_shape(), d.one(CHANNELS)
    shapes: tuple[Shape, ...] = (x, (x[-1] + d.one([0] * 9 + [1]), outputs))
    return Case(op, (*shapes, (outputs,)) if d.whole(0, 1) else shapes, family="linear", error=(2e-5, 1e-12))


def _conv(d: Draw, op: str) -> Case:
    x, outputs = d.images(), d.one(CHANNELS)
    padding = d.one([(0, 0), (1, 1), d.pair(0, 9 if op == "conv2d" else 2)])
    dilation = d.one([(1, 1), (1, 1), (2, 2), d.pair(1, 7)])
    kernel = tuple(d.fitting(x[k + 1] + 2 * padding[k], dilation[k], 9) for k in (0, 1))
    if d.whole(0, 2) == 0:
        kernel = d.one([(1, 1), (2, 2), (3, 3), (3, 3), (4, 4)])
    options: dict[str, Any] = {
        "stride": d.one([1, 1, max((1, 1), kernel), d.pair(1, 12)]),
        "padding": padding,
    }
    options["activation"] = d.one([None, "relu", "tanh"])
    if op == "conv2d":
        options["dilation"] = dilation
    shapes: tuple[Shape, ...] = (x, (*kernel, x[3], outputs))
    if d.whole(0, 1):
        shapes = (*shapes, (outputs,))
    return Case(op, shapes, options, family="conv", error=LOOSE)


def _pool(d: Draw, op: str) -> Case:
    x, dilation = d.images(), d.one([(1, 1), d.pair(1, 5)]) if op == "max_pool2d" else (1, 1)
    sizes = tuple(d.fitting(x[k + 1], dilation[k], 12) for k in (0, 1))
    padding: Any = tuple(d.whole(0, size // 2) for size in sizes)
    if d.whole(0, 2) == 0:  # the padding has room for every size: also around an image without pixels
        sizes, dilation = d.one([d.pair(2, 4), d.pair(15, 18), (300, 2), (1 << 20, 1 << 12)]), (1, 1)
        sizes = tuple(size - size % 2 for size in sizes)
        padding = tuple(size // 2 for size in sizes)
    options = {"size": sizes, "stride": d.one([None, 1, d.pair(1, 12), (1 << 40, 3)]), "padding": padding}
    if op == "max_pool2d":
        options["dilation"] = dilation
    draw = d.one([draws.normal, draws.ties, draws.with_nan])
    return Case(op, (x,), options, draw=draw, family="pool", error=(1e-5, 1e-13))


def _resize(d: Draw, op: str) -> Case:
    options: dict[str, Any] = {"height": d.one([-1, *SIDES]), "width": d.one(SIDES)}
    if op == "bilinear_resize":
        options["align_corners"] = bool(d.whole(0, 1))
    return Case(op, (d.images(),), options, family="resize", error=(1e-5, 1e-12))


def _repeated(d: Draw, op: str) -> Case:
    options = {"spacing": d.one([0, 1, 2, 5]), "height": d.one([-1, *SIDES]), "width": d.one(SIDES)}
    return Case(op, (d.images(),), options, error=(1e-5, 1e-12))


def _windows(d: Draw, op: str) -> Case:
    window = d.whole(0, 5)
    n, h, w, c = d.images([0, 1, 1, 2, 3])
    shape = (n, h * window, w * window + d.one([0] * 5 + [1]), c)
    return Case(op, (shape,), {"window": window}, family="windows", error=(0, 0))


def _targets(d: Draw, op: str) -> Case:
    window, classes, ignore = d.whole(1, 4), d.whole(1, 9), d.one([255, 0])
    shape = (d.whole(0, 2), d.whole(0, 3) * window, d.whole(0, 3) * window)
    arrays = {"labels": draws.labels(shape, classes, ignore, d.one(["uint8", "int16", "int64"]))}
    arrays |= {"class_weights": draws.fractions(classes)} if d.whole(0, 1) else {}
    options = {"window": window, "n_classes": classes - d.one([0] * 5 + [1]), "ignore_index": ignore}
    return Case(op, options=options, arrays=arrays, call=window_targets, family="windows", error=(1e-6, 1e-6))


def _best(x: Any, height: int, width: int) -> Any:
    return kernels.pick("resize", like=x).bilinear_argmax(x, height, width)


def _argmax(d: Draw, op: str) -> Case:
    shape = d.images([1, 2, 3, 7], [1, 2, 5, 200, 256])[1:]
    options = {"height": d.whole(0, 9), "width": d.whole(0, 9)}
    return Case(op, options=options, arrays={"x": draws.fractions(*shape)}, call=_best, family="resize")


def _rnn(d: Draw, op: str) -> Case:
    x, units = d.images(SIDES[:8], CHANNELS[:9]), d.one([*UNITS, 17, 34])
    gates = {"gru_sweep": 3, "lstm_sweep": 4, "rnn_sweep": 1}[op] * units
    options: dict[str, Any] = {"axis": d.one([1, 2, 1, 2, 1, 2, 3])}
    if op == "rnn_sweep":
        options["activation"] = d.one(["tanh", "relu"])
    shapes = (x, (2, x[3], gates), (2, units, gates), (2, gates))
    return Case(op, shapes, options, family="rnn", error=(1e-4, 1e-11))


def _layer(d: Draw, op: str) -> Case:
    x, units = d.images(SIDES[:8], CHANNELS[:9]), d.one(UNITS)
    shapes: tuple[Shape, ...] = (
        x,
        (4, x[3], 5 * units),
        (4, 2 * units, 5 * units + d.one([0] * 9 + [1])),
        (4, 5 * units),
    )
    if d.whole(0, 1):
        shapes = (*shapes, (4, 5, units))
    options = {
        "cell_scale": d.one([1.0, 0.5]),
        "leaky": bool(d.whole(0, 1)),
        "gate_clip": d.one([None, 0.01]),
    }
    return Case(op, shapes, options, family="lstm2d", error=(1e-4, 1e-11))


def _normalised(x: Tensor, *affine: Tensor, mean: Any, var: Any, **options: Any) -> Tensor:
    return ops.batch_norm(x, mean, var, *affine, **options)


def _batch(d: Draw, op: str) -> Case:
    x, training = d.any_shape(), bool(d.whole(0, 1))
    c = x[-1:]
    return Case(
        op,
        (x, *d.whole(0, 2) * (c,)),
        {"training": training, "eps": 0.1},
        {"mean": draws.normals(*c), "var": draws.fractions(*c)},
        ("mean", "var") if training else (),
        call=_normalised,
        family="norm",
        error=(1e-4, 1e-11),
    )


def _norm(d: Draw, op: str) -> Case:
    x, options = d.any_shape(), {"scale": 10.0}
    if op == "l2_normalise":
        x = (*x, d.one([0, 2, 3, 17]))  # the gradient of a single value is 0, rounded
    else:
        options = {"size": d.one([0, 1, 2, 5, 40, 1 << 16]), "alpha": 0.7, "k": 1.5}
        options["beta"] = d.one([0.5, 0.75, 1.0, 0.3])
    return Case(op, (x,), options, family="norm", error=(2e-5, 1e-12))


def _loss(d: Draw, op: str) -> Case:
    x = d.any_shape()
    arrays: dict[str, Any] = {}
    options: dict[str, Any] = {}
    if op == "cross_entropy":
        ignore = d.one([255, -1, 0])
        kind = d.one(["int64", "int16"] if ignore < 0 else ["int64", "uint8"])
        arrays = {"labels": draws.labels(x[:-1], max(1, x[-1] + d.one([0] * 9 + [1])), ignore, kind)}
        arrays |= {"class_weights": draws.fractions(x[-1])} if d.whole(0, 1) else {}
        options = {"ignore_index": ignore}
    elif op == "soft_cross_entropy":
        arrays = {"targets": draws.fractions(*x)}
        arrays |= {"weight": draws.fractions(*x[:-1])} if d.whole(0, 1) else {}
    draw = draws.normal  # the gradient of a probability near 1 is a difference of equal values
    if arrays:
        options["reduction"], draw = d.one(["mean", "sum"]), d.one([draws.normal, draws.wide])
    return Case(op, (x,), options, arrays, draw=draw, family="softmax", error=(1e-4, 1e-11))


def _side_by_side(*tensors: Tensor) -> Tensor:
    return ops.concatenate(tensors)


def _shape(d: Draw, op: str) -> Case:
    x = d.images()
    if op == "concatenate":
        several = tuple((*x[:-1], d.one(CHANNELS)) for _ in range(d.whole(1, 3)))
        return Case(op, several, call=_side_by_side, error=(0, 0))
    if op == "crop":
        top, left = d.whole(0, x[1]), d.whole(0, x[2])
        options: dict[str, Any] = {"top": top - d.one([0] * 9 + [9]), "left": left}
        options |= {"height": d.whole(0, x[1] - top), "width": d.whole(0, x[2] - left)}
    elif op == "pad2d":
        padding = d.one([d.whole(0, 9), tuple(d.whole(0, 9) for _ in range(4))])
        options = {"padding": padding, "mode": d.one(["zero", "reflect"])}
    elif op == "reshape":
        options = {"shape": d.one([(x[0], -1), (x[3], x[1], x[2], x[0]), (-1,), (x[0] * x[1], x[2] * x[3])])}
    else:
        options = {"axes": tuple(int(a) for a in d.rng.permutation(4))}
    return Case(op, (x,), options, error=(1e-6, 1e-14))


def _dropped(d: Draw, op: str) -> Case:
    x = d.images()
    options = {"rate": d.one([0.0, 0.5]), "training": True, "seed": 3, "epoch": 1, "layer": 2}
    return Case(op, (x,), {**options, "samples": tuple(range(x[0]))}, error=(1e-6, 1e-14))


def _step(d: Draw, op: str) -> Case:
    n, mean, rates = d.one([0, 1, 7, 129, 4099]), bool(d.whole(0, 1)), bool(d.whole(0, 1))
    memory = {"sgd_step": ("velocity",), "adadelta_step": ("square", "change")}[op]
    arrays: dict[str, Any] = dict.fromkeys(("weights", "gradient"), draws.normals(n))
    arrays |= dict.fromkeys(memory, draws.fractions(n))
    arrays |= {"mean": draws.normals(n)} if mean else {}
    arrays |= {"rates": draws.fractions(n)} if rates else {}

    def call(weights: Any, gradient: Any, **others: Any) -> Any:
        k = kernels.pick("update", like=weights)
        vectors = [*(others[key] for key in memory), others.get("mean"), others.get("rates")]
        last = (0.9,) if op == "sgd_step" else (0.95, 1e-6)
        getattr(k, op)(weights, gradient, *vectors, 0.3, 0.7, 0.1, *last, 0.25)
        return k.gradient_norm(gradient), k.is_finite(weights)

    changes = ("weights", *memory, *["mean"] * mean)
    return Case(op, arrays=arrays, changes=changes, call=call, family="update", error=(1e-5, 1e-12))


def _clipped(d: Draw, op: str) -> Case:
    def call(x: Any) -> Any:
        return kernels.pick("softmax", like=x).clip_normalise(x)

    return Case(
        op, arrays={"x": draws.normals(*d.images()[1:])}, call=call, family="softmax", error=(1e-5, 1e-12)
    )


CALLS: dict[str, Callable[[Draw, str], Case]] = {
    **dict.fromkeys(("tanh", "sigmoid", "relu", "add", "scale", "direction_sum"), _elementwise),
    **dict.fromkeys(("conv2d", "conv_transpose2d"), _conv),
    **dict.fromkeys(("max_pool2d", "avg_pool2d"), _pool),
    **dict.fromkeys(("bilinear_resize", "cubic_resize"), _resize),
    **dict.fromkeys(("gru_sweep", "lstm_sweep", "rnn_sweep"), _rnn),
    **dict.fromkeys(("l2_normalise", "local_response_norm"), _norm),
    **dict.fromkeys(("softmax", "cross_entropy", "soft_cross_entropy"), _loss),
    **dict.fromkeys(("concatenate", "crop", "pad2d", "reshape", "transpose"), _shape),
    **dict.fromkeys(("sgd_step", "adadelta_step"), _step),
    "linear": _linear,
    "lstm2d_layer": _layer,
    "batch_norm": _batch,
    "dropout": _dropped,
    "window_gather": _windows,
    "window_targets": _targets,
    "bilinear_argmax": _argmax,
    "clip_normalise": _clipped,
    "repeat_cells": _repeated,
}


def random_call(op: str, rng: Generator) -> Case:
    """Return a random call of an operation; some have shapes or options that it must refuse."""
    case = CALLS[op](Draw(rng), op)
    return replace(
        case,
        label=" ".join([op, *map(str, case.shapes), case.draw.__name__, *case.arrays, str(case.options)]),
    )
