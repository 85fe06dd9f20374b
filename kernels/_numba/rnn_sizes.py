"""Sizes of recurrent sweeps, and where their pixels lie."""

from __future__ import annotations

from typing import NamedTuple

from lstm2d.kernels._numba.jit import part, row

BLOCK = 384  # pixels of a block, at most, but at least one step: its products stay in the L2 cache
GATES = {"gru": 3, "lstm": 4, "tanh": 1, "relu": 1}
STATE = {"gru": 1, "lstm": 2, "tanh": 1, "relu": 1}  # h, and the cell
KEPT = {"gru": 4, "lstm": 5, "tanh": 0, "relu": 0}
GRADS = {"gru": 4, "lstm": 4, "tanh": 1, "relu": 1}  # gradients of both products


class Sweep(NamedTuple):
    """Sizes of a sweep; distances are in pixels, and `gates`, `state`, `kept`, `grads` in values of a pixel.

    Each unit has a class of its own: by its type, Numba compiles the cells of that unit alone.
    """

    steps: int
    rows: int  # pixels of a step
    step: int  # distance of two steps
    row: int  # distance of two pixels of a step
    block: int  # steps of a block
    channels: int
    units: int
    out: int  # distance of two pixels of the hidden states, in values
    gates: int
    state: int
    kept: int
    grads: int


class Gru(Sweep):
    """A sweep of GRU units."""


class Lstm(Sweep):
    """A sweep of LSTM units."""


class Tanh(Sweep):
    """A sweep of units with tanh."""


class Relu(Sweep):
    """A sweep of units with max(x, 0)."""


UNITS: dict[str, type[Sweep]] = {"gru": Gru, "lstm": Lstm, "tanh": Tanh, "relu": Relu}


def sweep_of(unit: str, shape: tuple[int, ...], units: int, axis: int, directions: int) -> Sweep:
    _, height, width, channels = shape
    steps, rows, step, row = (height, width, width, 1) if axis == 1 else (width, height, 1, width)
    block = max(1, min(steps, BLOCK // max(1, rows)))
    sizes = (table[unit] * units for table in (GATES, STATE, KEPT, GRADS))
    return UNITS[unit](steps, rows, step, row, block, channels, units, directions * units, *sizes)


def work_of(s: Sweep) -> int:
    return s.steps * s.rows * s.gates * (4 + (s.channels + s.units) // 16)


@part
def place_of(s, backward, k):
    """Return the row or column of the image that is step k."""
    return s.steps - 1 - k if backward else k


@part
def gathered(s, pixels, first, values, size, low, n, block):
    """Return the first `values` of `size` of the pixels of n steps from `low` on, a step after the other.

    Returned are an array, the place of the first value, and the distance of two pixels. The pixels are copied
    to `block`, unless they lie so.
    """
    if s.step == s.rows:
        return pixels, low * s.step * size + first, size
    for k in range(n):
        for r in range(s.rows):
            source = row(pixels, ((low + k) * s.step + r * s.row) * size + first, values)
            target = row(block, (k * s.rows + r) * values, values)
            for c in range(values):
                target[c] = source[c]
    return block, 0, values


@part
def scatter(s, block, low, n, pixels):
    for r in range(s.rows):
        for k in range(n):
            source = row(block, (k * s.rows + r) * s.channels, s.channels)
            target = row(pixels, (r * s.row + (low + k) * s.step) * s.channels, s.channels)
            for c in range(s.channels):
                target[c] = source[c]
