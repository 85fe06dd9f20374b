"""Tensors side by side, cut, padded, in another shape and with another order of axes."""

from __future__ import annotations

from functools import partial
from typing import Any

from lstm2d import ops
from lstm2d.selftest.case import LARGE, MEASURED, Case, Shape
from lstm2d.selftest.cases.elementwise import LARGE_SHAPE, MAP
from lstm2d.tensor import Tensor

BOXES = [(0, 0, 5, 7), (2, 3, 1, 1), (1, 0, 4, 3), (5, 7, 0, 0)]
PADDINGS: list[Any] = [7, (1, 0, 2, 3), (0, 1, 2, 3)]


def _side_by_side(*tensors: Tensor) -> Tensor:
    return ops.concatenate(tensors)


_concatenate = partial(Case, "concatenate", call=_side_by_side, per_image=False, error=(0, 0))


def _crop(x: Shape, box: tuple[int, int, int, int], **fields: Any) -> Case:
    options = dict(zip(("top", "left", "height", "width"), box, strict=True))
    return Case("crop", (x,), options, error=(0, 0), **fields)


def _pad(x: Shape, padding: Any, mode: str, **fields: Any) -> Case:
    return Case("pad2d", (x,), {"padding": padding, "mode": mode}, error=(1e-6, 1e-15), **fields)


CASES: list[Case] = [
    *(
        _concatenate(tuple((*front, c) for c in channels))
        for channels in [(3,), (1, 2), (2, 0, 3)]
        for front in [(), (2, 3, 1), (0, 2, 2)]
    ),
    _concatenate((LARGE_SHAPE, LARGE_SHAPE), users=LARGE),
    _concatenate((MAP, MAP), users=MEASURED, label="concatenate 64+64"),
    *(_crop((n, 5, 7, 3), box) for n in (0, 2) for box in BOXES),
    _crop(LARGE_SHAPE, (1, 2, 30, 33), users=LARGE),
    _crop(MAP, (1, 2, 236, 314), users=MEASURED, label="crop on 64 channels"),
    *(_pad((n, 6, 4, 3), row, mode) for n in (0, 2) for row in PADDINGS for mode in ("zero", "reflect")),
    _pad(LARGE_SHAPE, 40, "reflect", users=LARGE),
    _pad(MAP, 8, "reflect", users=MEASURED, label="pad2d on 64 channels"),
    *(
        Case("reshape", ((4, 6),), {"shape": shape}, per_image=False, error=(0, 0))
        for shape in [(24,), (2, 12), (1, 2, 3, 4), (-1, 6)]
    ),
    *(
        Case("transpose", (x,), {"axes": axes}, per_image=axes[0] == 0, error=(0, 0))
        for x, axes in [
            ((2, 3, 4, 5), (0, 3, 1, 2)),
            ((2, 3, 4, 5), (0, 2, 3, 1)),
            ((2, 3, 4, 5), (3, 0, 2, 1)),
            ((0, 3, 2), (2, 1, 0)),
            ((3, 1), (1, 0)),
        ]
    ),
    Case("transpose", (LARGE_SHAPE,), {"axes": (0, 3, 1, 2)}, users=LARGE, error=(0, 0)),
    Case("transpose", (MAP,), {"axes": (0, 3, 1, 2)}, users=MEASURED, label="transpose of 64 channels"),
    Case("reshape", (LARGE_SHAPE,), {"shape": (-1, 12)}, users=LARGE, per_image=False, error=(0, 0)),
]
