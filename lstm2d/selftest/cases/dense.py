"""Matrix products of positions, and windows of pixels."""

from __future__ import annotations

from math import prod
from typing import Any

from lstm2d import kernels
from lstm2d.kernels.families import Activation
from lstm2d.ops.windows import window_targets
from lstm2d.selftest.case import LARGE, MEASURED, RESULT, SELFTEST, Case, Shape
from lstm2d.selftest.cases.draws import fractions, labels, normals, one_nan

BLOCKS: list[tuple[Shape, int]] = [  # in blocks of 512 positions, panels of 32 columns, strips of 48 rows
    ((2, 40, 36, 6), 5),
    ((3, 33, 42, 12), 7),
    ((2, 48, 33, 30), 50),
    ((2, 48, 33, 270), 260),
    ((1, 8, 8, 18), 4000),
]
INPUTS: list[Shape] = [
    *[(3,), (4, 3), (1, 1, 1, 3), (2, 3, 5, 3), (1, 1025, 3), (2, 2, 1), (3, 40, 8), (2, 7, 5)],
    *[(0, 4, 3), (2, 0, 3), (2, 3, 0)],
]
WINDOWS: list[tuple[Shape, int]] = [
    ((1, 1, 1, 1), 1),
    ((1, 5, 4, 2), 1),
    ((2, 6, 9, 2), 3),
    ((2, 8, 4, 5), 4),
    ((1, 5, 5, 3), 5),
    ((3, 4, 2, 1), 2),
    ((0, 4, 4, 3), 2),
    ((1, 0, 4, 3), 2),
    ((1, 4, 4, 0), 2),
]


def _linear(x: Shape, outputs: int, bias: bool = True, **fields: Any) -> Case:
    shapes = (x, (x[-1], outputs)) + bias * ((outputs,),)
    products = ((prod(x[:-1]), x[-1], outputs),)
    return Case(
        "linear", shapes, family="linear", error=(1e-5, 1e-13), products=products, flop=bias, **fields
    )


def _activated(x: Any, weight: Any, bias: Any = None, *, activation: Activation) -> Any:
    return kernels.pick("linear", like=x).linear_forward(x, weight, bias, activation)


def _gather(x: Shape, window: int, **fields: Any) -> Case:
    return Case("window_gather", (x,), {"window": window}, family="windows", error=(0, 0), **fields)


def _targets(
    shape: Shape, window: int, classes: int, dtype: str, ignore: int, weighted: bool, users: frozenset[str]
) -> Case:
    arrays = {"labels": labels(shape, classes, ignore, dtype)}
    if weighted:
        arrays["class_weights"] = fractions(classes)
    return Case(
        "window_targets",
        options={"window": window, "n_classes": classes, "ignore_index": ignore},
        arrays=arrays,
        call=window_targets,
        family="windows",
        users=users,
        error=(1e-6, 1e-6),
        label=f"window_targets {shape} {window} {classes} {dtype} {ignore} {weighted}",
    )


CASES: list[Case] = [
    *(_linear(x, outputs, bias) for x in INPUTS for outputs in (0, 1, 4) for bias in (True, False)),
    _linear((2, 5, 6, 9), 7, users=SELFTEST, label="matrix product"),
    _linear((2, 5, 6, 9), 7, draw=one_nan, users=RESULT),
    *(_linear(x, outputs, users=LARGE) for x, outputs in BLOCKS),
    _linear((1, 240, 320, 64), 30, users=MEASURED, label="linear 64-30"),
    *(
        Case(
            "linear_forward",
            options={"activation": activation},
            arrays={"x": normals(2, 7, 5), "weight": normals(5, 3)} | bias,
            call=_activated,
            family="linear",
            users=RESULT,
        )
        for activation in ("relu", "tanh")
        for bias in ({}, {"bias": normals(3)})
    ),
    *(_gather(x, window) for x, window in WINDOWS),
    _gather((2, 6, 9, 3), 3, users=SELFTEST, label="windows"),
    _gather((3, 33, 42, 12), 3, users=LARGE),
    _gather((1, 240, 320, 3), 5, users=MEASURED, label="window_gather 5"),
    *(
        _targets((2, 6, 9), 3, classes, dtype, ignore, weighted, RESULT)
        for classes in (1, 3, 40)
        for dtype, ignored in (("uint8", [255, 0]), ("int16", [255, -1, 0]), ("int64", [-1]))
        for ignore in ignored
        for weighted in (True, False)
    ),
    _targets((3, 33, 42), 3, 9, "uint8", 255, True, LARGE),
    *(_targets(shape, 2, 3, "uint8", 255, False, RESULT) for shape in [(0, 4, 4), (1, 0, 4)]),
]
