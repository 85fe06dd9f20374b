"""Class probabilities and losses."""

from __future__ import annotations

from typing import Any

from lstm2d.selftest.case import LARGE, MEASURED, RESULT, SELFTEST, Case, Shape
from lstm2d.selftest.cases.draws import fractions, labels, one_nan, wide

SHAPES: list[Shape] = [
    *[(1,), (5,), (3, 1), (2, 7, 5), (1, 300, 3), (2, 3, 5, 4), (1, 7, 1, 33), (3, 61, 33)],
    *[(0, 2, 2, 3), (2, 0, 2, 3)],
]
LARGE_SCORES = (3, 33, 42, 12)
MAP = (1, 240, 320, 30)


def _softmax(x: Shape, **fields: Any) -> Case:
    return Case("softmax", (x,), family="softmax", flop=5, **fields)


def _soft(x: Shape, weighted: bool, reduction: str, **fields: Any) -> Case:
    arrays = {"targets": fractions(*x, zero=True)} | ({"weight": fractions(*x[:-1])} if weighted else {})
    options = {"reduction": reduction}
    return Case("soft_cross_entropy", (x,), options, arrays, family="softmax", per_image=False, **fields)


def _hard(
    x: Shape, weighted: bool, reduction: str, dtype: str = "int64", ignore: int = -1, **fields: Any
) -> Case:
    arrays = {"labels": labels(x[:-1], x[-1], ignore, dtype)}
    arrays |= {"class_weights": fractions(x[-1], zero=x[-1] > 1)} if weighted else {}
    options = {"reduction": reduction, "ignore_index": ignore}
    return Case("cross_entropy", (x,), options, arrays, family="softmax", per_image=False, **fields)


def _clipped(x: Shape, **fields: Any) -> Case:
    return Case("clip_normalise", (x,), family="softmax", flop=3, **fields)


CHOICES = [(weighted, reduction) for weighted in (True, False) for reduction in ("sum", "mean")]
CASES: list[Case] = [
    *(_softmax(shape) for shape in SHAPES),
    *(_soft(shape, *row) for shape in SHAPES for row in CHOICES),
    *(_hard(shape, *row) for shape in [*SHAPES, (2, 9, 15, 3)] for row in CHOICES),
    _softmax((2, 5, 6, 8), users=SELFTEST, label="softmax"),
    _hard((2, 5, 6, 8), True, "mean", users=SELFTEST, label="cross-entropy"),
    *(_hard(shape, True, "mean", "uint8", 255, users=RESULT, draw=wide) for shape in SHAPES),
    *(_soft(shape, True, "sum", users=RESULT, draw=wide) for shape in SHAPES),
    *(_softmax(shape, users=RESULT, draw=wide, error=(2e-5, 1e-12)) for shape in SHAPES),
    _softmax((2, 7, 5), users=RESULT, draw=one_nan),
    _softmax(LARGE_SCORES, users=LARGE),
    _soft(LARGE_SCORES, True, "sum", users=LARGE),
    _hard(LARGE_SCORES, True, "mean", "uint8", 255, users=LARGE),
    _softmax(MAP, users=MEASURED, label="softmax of 30 classes"),
    _soft(MAP, True, "sum", users=MEASURED, label="soft_cross_entropy of 30 classes"),
    _hard(MAP, False, "mean", "uint8", 255, users=MEASURED, label="cross_entropy of 30 classes"),
    *(_clipped(shape) for shape in SHAPES),
    _clipped(LARGE_SCORES, users=LARGE),
    _clipped(MAP, users=MEASURED, label="clip_normalise of 30 classes"),
]
