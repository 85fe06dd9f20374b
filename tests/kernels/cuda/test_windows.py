"""Windows of pixels on a GPU, or the stand-in."""

from types import ModuleType

import numpy as np
import pytest

from lstm2d import kernels
from tests.kernels.cuda.compare import assert_agrees, on_device, reference

# (N, H, W, C), window
CASES = [((2, 6, 9, 3), 3), ((1, 1, 1, 1), 1), ((1, 5, 4, 2), 1), ((2, 8, 4, 5), 4), ((1, 7, 5, 2), 3)]
EMPTY = [((0, 6, 9, 3), 3), ((2, 0, 6, 1), 2), ((1, 4, 4, 0), 2)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("shape", "window"), CASES + EMPTY)
def test_gather(
    cp: ModuleType, rng: np.random.Generator, shape: tuple[int, ...], window: int, dtype: str
) -> None:
    x = rng.standard_normal(shape).astype(dtype)
    assert_agrees(cp, "windows", "window_gather_forward", x, window)
    grid = (shape[0], shape[1] // window, shape[2] // window, window * window * shape[3])
    assert_agrees(cp, "windows", "window_gather_backward", rng.standard_normal(grid).astype(dtype), window)


def test_views(cp: ModuleType, rng: np.random.Generator) -> None:
    x = cp.asarray(rng.standard_normal((2, 8, 12, 4)))[:, ::-1, ::2, 1::2]
    k = kernels.pick("windows", like=x)
    y = k.window_gather_forward(x, 2)
    np.testing.assert_array_equal(k.window_gather_backward(y[::-1], 2).get(), x.get()[::-1])


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int64"])
@pytest.mark.parametrize("n_classes", [1, 3, 40])
@pytest.mark.parametrize("ignore", [255, -1, 0])
def test_targets(cp: ModuleType, rng: np.random.Generator, dtype: str, n_classes: int, ignore: int) -> None:
    labels = rng.integers(0, n_classes, (2, 6, 9)).astype(dtype)
    if ignore >= 0 or dtype != "uint8":
        labels[rng.random(labels.shape) < 0.3] = ignore
        labels[1, :3, 3:6] = ignore  # a window that says nothing
    weights = rng.random(n_classes).astype(np.float32)
    for scale in (None, weights):
        found = on_device(cp, "windows", "window_targets", labels, 3, n_classes, ignore, scale)
        with kernels.use("_reference"):
            k = kernels.pick("windows", like=labels)
            expected = k.window_targets(labels, 3, n_classes, ignore, scale)
        for a, b in zip(found, expected, strict=True):
            assert a.dtype == b.dtype == np.float32
            np.testing.assert_array_equal(a, b)


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


@pytest.mark.parametrize("shape", [(0, 4, 4), (1, 0, 4)])
def test_targets_of_nothing(cp: ModuleType, shape: tuple[int, int, int]) -> None:
    labels = np.zeros(shape, np.uint8)
    found = on_device(cp, "windows", "window_targets", labels, 2, 3, 255, None)
    expected = reference("windows", "window_targets", labels, 2, 3, 255, None)
    assert [a.shape for a in found] == [a.shape for a in expected]


def test_no_classes(cp: ModuleType) -> None:
    labels = np.full((1, 2, 2), 255, np.uint8)
    targets, weight = on_device(cp, "windows", "window_targets", labels, 2, 0, 255, None)
    assert targets.shape == (1, 1, 1, 0)
    assert weight.tolist() == [[[0]]]
