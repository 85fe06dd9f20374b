"""VGG-16: against a plain computation, its variants, and imported weights."""

import numpy as np
import pytest
from numpy.typing import NDArray

from lstm2d import Tensor, backward
from lstm2d.errors import ConfigError, DataError
from lstm2d.models import ReSegConfig, build
from lstm2d.models.backbones.imported import load_imported
from lstm2d.models.backbones.vgg16 import LAYERS, STEPS, VGG16, channels_of, conv_pool
from lstm2d.models.network import Network
from lstm2d.nn import Conv2d, init
from lstm2d.ops import max_pool2d
from lstm2d.tape import no_grad
from tests.models.base import training_loss

Array = NDArray[np.float64]
MEANS = (123.68, 116.779, 103.939)


def random_layers(last: str, rng: np.random.Generator) -> dict[str, tuple[Array, Array]]:
    """Return filters and biases of the layers up to `last`, about as large as the published ones."""
    layers, channels = {}, 3
    for name, outputs in LAYERS.items():
        filters = rng.standard_normal((3, 3, channels, outputs)) * np.sqrt(2 / (9 * channels))
        layers[name] = (filters, 0.1 * rng.standard_normal(outputs))
        channels = outputs
        if name == last:
            break
    return layers


def plain_layer(x: Array, filters: Array, bias: Array, d: int = 1) -> Array:
    """Convolve x (channels, rows, columns) with filters (out, in, 3, 3) dilated by d, by taps; then ReLU."""
    rows, columns = x.shape[1:]
    padded = np.pad(x, ((0, 0), (d, d), (d, d)))
    taps = [
        np.tensordot(filters[:, :, i, j], padded[:, d * i : d * i + rows, d * j : d * j + columns], 1)
        for i in range(3)
        for j in range(3)
    ]
    return np.maximum(np.sum(taps, axis=0) + bias[:, np.newaxis, np.newaxis], 0)


def halve(x: Array) -> Array:
    """Return the maxima of 2 x 2 blocks."""
    return np.max([x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)], axis=0)


def reseg(features: str, seed: int = 0, dtype: type = np.float64) -> Network:
    config = ReSegConfig(features=features, units=(2,), patches=(1,), upsample_channels=2)
    return build(config, 3, np.random.default_rng(seed), dtype=dtype)


def test_imported_layers_give_what_their_publisher_meant(rng: np.random.Generator) -> None:
    # the publisher: blue, green, red in this order, channels first, filters (out, in, 3, 3)
    published = {
        name: (filters.transpose(3, 2, 0, 1), bias)
        for name, (filters, bias) in random_layers("conv3_3", rng).items()
    }
    image = rng.integers(0, 256, (8, 12, 3)).astype(np.float64)  # red, green, blue
    x = image[:, :, ::-1].transpose(2, 0, 1) - np.array(MEANS[::-1])[:, np.newaxis, np.newaxis]
    for name, (filters, bias) in published.items():
        if name in ("conv2_1", "conv3_1"):
            x = halve(x)
        x = plain_layer(x, filters, bias)
    network = reseg("conv3_3")
    layers = {name: (filters.transpose(2, 3, 1, 0), bias) for name, (filters, bias) in published.items()}
    layers["conv1_1"] = (layers["conv1_1"][0][:, :, ::-1], layers["conv1_1"][1])
    assert load_imported(network, layers) == []
    features = network.frozen(Tensor((image - MEANS)[np.newaxis])).data
    assert features.shape == (1, 2, 3, 256)
    np.testing.assert_allclose(features[0].transpose(2, 0, 1), x, rtol=1e-9, atol=1e-9 * x.max())


def test_dense_steps_against_a_plain_computation(rng: np.random.Generator) -> None:
    vgg = VGG16("pool5", channels=3, dense=True, width=1 / 128, rng=rng, dtype=np.float64)
    x = rng.standard_normal((1, 3, 5, 256))
    z = vgg(vgg(Tensor(x), after="pool3", last="conv5_1"), after="conv5_1")
    y = x[0].transpose(2, 0, 1)

    def maxima(y: Array) -> Array:
        padded = np.pad(y, ((0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
        rows, columns = y.shape[1:]
        return np.max([padded[:, i : i + rows, j : j + columns] for i in range(3) for j in range(3)], axis=0)

    for block, dilation in ((4, 1), (5, 2)):
        for name in (n for n in vgg.names if n[4] == str(block)):
            layer = getattr(vgg, name)
            y = plain_layer(y, layer.weight.data.transpose(3, 2, 0, 1), layer.bias.data, dilation)
        y = maxima(y)
    assert z.shape == (1, 3, 5, 4)
    np.testing.assert_allclose(z.data[0].transpose(2, 0, 1), y, rtol=1e-10, atol=1e-12)


def test_strides_and_channels(rng: np.random.Generator) -> None:
    sizes = {}
    for last, dense in (("conv1_2", False), ("conv3_3", False), ("pool3", False), ("pool5", False)):
        vgg = VGG16(last, dense=dense, width=0.125, rng=rng)
        sizes[last] = (vgg.stride, vgg.channels)
    assert sizes == {"conv1_2": (1, 64), "conv3_3": (4, 256), "pool3": (8, 256), "pool5": (32, 64)}
    vgg = VGG16("pool5", dense=True, width=0.125, rng=rng)
    assert (vgg.stride, vgg.channels) == (8, 64)
    assert vgg(Tensor(np.zeros((1, 16, 24, 3), np.float32))).shape == (1, 2, 3, 64)


@pytest.mark.parametrize("width", [1.0, 0.125])
def test_the_number_of_values(width: float, rng: np.random.Generator) -> None:
    def count(last: str, width: float, channels: int = 3) -> int:
        with init.shapes_only():
            vgg = VGG16(last, width=width, channels=channels, rng=rng)
        return sum(p.data.size for p in vgg.parameters())

    sizes = {"conv1_1": 1792, "conv1_2": 38720, "conv3_3": 1735488}  # by hand: (9 * in + 1) * out, added
    assert {last: count(last, width) for last in sizes} == sizes
    assert count("pool5", 1.0) == 14_714_688  # the published figure of all convolutions
    assert count("conv1_1", width, channels=1) == 640
    assert [channels_of(name, width) for name in ("pool3", "conv4_1")] == [256, round(512 * width)]


def test_maps_are_those_of_the_layers(rng: np.random.Generator) -> None:
    vgg = VGG16("conv2_1", rng=rng)
    x = Tensor(rng.standard_normal((1, 2, 4, 3)).astype(np.float32))
    maps: dict[str, NDArray[np.float32]] = {}
    y = vgg(x, maps)
    assert list(maps) == ["conv1_1", "conv1_2", "pool1", "conv2_1"]
    np.testing.assert_array_equal(maps["pool1"], max_pool2d(Tensor(maps["conv1_2"]), 2).data)
    assert y.data.tobytes() == maps["conv2_1"].tobytes()
    parts = vgg(vgg(x, last="pool1"), after="pool1")
    assert parts.data.tobytes() == y.data.tobytes()


@pytest.mark.parametrize("size", [(2, 6), (64, 6), (66, 4), (126, 4), (128, 2), (200, 8)])
def test_maxima_in_bands(size: tuple[int, int], rng: np.random.Generator) -> None:
    layer = Conv2d(5, 17, 3, padding=1, activation="relu", rng=rng, dtype=np.float64)
    layer.bias.data[...] = rng.standard_normal(17)
    x = Tensor(rng.standard_normal((2, *size, 5)))
    with no_grad():
        whole = max_pool2d(layer(x), 2)
    np.testing.assert_allclose(conv_pool(layer, x).data, whole.data, rtol=1e-9, atol=1e-10)
    same = Tensor(x.data[1:])
    np.testing.assert_array_equal(conv_pool(layer, same).data, conv_pool(layer, x).data[1:])


def test_answers_with_and_without_gradients_agree(rng: np.random.Generator) -> None:
    network = VGG16("conv3_1", rng=rng, dtype=np.float64)
    x = Tensor(rng.standard_normal((1, 132, 8, 3)))
    with no_grad():
        alone = network(x)
    recorded, maps = network(x), dict[str, Array]()
    assert recorded.requires_grad
    np.testing.assert_allclose(alone.data, recorded.data, rtol=1e-9, atol=1e-10)
    with no_grad():
        np.testing.assert_array_equal(network(x, maps).data, recorded.data)


def test_no_such_layer(rng: np.random.Generator) -> None:
    assert STEPS[:3] == ("conv1_1", "conv1_2", "pool1")
    with pytest.raises(ConfigError, match="no layer 'conv6_1'"):
        VGG16("conv6_1", rng=rng)


def test_a_frozen_layer_must_be_there(rng: np.random.Generator) -> None:
    network, layers = reseg("conv3_1"), random_layers("conv2_2", rng)
    before = network.state_dict()
    with pytest.raises(DataError) as error:
        load_imported(network, layers, source="vgg16-0123")
    for word in ("does not train: conv3_1\n", "vgg16-0123", "lstm2d weights import FILE"):
        assert word.rstrip() in str(error.value)
    assert all((values == before[name]).all() for name, values in network.state_dict().items())
    layers["conv3_1"] = (np.zeros((3, 3, 128, 255)), np.zeros(255))  # another size is no layer
    with pytest.raises(DataError, match="conv3_1"):
        load_imported(network, layers)


def test_layers_that_are_trained_may_be_missing(rng: np.random.Generator) -> None:
    network, layers = reseg("conv2_2", dtype=np.float32), random_layers("conv2_2", rng)
    assert network.backbone is not None
    for p in network.backbone.conv2_2.parameters():
        p.requires_grad = True
    del layers["conv2_2"]
    before = network.state_dict()
    assert load_imported(network, {**layers, "fc6": layers["conv1_1"]}) == ["conv2_2"]
    after = network.state_dict()
    assert after["backbone.conv1_1.weight"].dtype == np.float32
    for name, values in after.items():
        layer = name.split(".")[1]
        if layer in layers:
            np.testing.assert_allclose(values, layers[layer][name.endswith("bias")], rtol=1e-6)
        else:
            np.testing.assert_array_equal(values, before[name])


def test_frozen_layers_get_no_gradient_and_are_imported(rng: np.random.Generator) -> None:
    network = reseg("conv1_2")
    names = [name for name, _ in network.named_parameters() if name.startswith("backbone")]
    assert list(network.imported) == names
    x = rng.standard_normal((1, 2, 2, 3))
    backward(training_loss(network, network.frozen(Tensor(x)), np.zeros((1, 2, 2), np.uint8)))
    without = [name for name, p in network.named_parameters() if p.grad is None]
    assert without == names
    drawn = build(ReSegConfig(features="conv1_2", weights="", units=(), patches=()), 3, rng)
    assert drawn.imported == ()  # no weights file has them, so a model file must
    image = build(ReSegConfig(features="image", units=(), patches=()), 3, rng)
    assert load_imported(image, {}) == []
