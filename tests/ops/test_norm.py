"""Normalisations against hand values, finite differences and every backend."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm2d import Tensor, backward, kernels
from lstm2d.errors import ShapeError
from lstm2d.ops import batch_norm, l2_normalise, local_response_norm

BACKENDS = kernels.available("norm")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_batch_norm_by_hand(backend: str, dtype: type) -> None:
    # channel 0: 1, 3 has mean 2 and variance 1; channel 1: 0, 8 has mean 4 and variance 16
    x = Tensor(np.array([[1.0, 0.0], [3.0, 8.0]], dtype), requires_grad=True)
    scale = Tensor(np.array([2.0, 1.0], dtype), requires_grad=True)
    shift = Tensor(np.array([10.0, 0.0], dtype), requires_grad=True)
    mean, var = np.array([0.0, 4.0], dtype), np.array([1.0, 1.0], dtype)
    with kernels.use(backend):
        y = batch_norm(x, mean, var, scale, shift, training=True, momentum=0.25, eps=0)
        backward(y, np.array([[1.0, 0.0], [0.0, 4.0]], dtype))
    np.testing.assert_allclose(y.data, [[8, -1], [12, 1]], rtol=1e-6)
    np.testing.assert_allclose(mean, [0.5, 4], rtol=1e-6)
    np.testing.assert_allclose(var, [0.75 + 0.25 * 2, 0.75 + 0.25 * 32], rtol=1e-6)  # by M - 1
    for t, expected in ((scale, [-1, 4]), (shift, [1, 4]), (x, np.zeros((2, 2)))):  # two values: y is fixed
        assert t.grad is not None
        np.testing.assert_allclose(t.grad, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_batch_norm_with_running_values_by_hand(backend: str, dtype: type) -> None:
    x = Tensor(np.array([[1.0, 0.0], [3.0, 8.0]], dtype), requires_grad=True)
    mean, var = np.array([1.0, 4.0], dtype), np.array([3.0, 15.0], dtype)
    mean.setflags(write=False)
    var.setflags(write=False)
    with kernels.use(backend):
        y = batch_norm(x, mean, var, training=False, eps=1)
        backward(y, np.array([[2.0, 0.0], [0.0, 4.0]], dtype))
    np.testing.assert_allclose(y.data, [[0, -1], [1, 1]], rtol=1e-6)
    assert x.grad is not None
    np.testing.assert_allclose(x.grad, [[1, 0], [0, 1]], rtol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_batch_norm_of_a_channel_far_from_zero(backend: str, rng: np.random.Generator) -> None:
    x = (1000 + 0.01 * rng.integers(0, 8, (2, 50, 60, 3))).astype(np.float32)
    exact = x.astype(np.float64)
    exact = (exact - exact.mean(axis=(0, 1, 2))) / exact.std(axis=(0, 1, 2))
    with kernels.use(backend):
        y = batch_norm(Tensor(x), np.zeros(3), np.ones(3), training=True, eps=0)
    np.testing.assert_allclose(y.data, exact, atol=2e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_batch_norm_of_an_empty_batch_changes_nothing(backend: str) -> None:
    mean, var = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    with kernels.use(backend):
        y = batch_norm(Tensor(np.zeros((0, 3, 3, 2))), mean, var, training=True)
    assert y.shape == (0, 3, 3, 2)
    assert mean.tolist() == [1, 2]
    assert var.tolist() == [3, 4]


def test_batch_norm_wrong() -> None:
    x, c = Tensor(np.zeros((1, 1, 1, 3))), np.ones(3)
    with pytest.raises(ShapeError, match="one value per channel"):
        batch_norm(x, c, c, training=True)
    with pytest.raises(ShapeError, match=r"\(3,\), \(2,\) do not fit x \(1, 1, 1, 3\)"):
        batch_norm(x, c, np.ones(2), training=False)
    with pytest.raises(ShapeError, match=r"\(3,\), \(3,\), \(4,\)"):
        batch_norm(x, c, c, Tensor(np.ones(4)), training=False)
    with pytest.raises(ShapeError, match="single number"):
        batch_norm(Tensor(np.array(1.0)), c, c, training=False)
    with pytest.raises(TypeError, match="float16"):
        batch_norm(Tensor(np.zeros((2, 3), np.float16)), c, c, training=True)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_l2_by_hand(backend: str, dtype: type) -> None:
    x = Tensor(np.array([[[[3.0]], [[4.0]]], [[[0.0]], [[0.0]]]], dtype), requires_grad=True)
    with kernels.use(backend):
        y = l2_normalise(x, 100)
        backward(y, np.array([[[[1.0]], [[0.0]]], [[[1.0]], [[1.0]]]], dtype))
    np.testing.assert_allclose(y.data.reshape(2, 2), [[60, 80], [0, 0]], rtol=1e-6)
    assert x.grad is not None  # 100 / 5 (1 - 9 / 25), -100 / 5 12 / 25; a map of zeros has none
    np.testing.assert_allclose(x.grad.reshape(2, 2), [[12.8, -9.6], [0, 0]], rtol=1e-6)


def test_l2_of_values_whose_squares_overflow() -> None:
    y = l2_normalise(Tensor(np.array([[3e30, 4e30]], np.float32)))
    np.testing.assert_allclose(y.data, [[0.6, 0.8]], rtol=1e-6)


def test_l2_wrong() -> None:
    with pytest.raises(ShapeError, match="single number"):
        l2_normalise(Tensor(np.array(1.0)))
    with pytest.raises(TypeError, match="float16"):
        l2_normalise(Tensor(np.zeros((1, 2), np.float16)))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_response_norm_by_hand(backend: str, dtype: type) -> None:
    # windows of two: the channel before and the channel itself; 1 + 2 / 2 (squares)
    x = Tensor(np.array([[1.0, 2.0, -3.0]], dtype), requires_grad=True)
    with kernels.use(backend):
        y = local_response_norm(x, 2, alpha=2.0, beta=1.0, k=1.0)
        backward(y, np.array([[0.0, 1.0, 0.0]], dtype))
    np.testing.assert_allclose(y.data, [[1 / 2, 2 / 6, -3 / 14]], rtol=1e-6)
    assert x.grad is not None
    np.testing.assert_allclose(x.grad, [[-2 * 2 / 36, 1 / 6 - 2 * 2 * 2 / 36, 0]], rtol=2e-6, atol=1e-7)


@settings(max_examples=60)
@given(channels=st.integers(1, 40), size=st.integers(1, 50), seed=st.integers(0, 99))
def test_response_norm_of_any_size(channels: int, size: int, seed: int) -> None:
    x = np.random.default_rng(seed).standard_normal((2, 3, channels))
    expected = np.empty_like(x)
    for c in range(channels):
        window = x[..., max(0, c - size // 2) : c + (size - 1) // 2 + 1]
        expected[..., c] = x[..., c] / (2 + 3 * np.square(window).sum(axis=-1) / size) ** 0.75
    for backend in BACKENDS:
        with kernels.use(backend):
            y = local_response_norm(Tensor(x), size, alpha=3.0, k=2.0)
        np.testing.assert_allclose(y.data, expected, rtol=1e-12)


def test_response_norm_wrong() -> None:
    with pytest.raises(ValueError, match="size 0"):
        local_response_norm(Tensor(np.zeros((1, 2))), 0)
    with pytest.raises(ShapeError, match="single number"):
        local_response_norm(Tensor(np.array(1.0)), 5)
    with pytest.raises(TypeError, match="float16"):
        local_response_norm(Tensor(np.zeros((1, 2), np.float16)), 5)
