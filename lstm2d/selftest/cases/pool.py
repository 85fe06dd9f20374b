"""Maximum and average over windows."""

from __future__ import annotations

from typing import Any

from lstm2d.selftest.case import LARGE, MEASURED, RESULT, SELFTEST, Case, Shape
from lstm2d.selftest.cases.draws import distinct, ties, with_nan

GEOMETRIES: list[tuple[Shape, Any, dict[str, Any]]] = [  # x, size, options
    ((1, 1, 1, 1), 1, {}),
    ((2, 6, 9, 3), 3, {}),
    ((1, 7, 8, 2), 2, {}),  # a row is left over
    ((1, 7, 8, 2), 3, {"stride": 1, "padding": 1}),  # pool4 and pool5 of fcn-largefov
    ((2, 7, 8, 5), 3, {"stride": 1, "padding": 1}),
    ((1, 9, 5, 18), 3, {"stride": 2}),  # windows overlap
    ((1, 9, 11, 2), (2, 3), {"stride": (3, 5)}),  # gaps between windows
    ((2, 5, 6, 2), (3, 4), {"stride": (2, 1), "padding": (1, 2)}),
    ((1, 17, 17, 1), 17, {}),  # a window of more than 256 pixels
    ((1, 18, 18, 17), 17, {"stride": 1}),
    ((1, 18, 17, 2), (17, 16), {"stride": 1, "padding": (2, 0)}),
    ((1, 1, 1, 2), 3, {"padding": 1}),  # a window that is mostly padding
    ((0, 4, 4, 3), 2, {}),
    ((1, 4, 4, 0), 2, {}),
]
EMPTY: list[tuple[Shape, Any, dict[str, Any]]] = [  # no pixels, but padding that has room for windows
    ((2, 0, 5, 3), (2, 3), {"stride": 1, "padding": 1}),
    ((1, 5, 0, 17), (1, 4), {"padding": (0, 2)}),
    ((2, 0, 0, 2), 18, {"padding": 9}),
]
DILATED: list[tuple[Shape, Any, dict[str, Any]]] = [
    ((2, 9, 10, 3), 2, {"stride": 1, "dilation": 2}),
    ((1, 9, 20, 17), (3, 2), {"stride": 1, "dilation": (2, 8)}),
    ((2, 8, 9, 2), 3, {"stride": 2, "padding": 1, "dilation": 3}),
    ((1, 20, 14, 5), 3, {"stride": (4, 6), "padding": (0, 1), "dilation": (6, 4)}),  # common factors
    ((1, 11, 13, 2), (2, 3), {"dilation": (3, 2)}),
]
BLOCKS: list[tuple[Shape, int, dict[str, Any]]] = [
    ((3, 64, 61, 20), 3, {"stride": 2, "padding": 1}),
    ((3, 33, 42, 12), 2, {}),
    ((2, 40, 45, 26), 4, {"stride": 1}),
]
DILATED_BLOCKS: list[tuple[Shape, int, dict[str, Any]]] = [
    ((2, 70, 61, 20), 2, {"stride": 1, "dilation": 8}),
]
OPS = ("max_pool2d", "avg_pool2d")


def _pool(op: str, x: Shape, size: Any, options: dict[str, Any], **fields: Any) -> Case:
    rows, columns = (size, size) if isinstance(size, int) else size
    return Case(op, (x,), {"size": size} | options, family="pool", flop=rows * columns, **fields)


CASES: list[Case] = [
    *(_pool(op, *row, draw=distinct, slope={"atol": 1e-7}) for op in OPS for row in GEOMETRIES),
    *(_pool(op, *row, draw=ties, users=RESULT) for op in OPS for row in GEOMETRIES),
    *(_pool("max_pool2d", *row, draw=distinct, slope={"atol": 1e-7}) for row in DILATED),
    *(_pool("max_pool2d", *row, draw=ties, users=RESULT) for row in DILATED),
    *(_pool(op, *row, users=RESULT) for op in OPS for row in EMPTY),
    *(_pool("max_pool2d", *row, draw=with_nan, users=RESULT) for row in [*GEOMETRIES, *DILATED]),
    *(_pool(op, *row, users=LARGE) for op in OPS for row in BLOCKS),
    *(_pool("max_pool2d", *row, users=LARGE) for row in DILATED_BLOCKS),
    _pool("max_pool2d", (2, 6, 8, 5), 2, {}, draw=distinct, label="maxima", users=SELFTEST),
    _pool("avg_pool2d", (2, 7, 8, 5), 3, {"stride": 2, "padding": 1}, label="means", users=SELFTEST),
    _pool("max_pool2d", (1, 360, 480, 64), 2, {}, label="max pool 2 on 64 channels", users=MEASURED),
    _pool("max_pool2d", (1, 128, 128, 25), 8, {}, label="max pool 8 on 25 channels", users=MEASURED),
    _pool(
        "max_pool2d",
        (1, 390, 470, 25),
        2,
        {"stride": 1, "dilation": 8},
        label="max pool 2 dilated by 8 on 25 channels",
        users=MEASURED,
    ),
    _pool("avg_pool2d", (1, 360, 480, 64), 2, {}, label="avg pool 2 on 64 channels", users=MEASURED),
    _pool("avg_pool2d", (1, 400, 480, 3), 4, {"stride": 1}, label="avg pool 4 with stride 1", users=MEASURED),
]
