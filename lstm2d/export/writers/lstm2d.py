"""The 2D-LSTM layer: a loop over the anti-diagonals of the image, for the four directions at once.

Cell (i, j) lies on diagonal t = i + j, and its predecessors on diagonal t - 1: the horizontal one in the same
row, the vertical one in the row above. A diagonal is kept as a column of all rows, in which cells beside the
image are 0.

A loop over rows with one over columns inside computes fewer cells, but in operators on single cells. In
onnxruntime 1.32 on one thread, a layer on 80x107 cells takes 20, 55 and 141 ms with 4, 20 and 50 units, and
132, 153 and 250 ms by rows.
"""

from __future__ import annotations

import numpy as np

from lstm2d.export.graph import Graph, Value
from lstm2d.export.resampling import FLOAT, cast, places
from lstm2d.export.writers.arguments import Arguments

FLIPS: tuple[tuple[int, ...], ...] = (
    (),
    (2,),
    (1,),
    (1, 2),
)  # axes of (N, H, W, C) that a direction reverses
LARGEST = 2.0**100  # bound of a cell, as in the kernels


def lstm2d_layer(g: Graph, a: Arguments) -> Value:
    """Write `lstm2d.ops.lstm2d_layer`."""
    x = a.value()
    weight, bias = a.parameter("weight"), a.parameter("bias")
    units = bias.shape[1] // 5
    n, height, width = (x.size(axis) for axis in range(3))
    diagonals = g.add("Sub", g.add("Add", height, width), g.integers(1))
    # the products with the input, of all directions and cells together
    every = g.add("MatMul", x.last, g.constant(np.concatenate(weight, axis=1)))
    parts = g.add_several("Split", 4, g.add("Add", every, g.constant(bias.reshape(-1))), axis=-1)
    one = g.integers(0)
    turned = [g.add("Unsqueeze", g.flip(p, axes), one) for p, axes in zip(parts, FLIPS, strict=True)]
    gates = g.add("Concat", *turned, axis=0)  # (4, N, H, W, 5 U)
    skewed = _skewed(g, gates, n, height, diagonals, 5 * units)
    inside = _inside(g, height, width, diagonals)
    start = g.add("Expand", g.constant(np.zeros((1, 1, 1, 1))), g.shape(4, n, height, units))
    body = _body(g, a, units)
    _, _, hidden = g.add_several("Scan", 3, start, start, skewed, inside, body=body, num_scan_inputs=2)
    planes = _straightened(g, hidden, n, height, width, diagonals, units)  # (4, N, H, W, U)
    found = g.add_several("Split", 4, planes, axis=0)
    outputs = [g.flip(g.add("Squeeze", p, one), axes) for p, axes in zip(found, FLIPS, strict=True)]
    return Value(g, g.add("Concat", *outputs, axis=-1))


def _skewed(g: Graph, x: str, n: str, height: str, diagonals: str, channels: int) -> str:
    """Return (4, N, H, W, C) by diagonals, (diagonals, 4, N, H, C): row i is moved i columns to the right.

    With H zeros after each row, the row length is one more than the number of diagonals; cutting the same
    values into rows of that number moves each row by one more than the row above.
    """
    zeros = g.integers(0, 0, 0)
    pads = g.shape(zeros, g.integers(0, 0), zeros, height, g.integers(0))
    flat = g.add("Mul", height, diagonals)
    rows = g.add("Reshape", g.add("Pad", x, pads), g.shape(4, n, -1, channels))
    cut = g.slice(rows, [2], [0], [flat])
    return g.add(
        "Transpose", g.add("Reshape", cut, g.shape(4, n, height, diagonals, channels)), perm=[3, 0, 1, 2, 4]
    )


def _straightened(g: Graph, x: str, n: str, height: str, width: str, diagonals: str, units: int) -> str:
    """Return (diagonals, 4, N, H, U) as an image, (4, N, H, W, U): the inverse of `_skewed`."""
    rows = g.add("Reshape", g.add("Transpose", x, perm=[1, 2, 3, 0, 4]), g.shape(4, n, -1, units))
    zeros = g.integers(0, 0, 0, 0)
    padded = g.add("Pad", rows, g.shape(zeros, g.integers(0, 0), height, g.integers(0)))
    length = g.add("Add", diagonals, g.integers(1))
    return g.slice(g.add("Reshape", padded, g.shape(4, n, height, length, units)), [3], [0], [width])


def _inside(g: Graph, height: str, width: str, diagonals: str) -> str:
    """Return 1 for cells of the image and 0 for those beside it, (diagonals, H, 1)."""
    column = g.add(
        "Sub",
        g.add("Reshape", places(g, diagonals), g.integers(-1, 1, 1)),
        g.add("Reshape", places(g, height), g.integers(-1, 1)),
    )
    left, right = g.add("GreaterOrEqual", column, g.integers(0)), g.add("Less", column, width)
    return cast(g, g.add("And", left, right), FLOAT)


def _body(g: Graph, a: Arguments, units: int) -> object:
    """Return the body of the loop: one diagonal of all directions; states are (4, N, H, U)."""
    peepholes = a.optional("peepholes")
    scale, leaky = float(a.fixed("cell_scale")), bool(a.fixed("leaky"))
    b = Graph(g.name("diagonal") + "_")
    hidden, cell, z, inside = (b.name(kind) for kind in ("hidden", "cell", "gates", "inside"))
    down = b.integers(0, 0, 1, 0, 0, 0, -1, 0)  # a row of zeros comes in, the last one goes out
    cell_y = b.add("Pad", cell, down)
    both = b.add("Concat", hidden, b.add("Pad", hidden, down), axis=-1)
    recurrent = a.parameter("recurrent")[:, np.newaxis]  # (4, 1, 2 U, 5 U)
    z_new = b.add("Add", z, b.add("MatMul", both, b.constant(recurrent)))
    if peepholes is None:
        wide = [3 * units, units, units]
        gates, candidate, output = b.add_several("Split", 3, z_new, b.integers(*wide), axis=-1)
        to_output = None
    else:
        i, f_x, f_y, candidate, output = b.add_several("Split", 5, z_new, axis=-1)
        p_ix, p_iy, p_fx, p_fy, to_output = (
            b.constant(peepholes[:, np.newaxis, np.newaxis, k])
            for k in range(5)  # (4, 1, 1, U)
        )
        sees = b.add("Add", b.add("Mul", cell, p_ix), b.add("Mul", cell_y, p_iy))
        seen = [
            b.add("Add", gate, weighted)
            for gate, weighted in (
                (i, sees),
                (f_x, b.add("Mul", cell, p_fx)),
                (f_y, b.add("Mul", cell_y, p_fy)),
            )
        ]
        gates = b.add("Concat", *seen, axis=-1)
    i, f_x, f_y = b.add_several("Split", 3, b.add("Sigmoid", gates), axis=-1)
    if leaky:  # f_x (f_y c_y + (1 - f_y) c_x)
        mean = b.add("Add", cell, b.add("Mul", f_y, b.add("Sub", cell_y, cell)))
        old = b.add("Mul", f_x, mean)
    else:
        old = b.add("Add", b.add("Mul", f_x, cell), b.add("Mul", f_y, cell_y))
    if scale != 1:
        old = b.add("Mul", old, b.constant(scale))
    new = b.add("Add", old, b.add("Mul", i, b.add("Tanh", candidate)))
    if not leaky:
        new = b.add("Clip", new, b.constant(-LARGEST), b.constant(LARGEST))
    new = b.add("Mul", new, inside)
    if to_output is not None:
        output = b.add("Add", output, b.add("Mul", new, to_output))
    result = b.add("Mul", b.add("Sigmoid", output), b.add("Tanh", new))
    again = b.add("Identity", result)  # an output of the body has a name of its own
    return g.body("diagonal", b, {hidden: 4, cell: 4, z: 4, inside: 2}, {result: 4, new: 4, again: 4})
