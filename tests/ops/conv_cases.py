"""Convolutions of many shapes and options, for the tests of conv2d and conv_transpose2d."""

from typing import Literal

import numpy as np

from lstm2d import Tensor
from lstm2d.ops import conv2d, conv_transpose2d
from lstm2d.tensor import FloatArray

Pair = tuple[int, int]
# (N, H, W, C_in), (kh, kw, C_out), stride, padding, dilation
Case = tuple[tuple[int, int, int, int], tuple[int, int, int], Pair, Pair, Pair]
CASES: list[Case] = [
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
    ((0, 4, 5, 3), (3, 3, 4), (1, 1), (1, 1), (1, 1)),
    ((0, 4, 5, 16), (3, 3, 16), (1, 1), (1, 1), (1, 1)),
    ((1, 4, 5, 0), (3, 3, 4), (1, 1), (1, 1), (1, 1)),
    ((1, 4, 5, 3), (3, 3, 0), (1, 1), (1, 1), (1, 1)),
]
TRANSPOSED: list[Case] = [(*case[:4], (1, 1)) for case in CASES if case[4] == (1, 1)] + [
    ((1, 3, 4, 5), (2, 2, 3), (2, 2), (0, 0), (1, 1)),
    ((2, 3, 4, 5), (4, 4, 3), (2, 2), (1, 1), (1, 1)),
    ((1, 3, 2, 2), (2, 3, 3), (4, 5), (0, 0), (1, 1)),  # windows with gaps between them
]
LARGE: list[Case] = [
    ((2, 23, 49, 20), (2, 4, 41), (2, 4), (0, 0), (1, 1)),  # patches, panels of 32 and of 9 columns
    ((2, 37, 29, 3), (3, 3, 20), (1, 1), (1, 1), (1, 1)),
    ((2, 38, 31, 5), (8, 8, 9), (1, 1), (0, 0), (1, 1)),
    ((2, 49, 53, 11), (8, 8, 25), (1, 1), (0, 0), (1, 1)),
    ((2, 41, 39, 33), (5, 6, 16), (1, 1), (2, 3), (1, 1)),
    ((1, 15, 17, 20), (12, 10, 20), (1, 1), (9, 9), (1, 1)),
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


def run(
    case: Case,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    *,
    transposed: bool,
    activation: Literal["relu", "tanh"] | None = None,
) -> Tensor:
    _, _, stride, padding, dilation = case
    if transposed:
        return conv_transpose2d(x, weight, bias, stride=stride, padding=padding, activation=activation)
    return conv2d(x, weight, bias, stride=stride, padding=padding, dilation=dilation, activation=activation)


def draw(case: Case, rng: np.random.Generator, dtype: type = np.float64) -> list[FloatArray]:
    """Return x, weight and bias."""
    shape, (kh, kw, outputs), *_ = case
    shapes = [shape, (kh, kw, shape[3], outputs), (outputs,)]
    return [rng.standard_normal(s).astype(dtype) for s in shapes]


def fits(case: Case, *, transposed: bool) -> bool:
    shape, kernel, stride, padding, _ = case
    return not transposed or all(
        (shape[k + 1] - 1) * stride[k] - 2 * padding[k] + kernel[k] > 0 for k in (0, 1)
    )


BOTH = [(case, False) for case in CASES] + [(c, True) for c in TRANSPOSED if fits(c, transposed=True)]
