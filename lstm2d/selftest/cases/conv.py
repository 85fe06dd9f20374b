"""Convolutions and transposed convolutions: every geometry in both, with bias and with an activation."""

from __future__ import annotations

from math import prod
from typing import Any

from lstm2d.selftest.case import BACKENDS, LARGE, MEASURED, RESULT, SELFTEST, Case
from lstm2d.selftest.cases.draws import off_centre, one_nan

Pair = tuple[int, int]
# (N, H, W, C_in), (kh, kw, C_out), stride, padding, dilation
Geometry = tuple[tuple[int, int, int, int], tuple[int, int, int], Pair, Pair, Pair]
GEOMETRIES: list[Geometry] = [
    ((2, 5, 6, 3), (3, 3, 4), (1, 1), (0, 0), (1, 1)),
    ((1, 7, 5, 2), (2, 3, 5), (2, 3), (1, 2), (1, 1)),  # strides that do not divide
    ((2, 6, 5, 3), (3, 2, 2), (1, 1), (4, 1), (3, 2)),
    ((1, 4, 3, 2), (3, 3, 3), (1, 1), (9, 9), (9, 9)),  # only the middle tap sees the image
    ((1, 4, 3, 2), (3, 3, 3), (2, 2), (7, 7), (7, 6)),
    ((1, 5, 5, 3), (2, 2, 3), (5, 4), (0, 1), (1, 1)),  # pixels that no output sees
    ((2, 6, 8, 3), (2, 4, 5), (2, 4), (0, 0), (1, 1)),  # patches
    ((1, 7, 9, 3), (2, 4, 5), (2, 4), (0, 0), (1, 1)),  # patches, pixels left over
    ((2, 4, 5, 3), (1, 1, 4), (1, 1), (0, 0), (1, 1)),
    ((1, 4, 5, 3), (1, 1, 4), (2, 2), (1, 0), (1, 1)),
    ((1, 1, 1, 1), (1, 1, 1), (1, 1), (0, 0), (1, 1)),
    ((1, 1, 1, 2), (3, 3, 2), (1, 1), (1, 1), (1, 1)),
    ((1, 12, 9, 3), (5, 8, 4), (1, 1), (2, 0), (1, 1)),
    ((1, 9, 11, 3), (8, 8, 7), (1, 1), (0, 0), (1, 1)),
    ((1, 5, 5, 2), (5, 5, 3), (1, 1), (0, 0), (1, 1)),  # one output
    ((1, 5, 6, 2), (2, 2, 3), (1, 1), (3, 4), (1, 1)),  # more padding than filter
    ((1, 9, 10, 16), (3, 3, 17), (1, 1), (1, 1), (1, 1)),
    ((2, 6, 7, 18), (3, 3, 16), (1, 1), (0, 2), (1, 1)),
    ((1, 3, 3, 16), (3, 3, 16), (1, 1), (0, 0), (1, 1)),
    ((1, 2, 1, 16), (3, 3, 16), (1, 1), (3, 3), (1, 1)),
    ((1, 21, 22, 2), (8, 8, 3), (1, 1), (0, 0), (1, 1)),  # 4 x 4 tiles: enough for nested products
    ((2, 25, 33, 3), (5, 7, 2), (1, 1), (1, 6), (1, 1)),
    ((1, 4, 18, 17), (4, 4, 2), (1, 1), (8, 3), (1, 1)),  # more padding than filter and image
    ((0, 25, 33, 3), (5, 7, 2), (1, 1), (1, 6), (1, 1)),
    ((1, 22, 19, 16), (3, 3, 17), (1, 1), (1, 1), (1, 1)),  # tiles, also where the image ends
    ((1, 17, 25, 18), (3, 3, 16), (1, 1), (0, 2), (1, 1)),
    ((1, 31, 29, 16), (3, 3, 17), (1, 1), (2, 3), (2, 3)),  # tiles of every second row, every third column
    ((1, 34, 20, 17), (3, 3, 16), (1, 1), (9, 0), (5, 1)),
    ((1, 20, 22, 16), (3, 3, 16), (1, 1), (30, 25), (25, 24)),
    ((1, 43, 40, 2), (8, 8, 3), (1, 1), (0, 0), (2, 2)),  # every second row and column, as above
    ((0, 4, 5, 3), (3, 3, 4), (1, 1), (1, 1), (1, 1)),
    ((0, 4, 5, 16), (3, 3, 16), (1, 1), (1, 1), (1, 1)),
    ((1, 4, 5, 0), (3, 3, 4), (1, 1), (1, 1), (1, 1)),
    ((1, 4, 5, 3), (3, 3, 0), (1, 1), (1, 1), (1, 1)),
    # strides that share a factor with the dilation, are a multiple of it, or divide it
    ((2, 9, 13, 3), (3, 2, 4), (4, 2), (2, 1), (2, 4)),
    ((1, 21, 10, 2), (4, 3, 3), (3, 6), (1, 5), (6, 4)),
    ((2, 7, 8, 5), (1, 3, 2), (2, 1), (0, 1), (1, 3)),
]
TRANSPOSED: list[Geometry] = [
    ((1, 3, 4, 5), (2, 2, 3), (2, 2), (0, 0), (1, 1)),
    ((2, 3, 4, 5), (4, 4, 3), (2, 2), (1, 1), (1, 1)),
    ((1, 3, 2, 2), (2, 3, 3), (4, 5), (0, 0), (1, 1)),  # windows with gaps between them
]
BLOCKS: list[Geometry] = [
    ((2, 23, 49, 20), (2, 4, 41), (2, 4), (0, 0), (1, 1)),  # patches, panels of 32 and of 9 columns
    ((2, 37, 29, 3), (3, 3, 20), (1, 1), (1, 1), (1, 1)),
    ((2, 38, 31, 5), (8, 8, 9), (1, 1), (0, 0), (1, 1)),
    ((2, 49, 53, 11), (8, 8, 25), (1, 1), (0, 0), (1, 1)),
    ((2, 41, 39, 33), (5, 6, 16), (1, 1), (2, 3), (1, 1)),
    ((1, 15, 17, 20), (12, 10, 20), (1, 1), (9, 9), (1, 1)),
    ((2, 73, 87, 11), (8, 8, 25), (1, 1), (0, 0), (4, 3)),
    ((2, 60, 103, 3), (5, 7, 2), (1, 1), (0, 0), (2, 3)),
    ((2, 45, 60, 9), (3, 3, 40), (1, 1), (1, 1), (1, 1)),
    ((2, 38, 31, 5), (4, 4, 9), (4, 4), (0, 0), (1, 1)),
    ((2, 33, 31, 24), (3, 3, 36), (1, 1), (1, 1), (1, 1)),
    ((1, 33, 31, 33), (3, 3, 16), (1, 1), (0, 0), (1, 1)),
    ((2, 23, 31, 40), (3, 3, 50), (1, 1), (6, 6), (6, 6)),
    ((2, 23, 31, 40), (3, 3, 50), (2, 2), (1, 1), (1, 1)),
    ((2, 37, 40, 40), (3, 3, 50), (1, 1), (4, 4), (4, 4)),
    ((2, 16, 19, 260), (3, 3, 256), (1, 1), (1, 1), (1, 1)),
    ((2, 25, 27, 260), (3, 3, 256), (1, 1), (4, 5), (4, 5)),
    ((2, 9, 11, 40), (1, 1, 50), (1, 1), (0, 0), (1, 1)),
]
# of Winograd's method, on values after a ReLU: filter, channels, dilation
PRECISE = [(3, 16, 1), (3, 300, 1), (3, 16, 6), (3, 300, 6), (4, 50, 1), (5, 30, 1), (8, 25, 1), (8, 200, 1)]
MAPS: dict[str, Geometry] = {
    "3x3 64-64": ((1, 180, 240, 64), (3, 3, 64), (1, 1), (1, 1), (1, 1)),
    "3x3 128-128": ((1, 90, 120, 128), (3, 3, 128), (1, 1), (1, 1), (1, 1)),
    "3x3 256-256": ((1, 90, 120, 256), (3, 3, 256), (1, 1), (1, 1), (1, 1)),
    "3x3 3-64": ((1, 360, 480, 3), (3, 3, 64), (1, 1), (1, 1), (1, 1)),
    "8x8 11-25": ((1, 240, 320, 11), (8, 8, 25), (1, 1), (0, 0), (1, 1)),
    "8x8 25-50": ((1, 116, 156, 25), (8, 8, 50), (1, 1), (0, 0), (1, 1)),
    "8x8 25-50, dilation 4": ((1, 260, 340, 25), (8, 8, 50), (1, 1), (0, 0), (4, 4)),
    "7x7 256-1024": ((1, 8, 10, 256), (7, 7, 1024), (1, 1), (3, 3), (1, 1)),  # more weights than values
    "3x3 dilation 12 512-1024": ((1, 50, 63, 512), (3, 3, 1024), (1, 1), (12, 12), (12, 12)),
}


def conv(
    geometry: Geometry,
    transposed: bool = False,
    bias: bool = True,
    activation: str | None = None,
    error: tuple[float, float] = (5e-5, 1e-12),
    **fields: Any,
) -> Case:
    """Return a convolution, or a transposed one; `fields` as in `Case`."""
    x, (kh, kw, outputs), stride, padding, dilation = geometry
    options: dict[str, Any] = {"stride": stride, "padding": padding}
    options |= {} if transposed else {"dilation": dilation}
    options |= {"activation": activation} if activation else {}
    positions = x[0] * x[1] * x[2] if transposed else x[0] * prod(result_size(geometry, transposed=False))
    return Case(
        "conv_transpose2d" if transposed else "conv2d",
        (x, (kh, kw, x[3], outputs)) + bias * ((outputs,),),
        options,
        family="conv",
        error=error,
        products=((positions, *((x[3], kh * kw * outputs) if transposed else (kh * kw * x[3], outputs))),),
        flop=bias + (activation is not None),
        **fields,
    )


def result_size(geometry: Geometry, *, transposed: bool) -> Pair:
    """Return rows and columns of the result; below 1 if nothing is left of it."""
    x, kernel, stride, padding, dilation = geometry
    sizes = [
        (x[k + 1] - 1) * stride[k] - 2 * padding[k] + kernel[k]
        if transposed
        else (x[k + 1] + 2 * padding[k] - dilation[k] * (kernel[k] - 1) - 1) // stride[k] + 1
        for k in (0, 1)
    ]
    return sizes[0], sizes[1]


def both(geometries: list[Geometry]) -> list[tuple[Geometry, bool]]:
    """Return geometries of convolutions, and those which a transposed one can have."""
    plain = [(*geometry[:4], (1, 1)) for geometry in geometries]
    fitting = [g for g in dict.fromkeys(plain) if min(result_size(g, transposed=True)) > 0]
    return [(geometry, False) for geometry in geometries] + [(geometry, True) for geometry in fitting]


def _precise(kernel: int, channels: int, dilation: int) -> Case:
    pair = (dilation, dilation)
    geometry: Geometry = ((1, 40, 43, channels), (kernel, kernel, channels), (1, 1), pair, pair)
    return conv(geometry, users=frozenset({BACKENDS}), error=(1e-4, 1e-11), draw=off_centre)


ALL = both(GEOMETRIES) + [(geometry, True) for geometry in TRANSPOSED]
ALL_BLOCKS = both(BLOCKS)
CASES: list[Case] = [
    *(conv(geometry, transposed=transposed) for geometry, transposed in ALL),
    *(conv(geometry, bias=False, transposed=t, activation="relu" if t else "tanh") for geometry, t in ALL),
    *(conv(geometry, transposed=transposed, users=LARGE) for geometry, transposed in ALL_BLOCKS),
    conv(
        ((2, 9, 10, 16), (3, 3, 16), (1, 1), (1, 1), (1, 1)),
        activation="tanh",
        users=SELFTEST,
        label="convolution 3x3",
    ),
    conv(((1, 12, 11, 3), (5, 5, 4), (2, 2), (0, 0), (1, 1)), users=SELFTEST, label="convolution 5x5"),
    conv(
        ((2, 4, 5, 6), (2, 2, 4), (2, 2), (0, 0), (1, 1)),
        transposed=True,
        users=SELFTEST,
        label="transposed convolution",
    ),
    *(  # few channels: no tile of Winograd's method spreads it
        conv(((2, 7, 7, 2), (2, 2, 3), (1, 1), (0, 0), (1, 1)), transposed=t, draw=one_nan, users=RESULT)
        for t in (False, True)
    ),
    *(_precise(*row) for row in PRECISE),
    *(conv(geometry, users=MEASURED, label=f"conv {name}") for name, geometry in MAPS.items()),
    conv(
        ((1, 45, 60, 200), (2, 2, 50), (2, 2), (0, 0), (1, 1)),
        transposed=True,
        users=MEASURED,
        label="transposed conv 2x2 200-50",
    ),
]
