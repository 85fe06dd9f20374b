"""Steps that scan an image down and up: strip by strip, with the state handed over between strips."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lstm2d import kernels
from lstm2d.kernels import strips
from lstm2d.strips.graph import Step
from lstm2d.tensor import FloatArray

Carry = FloatArray  # the state of a row
COLUMNS = 1024  # of a sweep at a time: the states of a row stay in the cache

Scan = Callable[[Step, FloatArray, bool, Carry | None], tuple[FloatArray, Carry]]


def is_scan(step: Step) -> bool:
    """Return whether the rows of a step depend on all rows above and below."""
    return step.op == "lstm2d_layer" or (step.op in SCANS and step.attributes["axis"] == 1)


def is_sweep(step: Step) -> bool:
    """Return whether a step sweeps along the rows: faster for many rows at a time."""
    return step.op in SCANS and not is_scan(step)


def scanned(step: Step, x: FloatArray, up: bool, carry: Carry | None) -> tuple[FloatArray, Carry]:
    """Return one half of the map of a scan, for a strip of rows.

    Parameters
    ----------
    step : Step
        A step of which `is_scan` holds.
    x : ndarray of shape (1, rows, columns, channels)
        Rows of its input.
    up : bool
        Whether to scan upward; else downward.
    carry : ndarray or None
        The state of the row before the strip, in the direction of the scan; None at the border of the image.

    Returns
    -------
    half : ndarray of shape (1, rows, columns, units)
        Hidden states: the first half of the channels of the map if it is scanned downward, else the second.
    carry : ndarray
        The state of the last row of the strip, in the direction of the scan.
    """
    rows = kernels.ascontiguousarray(x[:, ::-1]) if up else x
    with np.errstate(over="ignore", invalid="ignore"):
        half, carry = SCANS[step.op](step, rows, up, carry)
    return (half[:, ::-1] if up else half), carry


def _lstm2d(step: Step, x: FloatArray, up: bool, carry: Carry | None) -> tuple[FloatArray, Carry]:
    part = slice(2, 4) if up else slice(0, 2)
    weight, recurrent, bias = (step.constants[name][part] for name in ("weight", "recurrent", "bias"))
    peepholes = step.constants.get("peepholes")
    if carry is None:
        carry = np.zeros((1, 2, x.shape[2], recurrent.shape[1]), x.dtype)
    cell_scale: Any = step.attributes["cell_scale"]
    return strips.lstm2d(x).lstm2d_strip(
        x,
        weight,
        recurrent,
        bias,
        None if peepholes is None else peepholes[part],
        cell_scale,
        bool(step.attributes["leaky"]),
        carry,
    )


def _sweep(step: Step, x: FloatArray, up: bool, carry: Carry | None) -> tuple[FloatArray, Carry]:
    """Sweep along the columns, some columns at a time."""
    unit: Any = UNITS.get(step.op) or step.attributes["activation"]
    weight, recurrent, bias = (
        step.constants[name][int(up) :][:1] for name in ("weight", "recurrent", "bias")
    )
    units, columns = recurrent.shape[1], x.shape[2]
    if carry is None:
        carry = np.zeros((1, 1, columns, units * (2 if unit == "lstm" else 1)), x.dtype)
    k = strips.rnn(x)
    if columns <= COLUMNS:
        return k.rnn_strip(x, weight, recurrent, bias, unit, carry)
    half: FloatArray = kernels.empty((*x.shape[:3], units), x.dtype, like=x)
    after = np.empty_like(carry)
    for begin in range(0, columns, COLUMNS):
        part = slice(begin, begin + COLUMNS)
        half[:, :, part], after[:, :, part] = k.rnn_strip(
            kernels.ascontiguousarray(x[:, :, part]), weight, recurrent, bias, unit, carry[:, :, part]
        )
    return half, after


UNITS = {"gru_sweep": "gru", "lstm_sweep": "lstm"}
SCANS: dict[str, Scan] = {
    "lstm2d_layer": _lstm2d,
    "gru_sweep": _sweep,
    "lstm_sweep": _sweep,
    "rnn_sweep": _sweep,
}
