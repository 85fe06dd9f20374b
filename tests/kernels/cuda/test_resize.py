"""Resampling on a GPU, or the stand-in."""

from importlib import import_module
from types import ModuleType

import numpy as np

from lstm2d import kernels
from lstm2d.kernels.taps import Taps, cubic_taps
from tests.kernels.cuda.compare import assert_agrees

NOTHING: Taps = (np.zeros(4, np.intp), np.zeros(0, np.intp), np.zeros(0))  # three rows without taps


def test_rows_without_taps_are_zeros(cp: ModuleType) -> None:
    assert_agrees(cp, "resize", "resample", np.ones((1, 0, 5, 2)), NOTHING, cubic_taps(5, 3))


def test_taps_go_to_the_device_once(cp: ModuleType) -> None:
    module = import_module("lstm2d.kernels._cuda.resize")
    module._on_device.cache_clear()
    x = cp.zeros((1, 4, 4, 1))
    for _ in range(3):
        taps = tuple(t.copy() for t in cubic_taps(4, 8))  # found by their contents
        module.resample(x, taps, taps)
    assert module._on_device.cache_info().misses == 1
    module.resample(x.astype("float32"), taps, taps)
    assert module._on_device.cache_info().misses == 2


def test_labels_of_ties(cp: ModuleType) -> None:
    x = cp.asarray(np.array([[[0.25, 0.5, 0.25], [0.5, 0.5, 0.0], [0.2, 0.4, 0.4]]]))
    assert kernels.pick("resize", like=x).bilinear_argmax(x, 1, 3).get().tolist() == [[1, 0, 1]]
