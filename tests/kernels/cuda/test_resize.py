"""Resampling on a GPU, or the stand-in."""

from importlib import import_module
from types import ModuleType

import numpy as np
import pytest

from lstm2d import kernels
from lstm2d.kernels.taps import Taps, bilinear_taps, cubic_taps, transposed
from tests.kernels.cuda.compare import assert_agrees, on_device, reference

SIZES = [(1, 1), (5, 5), (5, 13), (13, 5), (4, 0)]
NOTHING: Taps = (np.zeros(4, np.intp), np.zeros(0, np.intp), np.zeros(0))  # three rows without taps


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("old", "new"), SIZES)
def test_agrees(cp: ModuleType, rng: np.random.Generator, old: int, new: int, dtype: str) -> None:
    x = rng.standard_normal((2, old, 7, 3)).astype(dtype)
    rows, columns = bilinear_taps(old, new, False), cubic_taps(7, 9)
    assert_agrees(cp, "resize", "resample", x, rows, columns)
    grad_y = rng.standard_normal((2, new, 9, 3)).astype(dtype)
    assert_agrees(cp, "resize", "resample", grad_y, transposed(rows, old), transposed(columns, 7))


@pytest.mark.parametrize("shape", [(0, 4, 5, 2), (2, 4, 5, 0)])
def test_nothing(cp: ModuleType, shape: tuple[int, int, int, int]) -> None:
    assert_agrees(cp, "resize", "resample", np.zeros(shape), cubic_taps(4, 8), cubic_taps(5, 3))


def test_rows_without_taps_are_zeros(cp: ModuleType) -> None:
    assert_agrees(cp, "resize", "resample", np.ones((1, 0, 5, 2)), NOTHING, cubic_taps(5, 3))


def test_a_view(cp: ModuleType, rng: np.random.Generator) -> None:
    x = cp.asarray(rng.standard_normal((2, 8, 10, 6)))[:, ::-2, 1::3, ::2]
    taps = cubic_taps(4, 6), cubic_taps(3, 7)
    found = kernels.pick("resize", like=x).resample(x, *taps).get()
    with kernels.use("_reference"):
        plain = x.get()
        np.testing.assert_allclose(found, kernels.pick("resize", like=plain).resample(plain, *taps))


def test_taps_go_to_the_device_once(cp: ModuleType) -> None:
    module = import_module("lstm2d.kernels._cuda.resize")
    module._on_device.cache_clear()
    x = cp.zeros((1, 4, 4, 1))
    for _ in range(3):
        taps = tuple(t.copy() for t in cubic_taps(4, 8))  # known by what they hold
        module.resample(x, taps, taps)
    assert module._on_device.cache_info().misses == 1
    module.resample(x.astype("float32"), taps, taps)
    assert module._on_device.cache_info().misses == 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("size", "new"), [((1, 1), (3, 2)), ((5, 4), (5, 4)), ((4, 6), (9, 21)), ((7, 5), (3, 2))]
)
def test_labels_agree(
    cp: ModuleType, rng: np.random.Generator, size: tuple[int, int], new: tuple[int, int], dtype: str
) -> None:
    x = rng.random((*size, 5)).astype(dtype)
    found = on_device(cp, "resize", "bilinear_argmax", x, *new)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, reference("resize", "bilinear_argmax", x, *new))


def test_labels_of_ties(cp: ModuleType) -> None:
    x = cp.asarray(np.array([[[0.25, 0.5, 0.25], [0.5, 0.5, 0.0], [0.2, 0.4, 0.4]]]))
    assert kernels.pick("resize", like=x).bilinear_argmax(x, 1, 3).get().tolist() == [[1, 0, 1]]
