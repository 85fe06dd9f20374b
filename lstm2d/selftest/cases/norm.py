"""Normalisations."""

from __future__ import annotations

from typing import Any

from lstm2d import ops
from lstm2d.selftest.case import LARGE, MEASURED, RESULT, SELFTEST, Case, Shape, normal
from lstm2d.selftest.cases.draws import fractions, normals, off_centre, one_nan, positive
from lstm2d.tensor import Tensor

SHAPES: list[Shape] = [
    *[(2, 1), (1, 5, 4), (3, 1, 1, 2), (2, 3, 5, 4), (1, 7, 1, 33), (2, 17, 19, 3), (1, 131, 40)],
    *[(0, 2, 2, 3), (2, 0, 2, 3), (2, 2, 2, 0)],
]
RESPONSES = [(1, 1.0), (2, 0.5), (3, 0.3), (5, 0.75), (40, 0.75), (41, 2.0)]  # size, beta
LARGE_SHAPE = (3, 33, 42, 12)
MAP = (1, 45, 60, 256)
ERROR = (5e-6, 1e-12)


def _normalised(x: Tensor, *affine: Tensor, mean: Any, var: Any, **options: Any) -> Tensor:
    return ops.batch_norm(x, mean, var, *affine, **options)


def _batch(x: Shape, training: bool, affine: int = 2, **fields: Any) -> Case:
    """Return a batch normalisation with `affine` of scale and shift."""
    c = x[-1:]
    return Case(
        "batch_norm",
        (x, *affine * (c,)),
        {"training": training, "eps": 0.1},
        {"mean": normals(*c), "var": fractions(*c)},
        ("mean", "var") if training else (),
        call=_normalised,
        family="norm",
        error=ERROR,
        per_image=not training,
        flop=3,
        **{"draw": off_centre} | fields,
    )


def _l2(x: Shape, **fields: Any) -> Case:
    return Case("l2_normalise", (x,), {"scale": 10.0}, family="norm", error=ERROR, flop=3, **fields)


def _response(x: Shape, size: int, beta: float, **fields: Any) -> Case:
    options = {"size": size, "alpha": 0.7, "beta": beta, "k": 1.5}
    return Case("local_response_norm", (x,), options, family="norm", error=ERROR, flop=size + 4, **fields)


CASES: list[Case] = [
    *(_batch(x, training, n) for x in SHAPES for training in (True, False) for n in (0, 1, 2)),
    *(_l2(x, draw=positive) for x in [(1,), (3,), *SHAPES, (1, 20000), (2, 33000)]),
    *(_response(x, *row) for x in [(5,), (3, 1), *SHAPES] for row in RESPONSES),
    _batch((2, 5, 6, 8), True, 0, draw=normal, users=SELFTEST, label="batch normalisation"),
    _response((2, 5, 6, 8), 5, 0.75, users=SELFTEST, label="response normalisation"),
    *(_batch((2, 3, 5, 4), training, users=RESULT, draw=one_nan) for training in (True, False)),
    _l2((2, 3, 5, 4), users=RESULT, draw=one_nan),
    _response((2, 3, 5, 4), 3, 0.75, users=RESULT, draw=one_nan),
    *(_batch(LARGE_SHAPE, training, users=LARGE) for training in (True, False)),
    _l2(LARGE_SHAPE, users=LARGE),
    _response(LARGE_SHAPE, 5, 0.75, users=LARGE),
    *(
        _batch(MAP, training, users=MEASURED, label=f"batch_norm, {training=}, on 256 channels")
        for training in (True, False)
    ),
    _l2(MAP, users=MEASURED, label="l2_normalise on 256 channels"),
    _response(MAP, 5, 0.75, users=MEASURED, label="local_response_norm 5 on 256 channels"),
]
