"""The 2D-LSTM layer, and sweeps along one axis."""

from __future__ import annotations

from math import prod
from typing import Any

from lstm2d.selftest.case import BACKENDS, BITS, GRADIENT, LARGE, MEASURED, RESULT, SELFTEST, Case, Shape
from lstm2d.selftest.cases.draws import one_nan

SIZES: list[Shape] = [
    *[(1, 1, 1, 1), (1, 1, 1, 2), (1, 1, 7, 3), (2, 6, 1, 2), (1, 5, 4, 3), (2, 3, 6, 1), (2, 4, 7, 3)],
    *[(0, 3, 3, 2), (1, 0, 4, 2), (1, 3, 0, 2), (1, 3, 3, 0)],
]
UNITS: list[tuple[str, int, dict[str, Any]]] = [  # op, products per unit, options
    ("gru_sweep", 3, {}),
    ("lstm_sweep", 4, {}),
    ("rnn_sweep", 1, {"activation": "tanh"}),
    ("rnn_sweep", 1, {"activation": "relu"}),
]
LAYERS: list[dict[str, Any]] = [{}, {"cell_scale": 0.5}, {"leaky": True}, {"cell_scale": 0.7, "leaky": True}]
LONG = {"eps": 1e-7, "rtol": 1e-5}  # many steps: the second derivative is large
ERROR = (2e-5, 1e-12)


def sweep(
    op: str, gates: int, options: dict[str, Any], x: Shape, units: int, axis: int, **fields: Any
) -> Case:
    """Return a sweep along an axis; `fields` as in `Case`."""
    channels, positions = x[3], prod(x[:3])
    gates *= units
    return Case(
        op,
        (x, (2, channels, gates), (2, units, gates), (2, gates)),
        {"axis": axis} | options,
        family="rnn",
        error=ERROR,
        products=2 * ((positions, channels, gates), (positions, units, gates)),
        flop=gates / units * 3,
        **fields,
    )


def layer(x: Shape, units: int, options: dict[str, Any], peepholes: bool = True, **fields: Any) -> Case:
    """Return a 2D-LSTM layer; `fields` as in `Case`."""
    channels, positions, gates = x[3], prod(x[:3]), 5 * units
    shapes = (x, (4, channels, gates), (4, 2 * units, gates), (4, gates), (4, 5, units))
    return Case(
        "lstm2d_layer",
        shapes if peepholes else shapes[:4],
        options,
        family="lstm2d",
        error=ERROR,
        products=4 * ((positions, channels, gates), (positions, 2 * units, gates)),
        flop=20,
        **fields,
    )


BENCHED = [
    (0, 256, 100, 1),
    (0, 200, 100, 2),
    (1, 12, 40, 1),
    (1, 120, 60, 1),
    (1, 120, 60, 2),
    (3, 120, 60, 1),
]
CASES: list[Case] = [
    *(sweep(*unit, x, 3, axis) for unit in UNITS for axis in (1, 2) for x in SIZES),
    *(sweep(*unit, (1, 4, 5, 2), n, 1) for unit in UNITS for n in (1, 17, 34)),
    *(  # more than a block of steps, and of the inner loops
        sweep(*unit, (2, 20, 30, 2), 17, axis, users=frozenset({GRADIENT}), slope=LONG)
        for unit in UNITS
        for axis in (1, 2)
    ),
    *(
        sweep(*unit, (2, 18, 25, 3), n, axis, users=frozenset({BACKENDS}))
        for unit in UNITS
        for axis in (1, 2)
        for n in (5, 16, 21)
    ),
    *(sweep(*unit, (3, 45, 50, 7), 20, axis, users=LARGE) for unit in UNITS for axis in (1, 2)),
    sweep(*UNITS[0], (2, 5, 6, 4), 5, 1, users=SELFTEST, label="GRU sweep"),
    sweep(*UNITS[1], (2, 5, 6, 4), 5, 2, users=SELFTEST, label="LSTM sweep"),
    *(sweep(*unit, (1, 9, 20, 2), 18, 2, draw=one_nan, users=RESULT) for unit in UNITS),
    layer((1, 9, 6, 2), 3, {}, draw=one_nan, users=RESULT),
    *(layer(x, 2, options, p) for x in SIZES for options in LAYERS for p in (True, False)),
    *(layer((1, 6, 4, 2), n, {}) for n in (1, 13, 30)),
    *(layer((2, 5, 20, 2), 3, {}, p, users=frozenset({GRADIENT})) for p in (True, False)),
    # the bound acts: what comes out is no gradient of the result, but all backends agree on it
    *(
        layer(x, units, {"gate_clip": 0.05, "cell_scale": 0.7, "leaky": leaky}, p, users=RESULT)
        for x, units in (((1, 5, 4, 2), 3), ((2, 9, 20, 3), 5))
        for leaky in (False, True)
        for p in (True, False)
    ),
    # and here it does not
    *(layer((1, 5, 4, 2), 3, {"gate_clip": 1e4, "leaky": leaky}) for leaky in (False, True)),
    *(
        layer((2, 9, 20, 3), 5, options, p, users=frozenset({BACKENDS}))
        for options in LAYERS[1:3]
        for p in (True, False)
    ),
    layer((3, 33, 40, 7), 20, {}, users=frozenset({BITS})),  # cells grow: not precise in float32
    layer((2, 5, 6, 3), 5, {}, users=SELFTEST, label="2D-LSTM"),
    layer((1, 48, 64, 40), 50, {}, users=MEASURED, label="2D-LSTM 40-50"),
    *(
        sweep(
            *UNITS[k],
            (1, *((90, 120) if k == 0 else (120, 160)), channels),
            units,
            axis,
            users=MEASURED,
            label=f"{UNITS[k][0][:-6]} {channels}-{units} {'columns' if axis == 1 else 'rows'}",
        )
        for k, channels, units, axis in BENCHED
    ),
]
