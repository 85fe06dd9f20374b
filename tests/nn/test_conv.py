"""Conv2d, ConvTranspose2d and BatchNorm: against plain NumPy, and initial parameters."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from lstm2d import Tensor, backward
from lstm2d.nn import BatchNorm, Conv2d, ConvTranspose2d, Upsample, init
from lstm2d.ops import conv_transpose2d, relu, tanh

Array = NDArray[np.float64]


def plain_conv(x: Array, weight: Array, bias: Array, stride: int, padding: int, dilation: int) -> Array:
    """Convolve pixel by pixel."""
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    side = dilation * (weight.shape[0] - 1) + 1
    rows, columns = ((size - side) // stride + 1 for size in x.shape[1:3])
    y = np.empty((x.shape[0], rows, columns, weight.shape[3]))
    for i in range(rows):
        for j in range(columns):
            top, left = i * stride, j * stride
            window = x[:, top : top + side : dilation, left : left + side : dilation]
            y[:, i, j] = np.einsum("nrsc,rsco->no", window, weight) + bias
    return y


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"), [(3, 1, 1, 1), (3, 1, 2, 2), (5, 2, 0, 1), (1, 1, 0, 1)]
)
def test_conv2d(kernel: int, stride: int, padding: int, dilation: int, rng: np.random.Generator) -> None:
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    layer = Conv2d(2, 3, kernel, **options, rng=rng, dtype=np.float64)
    layer.bias.data[...] = rng.standard_normal(3)
    x = rng.standard_normal((2, 7, 8, 2))
    expected = plain_conv(x, layer.weight.data, layer.bias.data, **options)
    y = layer(Tensor(x))
    np.testing.assert_allclose(y.data, expected, rtol=1e-10, atol=1e-12)
    backward(y, np.ones(y.shape))
    np.testing.assert_allclose(layer.bias.grad, np.full(3, expected[..., 0].size), rtol=1e-12)
    assert layer.weight.grad is not None
    assert layer.weight.grad.shape == (kernel, kernel, 2, 3)


def test_conv_transpose2d(rng: np.random.Generator) -> None:
    layer = ConvTranspose2d(2, 3, 2, stride=2, rng=rng, dtype=np.float64)
    layer.bias.data[...] = rng.standard_normal(3)
    x = rng.standard_normal((2, 3, 4, 2))
    expected = np.empty((2, 6, 8, 3))
    for r in (0, 1):
        for s in (0, 1):
            expected[:, r::2, s::2] = x @ layer.weight.data[r, s] + layer.bias.data
    np.testing.assert_allclose(layer(Tensor(x)).data, expected, rtol=1e-12)
    assert ConvTranspose2d(1, 1, 4, stride=2, padding=1, rng=rng)(
        Tensor(np.zeros((1, 3, 5, 1), np.float32))
    ).shape == (1, 6, 10, 1)


@pytest.mark.parametrize("layer", [Conv2d, ConvTranspose2d])
def test_first_values(layer: type[Conv2d | ConvTranspose2d], rng: np.random.Generator) -> None:
    made = layer(20, 30, 3, rng=rng)
    limit = np.sqrt(6 / (9 * 50))
    assert made.weight.shape == (3, 3, 20, 30)
    assert 0.99 * limit < abs(made.weight.data).max() <= limit
    assert not made.bias.data.any()
    assert {p.dtype for p in made.parameters()} == {np.dtype(np.float32)}
    normal = layer(20, 30, 3, weight=partial(init.normal, deviation=0.1), rng=rng, dtype=np.float64)
    assert normal.weight.dtype == np.float64
    assert normal.weight.data.std() == pytest.approx(0.1, rel=0.05)


def test_batch_norm(rng: np.random.Generator) -> None:
    layer = BatchNorm(3, dtype=np.float64)
    assert (layer.mean.tolist(), layer.var.tolist()) == ([0, 0, 0], [1, 1, 1])
    assert [name for name, _ in layer.named_buffers()] == ["mean", "var"]
    assert layer.parameters() == []
    x = 5 + 2 * rng.standard_normal((2, 4, 5, 3))
    np.testing.assert_allclose(layer(Tensor(x), training=False).data, x / np.sqrt(1 + 1e-5), rtol=1e-12)
    y = layer(Tensor(x), training=True).data
    np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-12)
    np.testing.assert_allclose(y.std((0, 1, 2)), 1, rtol=1e-4)
    for _ in range(300):
        layer(Tensor(x), training=True)
    np.testing.assert_allclose(layer.mean, x.mean((0, 1, 2)), rtol=1e-9)
    np.testing.assert_allclose(layer.var, x.var((0, 1, 2), ddof=1), rtol=1e-9)


@pytest.mark.parametrize("op", [relu, tanh])
def test_activation(op: Callable[[Tensor], Tensor], rng: np.random.Generator) -> None:
    x = Tensor(rng.standard_normal((1, 9, 8, 2)).astype(np.float32))
    for plain, layer in (
        (Conv2d(2, 3, 3, rng=rng), Conv2d(2, 3, 3, activation=op.__name__, rng=rng)),
        (
            ConvTranspose2d(2, 3, 2, stride=2, rng=rng),
            ConvTranspose2d(2, 3, 2, stride=2, activation=op.__name__, rng=rng),
        ),
    ):
        layer.weight, layer.bias = plain.weight, plain.bias
        assert layer(x).data.tobytes() == op(plain(x)).data.tobytes()


@pytest.mark.parametrize("factor", [2, 16, 32])
def test_upsampling_starts_bilinear(factor: int, rng: np.random.Generator) -> None:
    """Pixel i lies at (i + 0.5) / factor - 0.5 of the small image, beyond whose edges are zeros."""
    x = rng.standard_normal((2, 3, 4, 5))
    y = Upsample(factor, dtype=np.float64)(Tensor(x))
    assert y.shape == (2, 3 * factor, 4 * factor, 5)
    weights = []
    for size in (3, 4):
        place = (np.arange(size * factor) + 0.5) / factor - 0.5
        weights.append(np.maximum(0, 1 - np.abs(place[:, None] - np.arange(size))))
    np.testing.assert_allclose(y.data, np.einsum("ri,cj,nijk->nrck", *weights, x), rtol=1e-12, atol=1e-13)


def test_upsampling_is_one_transposed_convolution_for_every_channel(rng: np.random.Generator) -> None:
    layer = Upsample(4, dtype=np.float64)
    layer.weight.data[...] = rng.standard_normal((8, 8, 1, 1))
    x, full = Tensor(rng.standard_normal((2, 3, 2, 3)), requires_grad=True), np.zeros((8, 8, 3, 3))
    for channel in range(3):
        full[:, :, channel, channel] = layer.weight.data[:, :, 0, 0]
    weight, again = Tensor(full, requires_grad=True), Tensor(x.data.copy(), requires_grad=True)
    y, expected = layer(x), conv_transpose2d(again, weight, stride=4, padding=2)
    np.testing.assert_allclose(y.data, expected.data, rtol=1e-12, atol=1e-13)
    grad = rng.standard_normal(y.shape)
    backward(y, grad)
    backward(expected, grad)
    assert weight.grad is not None
    np.testing.assert_allclose(x.grad, again.grad, rtol=1e-11, atol=1e-12)
    shared = np.einsum("rscc->rs", weight.grad)  # the sum over the channels
    assert layer.weight.grad is not None
    np.testing.assert_allclose(layer.weight.grad[:, :, 0, 0], shared, rtol=1e-11, atol=1e-11)


def test_a_map_of_the_channels_comes_before_or_after_upsampling(rng: np.random.Generator) -> None:
    layer, matrix = Upsample(2, dtype=np.float64), rng.standard_normal((3, 2))
    layer.weight.data[...] = rng.standard_normal(layer.weight.shape)
    x = rng.standard_normal((1, 4, 5, 3))
    np.testing.assert_allclose(
        layer(Tensor(x)).data @ matrix, layer(Tensor(x @ matrix)).data, rtol=1e-11, atol=1e-12
    )
