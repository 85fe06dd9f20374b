"""Windows of pixels on a GPU, or the stand-in."""

from types import ModuleType

import numpy as np
import pytest

from lstm2d import kernels
from tests.kernels.cuda.compare import on_device

# (N, H, W, C), window


def test_class_weights_may_lie_on_the_host(cp: ModuleType) -> None:
    labels = cp.asarray(np.array([[[0, 1], [1, 1]]], np.uint8))
    k = kernels.pick("windows", like=labels)
    targets, weight = k.window_targets(labels, 2, 2, 255, np.array([2.0, 4.0], np.float32))
    assert targets.get().tolist() == [[[[0.5, 3]]]]
    assert weight.get().tolist() == [[[1]]]


@pytest.mark.parametrize("wrong", [3, 255, -1, 2**40])
def test_a_label_outside_the_classes(cp: ModuleType, wrong: int) -> None:
    labels = np.zeros((1, 4, 4), np.int64)
    labels[0, 3, 2] = wrong
    with pytest.raises(ValueError, match=r"outside \[0, 3\)"):
        on_device(cp, "windows", "window_targets", labels, 2, 3, 100, None)
    found = on_device(cp, "windows", "window_targets", labels, 2, 3, wrong, None)
    assert found[1].ravel().tolist() == [1, 1, 1, 0.75]


def test_no_classes(cp: ModuleType) -> None:
    labels = np.full((1, 2, 2), 255, np.uint8)
    targets, weight = on_device(cp, "windows", "window_targets", labels, 2, 0, 255, None)
    assert targets.shape == (1, 1, 1, 0)
    assert weight.tolist() == [[[0]]]
