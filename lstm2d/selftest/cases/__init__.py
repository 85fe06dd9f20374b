"""The table: every case of every operation."""

from __future__ import annotations

from lstm2d.selftest.case import Case
from lstm2d.selftest.cases import (
    conv,
    dense,
    elementwise,
    filters,
    loss,
    norm,
    pool,
    recurrent,
    resize,
    shape,
)

CASES: list[Case] = [
    *elementwise.CASES,
    *dense.CASES,
    *conv.CASES,
    *pool.CASES,
    *resize.CASES,
    *shape.CASES,
    *loss.CASES,
    *norm.CASES,
    *recurrent.CASES,
    *filters.CASES,
]
