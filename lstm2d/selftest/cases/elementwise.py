"""Functions of single elements, sums of tensors, and dropout."""

from __future__ import annotations

from functools import partial

from lstm2d import ops
from lstm2d.selftest.case import LARGE, MEASURED, RESULT, SELFTEST, SMALL, Case, Shape, normal
from lstm2d.selftest.cases.draws import off_zero, one_nan, special

FUNCTIONS = {"tanh": 1.0, "sigmoid": 3.0, "relu": 1.0}  # operations per value
SHAPES: list[Shape] = [(), (1,), (5,), (0, 3), (7, 5), (2, 3, 4), (300, 5), (1, 129, 130)]
SUMS: list[Shape] = [(4,), (0,), (2, 0, 8), (2, 3, 5, 12), (1, 300, 4), (2, 7, 9, 20)]
ADDED: list[tuple[Shape, Shape]] = [((2, 6, 4, 3), (4, 3)), ((3, 1), (1, 4)), ((2, 6, 4, 3), (2, 6, 4, 3))]
LARGE_SHAPE = (3, 33, 42, 12)
MAP = (1, 240, 320, 64)

_function = partial(Case, family="elementwise")
_sum = partial(Case, "direction_sum", family="elementwise", flop=3)
_dropout = partial(Case, "dropout", per_image=False, flop=1, error=(2e-7, 1e-15))


def _run(seed: int, rate: float, samples: list[int]) -> dict[str, object]:
    return {"rate": rate, "seed": seed, "epoch": 2, "samples": samples}


CASES: list[Case] = [
    *(
        _function(
            op, (shape,), flop=flop, users=users, draw=off_zero if op == "relu" else normal, label=label
        )
        for op, flop in FUNCTIONS.items()
        for users, shapes, label in (
            (SMALL, SHAPES, ""),
            (LARGE, [LARGE_SHAPE], ""),
            (MEASURED, [MAP], f"{op} on 64 channels"),
        )
        for shape in shapes
    ),
    _function(
        "tanh",
        ((2, 5, 6, 8),),
        call=lambda x: ops.sigmoid(ops.relu(ops.tanh(x))),
        draw=off_zero,
        users=SELFTEST,
        label="tanh, relu, sigmoid",
    ),
    *(_function(op, ((17,),), draw=special, users=RESULT) for op in FUNCTIONS),
    *(_sum((shape,)) for shape in SUMS),
    _sum(((2, 3, 8),), draw=one_nan, users=RESULT),
    _sum((LARGE_SHAPE,), users=LARGE),
    _sum(((1, 240, 320, 80),), users=MEASURED, label="direction_sum 80-20"),
    *(Case("add", shapes, flop=1) for shapes in ADDED),
    Case("add", (LARGE_SHAPE, LARGE_SHAPE), flop=1, users=LARGE, per_image=False),
    Case("add", (MAP, MAP), flop=1, users=MEASURED, label="add on 64 channels"),
    *(Case("scale", (shape,), options={"factor": -0.3}, flop=1) for shape in SHAPES),
    Case("scale", (LARGE_SHAPE,), options={"factor": 2.5}, flop=1, users=LARGE),
    Case("scale", (MAP,), options={"factor": 2.5}, flop=1, users=MEASURED, label="scale on 64 channels"),
    *(
        _dropout((shape,), _run(0, 0.3, list(range(shape[0]))))
        for shape in [(1,), (3, 5), (2, 3, 5, 7), (0, 2, 2, 2), (2, 0, 3, 3)]
    ),
    _dropout((LARGE_SHAPE,), _run(1, 0.4, [3, 4, 7]), users=LARGE),
    _dropout((MAP,), _run(1, 0.5, [3]), users=MEASURED, label="dropout on 64 channels"),
]
