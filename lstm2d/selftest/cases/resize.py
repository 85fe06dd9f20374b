"""Images in another size."""

from __future__ import annotations

from typing import Any

from lstm2d import kernels
from lstm2d.selftest.case import LARGE, MEASURED, RESULT, SELFTEST, Case, Shape
from lstm2d.selftest.cases.draws import fractions, one_nan

Pair = tuple[int, int]
SIZES: list[tuple[Shape, Pair]] = [
    ((2, 3, 4, 5), (7, 11)),
    ((1, 9, 8, 2), (4, 3)),
    ((1, 3, 9, 1), (8, 4)),
    ((1, 1, 1, 3), (5, 4)),
    ((1, 5, 7, 3), (1, 1)),
    ((1, 2, 6, 2), (2, 6)),
    ((2, 5, 7, 3), (13, 9)),
    ((2, 13, 7, 3), (5, 9)),
    ((0, 3, 4, 2), (5, 6)),
    ((1, 3, 4, 0), (5, 6)),
    ((1, 3, 4, 2), (0, 6)),
    ((1, 0, 4, 2), (0, 6)),
]
OPS: list[tuple[str, dict[str, Any]]] = [
    ("bilinear_resize", {}),
    ("bilinear_resize", {"align_corners": True}),
    ("cubic_resize", {}),
]
NAMES = [f"{name} on 30 channels" for name in ("bilinear_resize", "bilinear_resize, corners", "cubic_resize")]
LABELS: list[tuple[Pair, Pair]] = [((1, 1), (3, 2)), ((5, 4), (5, 4)), ((4, 6), (9, 21)), ((7, 5), (3, 2))]

REPEATED: list[tuple[Shape, int, Pair]] = [
    ((2, 2, 3, 2), 4, (9, 11)),
    ((1, 1, 1, 3), 8, (3, 1)),
    ((1, 3, 2, 1), 1, (3, 2)),
    ((0, 2, 2, 3), 2, (4, 3)),
    ((1, 2, 3, 1), 2, (0, 5)),
]


def _resize(op: str, options: dict[str, Any], x: Shape, size: Pair, **fields: Any) -> Case:
    taps = 4 if op == "cubic_resize" else 2
    return Case(
        op,
        (x,),
        {"height": size[0], "width": size[1]} | options,
        family="resize",
        error=(3e-6, 1e-14),
        flop=4 * taps,
        **fields,
    )


def _repeat(x: Shape, spacing: int, size: Pair, **fields: Any) -> Case:
    options = {"spacing": spacing, "height": size[0], "width": size[1]}
    return Case("repeat_cells", (x,), options, error=(1e-6, 1e-15), **fields)


def _best(x: Any, height: int, width: int) -> Any:
    return kernels.pick("resize", like=x).bilinear_argmax(x, height, width)


def _labels(size: Pair, new: Pair, classes: int, users: frozenset[str]) -> Case:
    return Case(
        "bilinear_argmax",
        options={"height": new[0], "width": new[1]},
        arrays={"x": fractions(*size, classes)},
        call=_best,
        family="resize",
        users=users,
        label=f"bilinear_argmax {size} {new}",
    )


CASES: list[Case] = [
    *(_resize(*op, *row) for op in OPS for row in SIZES),
    *(_resize(*op, (2, 11, 15, 9), size, users=LARGE) for op in OPS for size in [(40, 70), (5, 4), (21, 9)]),
    *(_resize(*op, (3, 33, 42, 12), (50, 40), users=LARGE) for op in OPS),
    *(_resize(*op, (1, 6, 6, 2), (12, 12), draw=one_nan, users=RESULT) for op in OPS),
    *(_repeat(*row) for row in REPEATED),
    _repeat((2, 30, 56, 5), 4, (121, 222), users=LARGE),
    _repeat((1, 30, 40, 30), 8, (240, 320), users=MEASURED, label="repeat_cells of 30 channels"),
    *(_labels(size, new, 5, RESULT) for size, new in LABELS),
    _labels((30, 40), (401, 399), 6, LARGE),
    _resize(*OPS[0], (2, 4, 5, 3), (8, 7), users=SELFTEST, label="bilinear resampling"),
    _resize(*OPS[2], (2, 4, 5, 3), (12, 15), users=SELFTEST, label="cubic resampling"),
    *(
        _resize(*op, (1, 45, 60, 30), (360, 480), users=MEASURED, label=name)
        for op, name in zip(OPS, NAMES, strict=True)
    ),
]
