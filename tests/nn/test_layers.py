"""Linear and LSTM2D: their parameters, and options passed to the operation."""

from typing import Any

import numpy as np
import pytest

from lstm2d import Tensor, backward, ops
from lstm2d.gradcheck import gradcheck
from lstm2d.nn import LSTM2D, Linear


def test_linear_is_the_operation(rng: np.random.Generator) -> None:
    layer = Linear(4, 3, rng=rng)
    layer.bias = Tensor(np.array([1.0, 2.0, 3.0], np.float32), requires_grad=True)
    x = rng.standard_normal((2, 5, 4)).astype(np.float32)
    np.testing.assert_allclose(layer(Tensor(x)).data, x @ layer.weight.data + layer.bias.data, rtol=1e-5)
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]


def test_linear_starts_without_offset(rng: np.random.Generator) -> None:
    layer = Linear(30, 10, rng=rng, dtype=np.float64)
    assert layer.bias is not None
    assert not layer.bias.data.any()
    assert layer.weight.dtype == np.float64
    assert 0.9 * np.sqrt(6 / 40) < np.abs(layer.weight.data).max() <= np.sqrt(6 / 40)


def test_linear_without_bias(rng: np.random.Generator) -> None:
    layer = Linear(4, 3, bias=False, rng=rng)
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    assert layer(Tensor(np.zeros((1, 4), np.float32))).data.tolist() == [[0.0, 0.0, 0.0]]


@pytest.mark.parametrize("peepholes", [True, False])
@pytest.mark.parametrize("options", [{}, {"cell_scale": 0.5}, {"leaky": True}, {"gate_clip": 0.01}])
def test_lstm2d_is_the_operation(peepholes: bool, options: dict[str, Any], rng: np.random.Generator) -> None:
    layer = LSTM2D(3, 2, peepholes=peepholes, rng=rng, dtype=np.float64, **options)
    for p in layer.parameters():
        p.data[...] = rng.standard_normal(p.shape)
    x, grad = rng.standard_normal((2, 4, 5, 3)), rng.standard_normal((2, 4, 5, 8))
    y = layer(Tensor(x))
    backward(y, grad)
    leaves = [Tensor(p.data, requires_grad=True) for p in layer.parameters()]
    expected = ops.lstm2d_layer(Tensor(x), *leaves, **options)
    backward(expected, grad)
    assert len(leaves) == (4 if peepholes else 3)
    np.testing.assert_array_equal(y.data, expected.data)
    for p, leaf in zip(layer.parameters(), leaves, strict=True):
        np.testing.assert_array_equal(p.grad, leaf.grad)


def test_each_option_changes_the_result(rng: np.random.Generator) -> None:
    x = Tensor(rng.standard_normal((1, 4, 5, 3)))
    variants: list[dict[str, Any]] = [{}, {"cell_scale": 0.5}, {"leaky": True}, {"gate_clip": 0.01}]
    results = set()
    for options in variants:
        layer = LSTM2D(3, 2, rng=np.random.default_rng(1), dtype=np.float64, **options)
        y = layer(x)
        backward(y, np.ones(y.shape))
        assert layer.weight.grad is not None
        results.add((y.data.tobytes(), layer.weight.grad.tobytes()))
    assert len(results) == len(variants)


def test_lstm2d_starts_as_asked() -> None:
    layer = LSTM2D(3, 2, forget_bias=(1.5, -0.5), rng=np.random.default_rng(0))
    assert layer.bias.data.tolist() == [[0.0, 0.0, 1.5, 1.5, -0.5, -0.5, 0.0, 0.0, 0.0, 0.0]] * 4
    assert layer.peepholes is not None
    assert not layer.peepholes.data.any()
    assert 0.9 * np.sqrt(6 / 5) < np.abs(layer.weight.data).max() <= np.sqrt(6 / 5)
    assert np.abs(layer.recurrent.data).max() <= 1
    assert [p.dtype for p in layer.parameters()] == [np.float32] * 4


def test_lstm2d_gradient(rng: np.random.Generator) -> None:
    layer = LSTM2D(3, 2, rng=rng, dtype=np.float64)
    for p in layer.parameters():
        p.data[...] = rng.standard_normal(p.shape)
    values = [p.data for p in layer.parameters()]

    def f(x: Tensor, *parameters: Tensor) -> Tensor:
        layer.weight, layer.recurrent, layer.bias, layer.peepholes = parameters
        return layer(x)

    gradcheck(f, rng.standard_normal((2, 3, 4, 3)), *values, rng=rng)
