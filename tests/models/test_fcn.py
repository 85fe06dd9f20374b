"""FCN-32s and FCN-16s: their layers by hand, their parts, and VGG-16's fully connected layers."""

from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from lstm2d import Tensor, ops
from lstm2d.config import load_preset
from lstm2d.errors import ConfigError, DataError
from lstm2d.models import FCNConfig, FCNNetwork, Step, build, load_imported, parameter_count
from lstm2d.models.backbones import vgg16
from lstm2d.models.subclasses import folded_arrays, score_subclasses
from lstm2d.nn import Linear, init
from lstm2d.tensor import FloatArray
from lstm2d.weights.vgg16 import BLOCKS, VGG16
from tests.models.base import CLASSES, ModelTests
from tests.weights.torch_bytes import random_layers

TINY = {"kind": "fcn", "weights": "", "dropout": 0.0, "width": 1 / 16}


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the width change the first blocks too, so that small networks are quick."""
    monkeypatch.setattr(vgg16, "SCALED", 1)


class FCNTests(ModelTests):
    rate, steps, grid = 0.002, 80, (2, 2, 2)

    def batch(self, n: int, rows: int, columns: int, dtype: type = np.float32) -> tuple[FloatArray, Any]:
        return super().batch(n, min(rows, 4), min(columns, 4), dtype)

    def shape_of_scores(self, n: int, rows: int, columns: int) -> tuple[int, ...]:
        return super().shape_of_scores(n, min(rows, 4), min(columns, 4))

    @pytest.mark.slow
    def test_overfits_two_images(self) -> None:
        super().test_overfits_two_images()

    @pytest.mark.slow
    def test_gradient_of_every_parameter(self) -> None:
        super().test_gradient_of_every_parameter()

    def test_the_head_computes_the_scores_and_can_be_replaced(self) -> None:
        net = self.build()
        x, _ = self.batch(1, 2, 3)
        names = list(net.state_dict())
        net.head = Linear(net.head.weight.shape[0], 2, rng=np.random.default_rng(0))
        assert (net.n_classes, list(net.state_dict())) == (2, names)
        net.head.weight.data[...] = 0
        assert net.head.bias is not None
        net.head.bias.data[:] = [0, np.log(3)]
        inner = net.probabilities(Tensor(x))[:, 24:-24, 24:-24]  # beyond the edges scores are 0
        np.testing.assert_allclose(inner, np.full(inner.shape, [0.25, 0.75]), rtol=1e-6)


class TestFCN32s(FCNTests):
    def section(self) -> dict[str, Any]:
        return {**TINY, "finest": 32}


class TestFCN16s(FCNTests):
    def section(self) -> dict[str, Any]:
        return {**TINY, "finest": 16}


def network(finest: int, **options: Any) -> Any:
    net = build({**TINY, "finest": finest, **options}, CLASSES, np.random.default_rng(0), dtype=np.float64)
    rng = np.random.default_rng(1)
    for name, p in net.named_parameters():
        if name.endswith("bias") or name.startswith("pool4"):
            p.data[...] = 0.1 * rng.standard_normal(p.shape)
        if name.startswith(("double", "upsample")):
            p.data += 0.1 * rng.standard_normal(p.shape)
    return net


def enlarged(x: FloatArray, kernel: FloatArray, factor: int) -> FloatArray:
    """Add a window to the output for every value of the input, channel by channel."""
    n, rows, columns, channels = x.shape
    half = factor // 2
    y = np.zeros((n, (rows + 1) * factor, (columns + 1) * factor, channels))
    for i, j in np.ndindex(rows, columns):
        window = kernel[:, :, 0, 0, None] * x[:, None, None, i, j]
        y[:, i * factor : (i + 2) * factor, j * factor : (j + 2) * factor] += window
    return y[:, half:-half, half:-half]


@pytest.mark.parametrize("finest", [32, 16])
def test_put_together_by_hand(finest: int, rng: np.random.Generator) -> None:
    net, x = network(finest), Tensor(rng.standard_normal((2, 96, 64, 3)))
    y, pool4 = x, x
    for block, (layers, _) in enumerate(BLOCKS, start=1):
        for layer in range(1, layers + 1):
            conv = getattr(net.backbone, f"conv{block}_{layer}")
            y = ops.relu(ops.conv2d(y, conv.weight, conv.bias, padding=1))
        y = ops.max_pool2d(y, 2)
        pool4 = y if block == 4 else pool4
    six, seven = net.backbone.fc6, net.backbone.fc7
    y = ops.relu(ops.conv2d(ops.pad2d(y, 3), six.weight, six.bias))
    assert y.shape == (2, 3, 2, 256)
    features = np.maximum(y.data @ seven.weight.data[0, 0] + seven.bias.data, 0)
    scores = features @ net.classify.weight.data + net.classify.bias.data
    if finest == 16:
        scores = enlarged(scores, net.double.weight.data, 2)
        scores += pool4.data @ net.pool4.weight.data + net.pool4.bias.data
    expected = enlarged(scores, net.upsample.weight.data, finest)
    np.testing.assert_allclose(net.scores(x).data, expected, rtol=1e-9, atol=1e-11)


def test_fcn16s_begins_as_bilinear_interpolation_of_fcn32s(rng: np.random.Generator) -> None:
    net, x = network(32), Tensor(rng.standard_normal((1, 64, 96, 3)))
    before = dict(net.named_parameters())
    net.refine(16)
    kept = [name for name, p in net.named_parameters() if before.get(name) is p]
    assert set(before) - set(kept) == {"upsample.weight"}
    new = {name for name, _ in net.named_parameters()} - set(kept)
    assert new == {"pool4.weight", "pool4.bias", "double.weight", "upsample.weight"}
    assert not net.pool4.weight.data.any()
    np.testing.assert_array_equal(net.double.weight.data, init.bilinear_kernel(4, 1, np.float64))
    np.testing.assert_array_equal(net.upsample.weight.data, init.bilinear_kernel(32, 1, np.float64))
    z = net.backbone(x)
    z = net.classify(net.backbone.fc7(net.backbone.fc6(z)))
    expected = enlarged(enlarged(z.data, net.double.weight.data, 2), net.upsample.weight.data, 16)
    np.testing.assert_allclose(net.scores(x).data, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("finest", [32, 16])
def test_a_map_of_the_scores_can_be_folded_into_the_layers_that_compute_them(
    finest: int, rng: np.random.Generator
) -> None:
    net, x = network(finest), Tensor(rng.standard_normal((1, 64, 64, 3)))
    matrix = rng.standard_normal((CLASSES, 3))
    expected = net.scores(x).data @ matrix
    for layer in [net.classify, net.pool4] if finest == 16 else [net.classify]:
        layer.weight.data, layer.bias.data = layer.weight.data @ matrix, layer.bias.data @ matrix
    np.testing.assert_allclose(net.scores(x).data, expected, rtol=1e-10, atol=1e-12)


def test_dropout_only_acts_in_training_and_differs_between_layers(rng: np.random.Generator) -> None:
    x = Tensor(rng.standard_normal((2, 32, 64, 3)))
    net, plain = network(32, dropout=0.5), network(32)
    assert net.probabilities(x).tobytes() == plain.probabilities(x).tobytes()
    step = Step(seed=3, samples=(5, 6), training=True)
    first = net.scores(x, step).data
    assert first.tobytes() == net.scores(x, step).data.tobytes()
    assert np.abs(first - plain.scores(x, step).data).max() > 1e-6
    # fc6 and fc7 have as many channels: with the same masks the zeros would be in the same places
    net.backbone.fc7.weight.data[...] = np.eye(256)
    net.backbone.fc7.bias.data[...] = 1.0
    net.backbone.fc6.bias.data[...] = 1.0
    net.backbone.fc6.weight.data[...] = 0.0
    net.classify.weight.data[...] = 0.0
    net.classify.weight.data[:, 0] = 1.0
    net.classify.bias.data[...] = 0.0
    net.refine(32)
    shares = net.scores(x, step).data[:, 16, 16, 0] / 256  # of values 2 * (2 or 0, plus 1) or 0
    assert np.all(np.abs(shares - 2.0) < 0.6)  # with equal masks 3.0
    assert shares[0] != shares[1]


# by hand: VGG-16 without its last layer, scores of fc7, kernels; scores of pool4
VGG = 14_714_688 + (49 * 512 + 1) * 4096 + (4096 + 1) * 4096


@pytest.mark.parametrize(
    ("name", "values"),
    [("fcn-32s", 4097 * 33 + 64 * 64), ("fcn-16s", 4097 * 33 + 513 * 33 + 4 * 4 + 32 * 32)],
)
def test_the_sizes_of_the_presets(name: str, values: int) -> None:
    assert parameter_count(load_preset(name).model, 33) == VGG + values


def test_a_wrong_config_names_everything() -> None:
    with pytest.raises(ConfigError) as error:
        FCNConfig(finest=8, dropout=1.0, width=0.0, loss="max")  # type: ignore[arg-type]
    for word in ("finest = 8", "dropout = 1.0", "width = 0.0", "loss = 'max'"):
        assert word in str(error.value)


def test_fully_connected_layers_are_imported_where_they_fit(rng: np.random.Generator) -> None:
    net = network(32)
    shapes = {name: p.shape for name, p in net.backbone.named_parameters() if name.endswith("weight")}
    layers = random_layers({name: shapes[f"{name}.weight"] for name in ("conv1_1", "fc6", "fc7")}, rng)
    layers["conv5_1"] = (np.zeros(VGG16.layers["conv5_1"], np.float32), np.zeros(512, np.float32))
    before = net.backbone.conv5_1.weight.data.copy()
    absent = load_imported(net, layers)
    assert absent == [name for name in net.backbone.names if name not in ("conv1_1", "fc6", "fc7")]
    for name in ("conv1_1", "fc6", "fc7"):
        np.testing.assert_array_equal(getattr(net.backbone, name).weight.data, layers[name][0])
        np.testing.assert_array_equal(getattr(net.backbone, name).bias.data, layers[name][1])
    np.testing.assert_array_equal(net.backbone.conv5_1.weight.data, before)
    with pytest.raises(DataError, match="no layer of the weights fits"):
        load_imported(net, {"conv5_1": layers["conv5_1"]}, source="w")


@pytest.mark.slow
def test_fc6_of_the_published_size_is_imported_from_a_matrix(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The matrix of torch has the features channel by channel, that of Keras pixel by pixel."""
    monkeypatch.setattr(vgg16, "SCALED", 4)
    from lstm2d.weights.import_file import channels_last

    features = rng.standard_normal((7, 7, 512)).astype(np.float32)
    filters = rng.standard_normal((7, 7, 512, 4096)).astype(np.float32) / 158
    expected = features.ravel() @ filters.reshape(-1, 4096)
    styles = {style.name: style for style in VGG16.styles}
    files = {
        "torchvision": filters.transpose(3, 2, 0, 1).reshape(4096, -1),
        "keras": filters.reshape(-1, 4096),
    }
    with init.shapes_only():  # 120 million random values take seconds
        net = build({"kind": "fcn", "dropout": 0.0}, 2, np.random.default_rng(0))
    assert isinstance(net, FCNNetwork)
    net.backbone.fc6.weight.data = np.empty(net.backbone.fc6.weight.shape, np.float32)
    net.backbone.fc6.bias.data = np.empty(4096, np.float32)
    for name, matrix in files.items():
        read = np.ascontiguousarray(channels_last(matrix, VGG16.layers["fc6"], styles[name]))
        load_imported(net, {"fc6": (read, np.zeros(4096, np.float32))})
        y = net.backbone.fc6(Tensor(features[None]))  # rectified
        np.testing.assert_allclose(y.data[0, 3, 3], np.maximum(expected, 0), atol=1e-3)


@pytest.mark.parametrize("finest", [32, 16])
def test_subclasses_are_folded_into_both_scores(finest: int, rng: np.random.Generator) -> None:
    net, x = network(finest), Tensor(rng.standard_normal((1, 64, 64, 3)))
    heads = ["classify", "pool4"] if finest == 16 else ["classify"]
    assert list(net.heads()) == heads
    enlarge = {"upsample.weight"} | ({"double.weight"} if finest == 16 else set())
    names = {id(p): name for name, p in net.named_parameters()}
    last = {names[id(p)] for layer in net.last_layers() for p in layer.parameters()}
    assert last == {f"{head}.{part}" for head in heads for part in ("weight", "bias")} | enlarge
    parents = np.array([0, 0, 1, 2, 2, 3])
    score_subclasses(net, parents, rng)
    for head in net.heads().values():
        head.weight.data[...] = rng.standard_normal(head.weight.shape)
    assert net.membership is not None
    net.membership.weight.data += 0.3 * rng.standard_normal((6, CLASSES))
    scores = net.scores(x).data
    assert scores.shape == (1, 64, 64, 6)
    plain = network(finest)
    plain.load_state_dict(folded_arrays(net))
    expected = softmax(scores @ net.membership.weight.data, axis=-1)
    np.testing.assert_allclose(plain.probabilities(x), expected, rtol=0, atol=1e-10)
