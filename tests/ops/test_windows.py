"""window_gather and window_targets against hand values, other implementations and every backend."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm2d import Tensor, backward, kernels
from lstm2d.errors import ShapeError
from lstm2d.ops import window_gather
from lstm2d.ops.windows import window_targets

BACKENDS = kernels.available("windows")
IGNORE = 255


@pytest.mark.parametrize("backend", BACKENDS)
def test_gather_by_hand(backend: str) -> None:
    pixels = np.arange(16.0).reshape(1, 2, 4, 2)  # row 0: 0 1 | 2 3 | 4 5 | 6 7, row 1: 8 9 | ...
    x = Tensor(pixels, requires_grad=True)
    with kernels.use(backend):
        y = window_gather(x, 2)
        backward(y, 100 * y.data)
    assert y.data.tolist() == [[[[0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15]]]]
    assert x.grad is not None
    assert x.grad.tolist() == (100 * pixels).tolist()


@settings(max_examples=40)
@given(
    sizes=st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 5), st.integers(1, 4)),
    window=st.integers(1, 6),
    seed=st.integers(0, 2**32 - 1),
)
def test_gather_equals_reshape(sizes: tuple[int, int, int, int], window: int, seed: int) -> None:
    n, rows, columns, c = sizes
    x = np.random.default_rng(seed).standard_normal((n, rows * window, columns * window, c))
    split = x.reshape(n, rows, window, columns, window, c).transpose(0, 1, 3, 2, 4, 5)
    expected = split.reshape(n, rows, columns, window * window * c)
    assert np.array_equal(window_gather(Tensor(x), window).data, expected)


def test_gather_wrong() -> None:
    with pytest.raises(ShapeError, match="5x4 pixels in windows of 2x2"):
        window_gather(Tensor(np.zeros((1, 5, 4, 1))), 2)
    with pytest.raises(ShapeError, match="windows of 0x0"):
        window_gather(Tensor(np.zeros((1, 4, 4, 1))), 0)
    with pytest.raises(ShapeError, match=r"\(4, 4, 1\)"):
        window_gather(Tensor(np.zeros((4, 4, 1))), 2)
    with pytest.raises(TypeError, match="int64"):
        window_gather(Tensor(np.zeros((1, 4, 4, 1), np.int64)), 2)  # type: ignore[arg-type]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64])
def test_targets_by_hand(backend: str, dtype: type) -> None:
    # windows: 3 of class 0 and 1 of class 2; 1 of class 1 and 3 ignored; all ignored
    labels = np.array([[[0, 0, 1, IGNORE, IGNORE, IGNORE], [2, 0, IGNORE, IGNORE, IGNORE, IGNORE]]], dtype)
    with kernels.use(backend):
        targets, weight = window_targets(labels, 2, 3)
    assert targets.tolist() == [[[[0.75, 0.0, 0.25], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]]]
    assert weight.tolist() == [[[1.0, 0.25, 0.0]]]
    assert targets.dtype == weight.dtype == np.float32
    with kernels.use(backend):
        weighted, same = window_targets(labels, 2, 3, class_weights=np.array([2.0, 0.0, 4.0]))
    assert weighted.tolist() == [[[[1.5, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]]
    assert same.tolist() == weight.tolist()


@settings(max_examples=40)
@given(
    sizes=st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 4)),
    window=st.integers(1, 6),
    n_classes=st.integers(1, 9),
    ignore=st.sampled_from([255, 200, 0, -1]),
    seed=st.integers(0, 2**32 - 1),
)
def test_targets_count_pixels(
    sizes: tuple[int, int, int], window: int, n_classes: int, ignore: int, seed: int
) -> None:
    n, rows, columns = sizes
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_classes, (n, rows * window, columns * window), np.int64)
    labels[rng.random(labels.shape) < 0.3] = ignore
    weights = rng.random(n_classes).astype(np.float32)
    split = labels.reshape(n, rows, window, columns, window)
    one_hot = (split[..., None] == np.arange(n_classes)) & (split[..., None] != ignore)
    counts = one_hot.sum(axis=(2, 4))  # (n, rows, columns, n_classes)
    for backend in BACKENDS:
        with kernels.use(backend):
            targets, weight = window_targets(
                labels, window, n_classes, ignore_index=ignore, class_weights=weights
            )
        np.testing.assert_allclose(weight, counts.sum(-1) / window**2, rtol=1e-6)
        np.testing.assert_allclose(targets * weight[..., None] * window**2, counts * weights, rtol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("bad", [3, 254, -1, 2**40])
def test_targets_of_an_unknown_label(backend: str, bad: int) -> None:
    labels = np.zeros((1, 4, 4), np.uint8 if 0 <= bad < 256 else np.int64)
    labels[0, 3, 1] = bad
    with kernels.use(backend), pytest.raises(ValueError, match=r"outside \[0, 3\)"):
        window_targets(labels, 2, 3)


def test_targets_wrong() -> None:
    labels = np.zeros((1, 4, 4), np.uint8)
    with pytest.raises(ShapeError, match=r"labels \(4, 4\)"):
        window_targets(labels[0], 2, 3)
    with pytest.raises(ShapeError, match="4x4 pixels in windows of 3x3"):
        window_targets(labels, 3, 3)
    with pytest.raises(ShapeError, match="class weights for 3 classes"):
        window_targets(labels, 2, 3, class_weights=np.ones(2))
    with pytest.raises(TypeError, match="float64"):
        window_targets(labels.astype(np.float64), 2, 3)  # type: ignore[arg-type]
