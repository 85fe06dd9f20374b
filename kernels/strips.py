"""Functions that go on with a scan from the row above a strip of an image.

The families `lstm2d` and `rnn` have them on CPUs alone: strips are for images larger than memory, whose maps
are on the disk.
"""

from __future__ import annotations

from typing import Protocol, cast

from lstm2d.kernels.arrays import FloatArray
from lstm2d.kernels.dispatch import pick
from lstm2d.kernels.families import Unit

ON_CPU = frozenset({"lstm2d_strip", "rnn_strip"})


class Lstm2dStrip(Protocol):
    """Part of the family `lstm2d`."""

    def lstm2d_strip(
        self,
        x: FloatArray,
        weight: FloatArray,
        recurrent: FloatArray,
        bias: FloatArray,
        peepholes: FloatArray | None,
        cell_scale: float,
        leaky: bool,
        above: FloatArray,
    ) -> tuple[FloatArray, FloatArray]:
        """Return the hidden states (N, H, W, 2 * U) of the scans from the top, and the state of the last row.

        x is a strip of rows of images; the parameters are those of two directions, which are taken as
        down-right and down-left. `above` (N, 2, W, 2 * U) and the state hold h and c of a row of pixels.
        """


class RnnStrip(Protocol):
    """Part of the family `rnn`."""

    def rnn_strip(
        self,
        x: FloatArray,
        weight: FloatArray,
        recurrent: FloatArray,
        bias: FloatArray,
        unit: Unit,
        above: FloatArray,
    ) -> tuple[FloatArray, FloatArray]:
        """Return the hidden states (N, H, W, U) of the sweep down the columns, and the state of the last row.

        x is a strip of rows of images; the parameters are those of one direction, (1, ...). `above`
        (N, 1, W, S) and the state hold h, and for "lstm" c after it, of a row of pixels.
        """


def lstm2d(like: FloatArray) -> Lstm2dStrip:
    """Return the functions for an array on the host."""
    return cast(Lstm2dStrip, pick("lstm2d", like=like))


def rnn(like: FloatArray) -> RnnStrip:
    """Return the functions for an array on the host."""
    return cast(RnnStrip, pick("rnn", like=like))
