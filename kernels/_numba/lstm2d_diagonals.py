"""The state of a 2D-LSTM's scans, and its anti-diagonals.

The state of a scan (one direction of one image), and with it what is kept for the backward pass, is that of
kernels/_cython/lstm2d.pyx: pixels by anti-diagonals as columns, and these rows:

    x (C), old h of the horizontal predecessor (U), of the vertical one (U)    the operand of the products
    old c of the horizontal predecessor (U), of the vertical one (U)
    gates (5 U), tanh of the new cell (U)
"""

from __future__ import annotations

from typing import Any, NamedTuple

from lstm2d.kernels._numba.jit import part, row

LANES = 16  # a diagonal is rounded up to whole vectors; what lanes beyond its end compute is never read


class Scan(NamedTuple):
    """Sizes and options of all scans of a call."""

    height: int
    width: int
    channels: int
    units: int
    out: int  # distance of two pixels of the hidden states
    ld: int  # distance of two rows of the state
    slot: int  # 0: all diagonals are kept; else the distance of the two that take turns
    scale: Any
    crossing: int  # distance of two rows of gradients that cross diagonals


def round_up(n: int) -> int:
    return -(-n // LANES) * LANES


def stride(n: int) -> int:
    # an odd number of cache lines: rows that are read together do not fall into the same cache sets
    return round_up(n) | LANES


@part
def diagonal(s, direction, t):
    """Return first and last image row in scan order, length, first column, first pixel, step to the next."""
    up, left = direction >= 2, direction % 2 == 1
    first = (s.width * (s.height - 1) if up else 0) + (s.width - 1 if left else 0)
    along, aside = (-s.width if up else s.width), (-1 if left else 1)  # steps to the next row and column
    low, high = max(0, t - s.width + 1), min(t, s.height - 1)
    pixel = first + low * along + (t - low) * aside
    if s.slot:
        return low, high, high - low + 1, t % 2 * s.slot, pixel, along - aside
    # pixels of all diagonals before t: a full triangle, less what lies beyond the last row and column
    right, below = max(0, t - s.width), max(0, t - s.height)
    column = LANES + (t * (t + 1) - right * (right + 1) - below * (below + 1)) // 2
    return low, high, high - low + 1, column, pixel, along - aside


@part
def lanes(length):
    return (length + LANES - 1) // LANES * LANES


@part
def vectors(length):
    return (length + 7) // 8 * 8


@part
def clear_column(state, first, rows, ld):
    for k in range(rows):
        state[first + k * ld] = 0


@part
def edge_place(s, direction, column):
    """Return where the states of a row hold that of a column in scan order."""
    return (s.width - 1 - column if direction % 2 else column) * 2 * s.units


@part
def put_above(s, edge, place, state, hidden, cell):
    """Write h and c of the row above: those of `edge`, else 0."""
    if edge is None:
        clear_column(state, hidden, s.units, s.ld)
        clear_column(state, cell, s.units, s.ld)
    else:
        for k in range(s.units):
            state[hidden + k * s.ld] = edge[place + k]
            state[cell + k * s.ld] = edge[place + s.units + k]


@part
def keep_state(s, state, hidden, cell, edge, place):
    for k in range(s.units):
        edge[place + k] = state[hidden + k * s.ld]
        edge[place + s.units + k] = state[cell + k * s.ld]


@part
def shift_rows(units, n, ld, state, first):
    """Copy rows: the horizontal predecessors are the vertical ones, a column earlier."""
    for u in range(units):
        to, source = row(state, first + u * ld, n), row(state, first + (u + units) * ld + 1, n)
        for p in range(n):
            to[p] = source[p]


@part
def pixels_to_columns(pixels, first, step, n, values, columns, column, ld):
    for p in range(n):
        pixel = pixels[first + p * step :]
        for k in range(values):
            columns[column + k * ld + p] = pixel[k]


@part
def columns_to_pixels(columns, column, ld, n, values, pixels, first, step):
    for p in range(n):
        pixel = pixels[first + p * step :]
        for k in range(values):
            pixel[k] = columns[column + k * ld + p]
