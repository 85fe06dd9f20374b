"""Convolutions on a GPU, or the stand-in: blocks of copied patches, and types."""

from importlib import import_module
from types import ModuleType

import numpy as np
import pytest

from lstm2d import kernels
from lstm2d.selftest.cases.conv import Geometry, conv
from tests.kernels.cuda.compare import check

BLOCKS: list[Geometry] = [
    ((3, 5, 6, 3), (3, 2, 4), (1, 1), (1, 1), (1, 1)),
    ((2, 9, 8, 2), (2, 2, 3), (3, 4), (0, 0), (1, 1)),  # pixels that no output sees
    ((2, 7, 9, 2), (2, 3, 3), (2, 3), (0, 0), (1, 1)),
    ((1, 4, 5, 2), (3, 3, 3), (1, 2), (4, 3), (2, 1)),
]


@pytest.mark.parametrize("outputs", [1, 7, 33])  # of a block
@pytest.mark.parametrize("geometry", BLOCKS)
def test_blocks_of_patches(
    cp: ModuleType, monkeypatch: pytest.MonkeyPatch, geometry: Geometry, outputs: int
) -> None:
    (_, _, _, c), (kh, kw, _), *_ = geometry
    module = import_module("lstm2d.kernels._cuda.conv")
    monkeypatch.setattr(module, "SCRATCH", outputs * kh * kw * c * 8 + 7)
    check(cp, conv(geometry), np.float64)


def test_types_must_agree(cp: ModuleType) -> None:
    x, weight = cp.zeros((1, 4, 4, 2), "float32"), cp.zeros((2, 2, 2, 3))
    with pytest.raises(TypeError, match="float32 or all float64"):
        kernels.pick("conv", like=x).conv2d_forward(x, weight, None, (1, 1), (0, 0), (1, 1))
