"""Plan how a block computes the matrix product of each step of a recurrent layer; see common.cu."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cupy

from lstm2d.kernels._cuda.launch import shared_limit

Array = Any  # cupy.ndarray: CuPy ships no types

BANKS = 32  # of shared memory
WARP = 32  # threads that run together
THREADS = 384  # of a block, at most: twelve warps leave 168 registers per thread
SUMS = 64  # partial sums of one value, at most, over all lanes
ROWS = 8  # of a slice, at least


@dataclass(frozen=True)
class Plan:
    """The parts of a product."""

    lanes: int  # sequences of a block
    n_held: int  # rows in shared memory
    stride: int
    quarter: int
    slices: int
    threads: int  # of a block, including couriers
    shared: int  # bytes

    @property
    def matrix(self) -> tuple[int, ...]:
        """Return the fields of common.cu's `Matrix` after the rows."""
        return self.lanes, self.n_held, self.stride, self.quarter, self.slices


def plan(
    rows: int,
    columns: int,
    units: int,
    values: int,
    constants: int,
    itemsize: int,
    crowded: bool,
    couriers: int = 0,
) -> Plan:
    """Plan a product.

    Parameters
    ----------
    rows, columns : int
        Size of the matrix.
    units : int
        Hidden units of a lane, which are updated after the product.
    values : int
        Values of a lane in shared memory besides its states.
    constants : int
        Values of a block in shared memory besides lanes and matrix.
    itemsize : int
        Bytes of a value.
    crowded : bool
        Whether four lanes per block make more blocks than the device has multiprocessors. Then a block has
        eight if they fit: each weight that is read is used more often.
    couriers : int, default 0
        Threads of a block that take no part in the product.

    Returns
    -------
    Plan

    Raises
    ------
    ValueError
        If the states alone do not fit into shared memory.
    """
    room = shared_limit() // itemsize
    wide = 32 // itemsize  # eight in float32; double would need twice the registers
    choices = (wide, 4) if crowded else (4,)
    plans = [_plan(rows, columns, units, n, room, n * values + constants, couriers) for n in choices]
    enough = [p for p in plans if p.n_held >= rows // 2] or plans[-1:]
    chosen = enough[0]
    if chosen.n_held < 0:
        raise ValueError(
            f"{units} units: the states of a step do not fit in the {room} values of a block's "
            "shared memory; expected fewer units"
        )
    return replace(chosen, shared=chosen.shared * itemsize)


def _plan(rows: int, columns: int, units: int, lanes: int, room: int, values: int, couriers: int) -> Plan:
    """Return a plan with the shared memory counted in values."""
    available = THREADS - couriers
    quarter = -(-columns // 4)
    stride = 4 * quarter + -3 * quarter % BANKS
    places = room // 4 // (lanes * 4 * quarter)  # for sums, in a quarter of the memory
    slices = max(1, min(available // quarter, SUMS // lanes, rows // ROWS, places))
    pitch = 12 if lanes == 8 else lanes
    fixed = rows * pitch + slices * lanes * 4 * quarter + values
    n_held = min(rows, (room - fixed) // stride)
    workers = min(max(quarter * slices, lanes * units), available)
    threads = -(-workers // WARP) * WARP + couriers
    return Plan(lanes, n_held, stride, quarter, slices, threads, fixed + n_held * stride)


def laid_out(matrix: Array, p: Plan) -> Array:
    """Return matrices (..., rows, columns) with rows padded with zeros to the plan's stride."""
    rows = cupy.zeros((*matrix.shape[:-1], p.stride), matrix.dtype)
    rows[..., : matrix.shape[-1]] = matrix
    return rows


def side_by_side(weight: Array) -> Array:
    """Return the weights of all directions as one matrix (C, directions * gates)."""
    directions, channels, columns = weight.shape
    return cupy.ascontiguousarray(weight.transpose(1, 0, 2)).reshape(channels, directions * columns)
