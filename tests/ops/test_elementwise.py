"""tanh, sigmoid, relu, add, scale and direction_sum: hand values, exact values, differences, all backends."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

from lstm2d import Tensor, backward, kernels
from lstm2d.errors import ShapeError
from lstm2d.gradcheck import gradcheck
from lstm2d.ops import add, direction_sum, relu, scale, sigmoid, tanh

BACKENDS = kernels.available("elementwise")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tanh_by_hand(backend: str, dtype: type) -> None:
    x = Tensor(np.array([0.0, -0.0, math.log(2), -math.log(2), 50.0, -np.inf], dtype), requires_grad=True)
    with kernels.use(backend):
        y = tanh(x)
        backward(y, np.full(6, 2, dtype))
    np.testing.assert_allclose(y.data, [0, 0, 0.6, -0.6, 1, -1], rtol=5e-7)
    assert np.signbit(y.data[1])
    assert x.grad is not None
    np.testing.assert_allclose(x.grad, [2, 2, 1.28, 1.28, 0, 0], rtol=2e-6, atol=1e-12)


def test_tanh_error_bound(rng: np.random.Generator) -> None:
    small = 10.0 ** rng.uniform(-37, 0, 500)
    x = np.concatenate([small, np.linspace(0.001, 10, 1500)]).astype(np.float32)
    x = np.concatenate([x, -x])
    exact = np.array([math.tanh(float(v)) for v in x])  # float64
    error = np.abs(tanh(Tensor(x)).data - exact) / np.abs(exact)
    assert error.max() < 4e-7


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tanh_never_leaves_its_range_and_keeps_nan(backend: str, dtype: type) -> None:
    x = np.concatenate([np.linspace(7, 12, 10_001), [np.inf, 1e30]]).astype(dtype)
    with kernels.use(backend):
        assert np.abs(tanh(Tensor(np.concatenate([x, -x]))).data).max() <= 1
        y = tanh(Tensor(np.array([np.nan, 1.0] * 9, dtype))).data
    assert np.isnan(y[::2]).all()
    assert not np.isnan(y[1::2]).any()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_by_hand(backend: str, dtype: type) -> None:
    x = Tensor(np.array([0.0, math.log(3), -math.log(3), 200.0, -200.0, np.inf, -np.inf], dtype))
    x.requires_grad = True
    with kernels.use(backend):
        y = sigmoid(x)
        backward(y, np.full(7, 2, dtype))
    np.testing.assert_allclose(y.data, [0.5, 0.75, 0.25, 1, 0, 1, 0], rtol=5e-7, atol=1e-37)
    assert x.grad is not None
    np.testing.assert_allclose(x.grad, [0.5, 0.375, 0.375, 0, 0, 0, 0], rtol=2e-6, atol=1e-37)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_relu_by_hand(backend: str, dtype: type) -> None:
    x = Tensor(np.array([2.0, -2.0, 0.0, -0.0, np.inf, -np.inf], dtype), requires_grad=True)
    with kernels.use(backend):
        y = relu(x)
        backward(y, np.full(6, 3, dtype))
    np.testing.assert_array_equal(y.data, [2, 0, 0, 0, np.inf, 0])
    assert not np.signbit(y.data).any()
    np.testing.assert_array_equal(x.grad, [3, 0, 0, 0, 3, 0])


def test_sigmoid_error_bound() -> None:
    x = np.linspace(-87, 87, 5001).astype(np.float32)
    exact = 1 / (1 + np.exp(-x.astype(np.float64)))
    assert (np.abs(sigmoid(Tensor(x)).data - exact) / exact).max() < 4e-7


def test_add_by_hand() -> None:
    x = Tensor(np.array([[1.0, 2.0], [3.0, 4.0]]), requires_grad=True)
    y = Tensor(np.array([10.0, 20.0]), requires_grad=True)
    z = add(x, y)
    backward(z, np.array([[1.0, 2.0], [4.0, 8.0]]))
    assert z.data.tolist() == [[11.0, 22.0], [13.0, 24.0]]
    assert x.grad is not None
    assert y.grad is not None
    assert x.grad.tolist() == [[1.0, 2.0], [4.0, 8.0]]
    assert y.grad.tolist() == [5.0, 10.0]


@settings(max_examples=60)
@given(
    shapes=mutually_broadcastable_shapes(num_shapes=2, max_dims=4, min_side=0, max_side=4),
    seed=st.integers(0, 99),
)
def test_add_gradient_of_any_two_shapes(shapes: object, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = (rng.standard_normal(s) for s in shapes.input_shapes)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(add(Tensor(a), Tensor(b)).data, a + b)
    gradcheck(add, np.asarray(a), np.asarray(b), rng=rng)


def test_add_of_a_tensor_to_itself() -> None:
    x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    backward(add(x, x), np.array([1.0, 3.0]))
    assert x.grad is not None
    assert x.grad.tolist() == [2.0, 6.0]


def test_scale_by_hand() -> None:
    x = Tensor(np.array([1.0, -2.0], np.float32), requires_grad=True)
    y = scale(x, 2.5)
    assert (y.data.tolist(), y.dtype) == ([2.5, -5.0], np.float32)
    backward(y, np.array([1.0, 4.0], np.float32))
    assert x.grad is not None
    assert (x.grad.tolist(), x.grad.dtype) == ([2.5, 10.0], np.float32)


def test_add_wrong() -> None:
    with pytest.raises(ShapeError, match=r"\(2, 3\) and \(2,\)"):
        add(Tensor(np.zeros((2, 3))), Tensor(np.zeros(2)))
    with pytest.raises(TypeError, match="float32 and float64"):
        add(Tensor(np.zeros(2, np.float32)), Tensor(np.zeros(2)))


@pytest.mark.parametrize("backend", BACKENDS)
def test_direction_sum_by_hand(backend: str) -> None:
    x = Tensor(np.array([[1.0, 2.0, 10.0, 20.0, 100.0, 200.0, 1000.0, 2000.0]]), requires_grad=True)
    with kernels.use(backend):
        y = direction_sum(x)
        backward(y, np.array([[3.0, 5.0]]))
    assert y.data.tolist() == [[1111.0, 2222.0]]
    assert x.grad is not None
    assert x.grad.tolist() == [[3.0, 5.0] * 4]


def test_direction_sum_wrong_shape() -> None:
    with pytest.raises(ShapeError, match=r"direction_sum: \(2, 6\)"):
        direction_sum(Tensor(np.zeros((2, 6))))


@pytest.mark.parametrize("op", [tanh, sigmoid, relu, direction_sum])
def test_wrong_dtype(op: object) -> None:
    with pytest.raises(TypeError, match="float16"):
        op(Tensor(np.zeros((2, 4), np.float16)))  # type: ignore[operator]
