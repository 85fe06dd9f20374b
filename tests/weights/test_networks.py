"""Published networks: the table of VGG-16, and another network that needs only a row."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from lstm2d.errors import DataError
from lstm2d.io.tensor_file import TensorFile, to_bytes
from lstm2d.weights import networks
from lstm2d.weights.import_file import read_weights
from lstm2d.weights.published import PublishedNetwork, Style
from lstm2d.weights.store import METADATA_KEY, Layers, find_weights, load_stored, store_weights
from lstm2d.weights.vgg16 import LAYERS, STEPS, VGG16
from tests.weights.torch_bytes import assert_equal, random_layers

TOY = PublishedNetwork(
    title="Toy",
    layers={"conv1": (5, 5, 3, 4), "fc2": (2, 2, 4, 6)},
    dense=("fc2",),
    styles=(
        Style(
            name="numbered",
            convention="caffe",
            pattern=re.compile(r"stage(?P<layer>\d)/(?P<part>w|b)"),
            layers={"1": "conv1", "2": "fc2"},
            parts={"w": "weight", "b": "bias"},
            hint="only the small release has these",
        ),
    ),
    expected="stage1/w ... stage2/b",
)


@pytest.fixture(autouse=True)
def _own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSTM2D_DATA", str(tmp_path / "data"))


@pytest.fixture
def toy_layers(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Layers:
    """Register the toy network; return weights of it."""
    monkeypatch.setitem(networks.NETWORKS, "toy", TOY)
    return random_layers(TOY.layers, rng)


def toy_file(path: Path, layers: Layers) -> Path:
    (conv, conv_bias), (dense, dense_bias) = layers.values()
    arrays = {
        "stage2/w": dense.transpose(3, 2, 0, 1).reshape(6, 16),
        "stage2/b": dense_bias,
        "stage1/w": conv[:, :, ::-1].transpose(3, 2, 0, 1),
        "stage1/b": conv_bias,
        "step": np.zeros(1, np.float32),
    }
    path.write_bytes(safetensors.numpy.save({name: np.ascontiguousarray(a) for name, a in arrays.items()}))
    return path


def test_another_network_needs_only_a_row(tmp_path: Path, toy_layers: Layers) -> None:
    found = read_weights(toy_file(tmp_path / "w", toy_layers))
    assert (found.network, found.convention, found.style, found.others) == ("toy", "caffe", "numbered", 1)
    assert_equal(found.layers, toy_layers)
    stored = store_weights(
        found.layers, name="small", convention=found.convention, source="w", network=found.network
    )
    assert (stored.network, list(stored.layers)) == ("toy", ["conv1", "fc2"])
    assert_equal(find_weights("small").layers, toy_layers)
    assert list(find_weights("small", ["fc2"]).layers) == ["fc2"]
    converted = read_weights(stored.path)  # a stored file can be imported elsewhere
    assert (converted.network, converted.style) == ("toy", "lstm2d")
    assert_equal(converted.layers, toy_layers)


def test_both_networks_side_by_side(tmp_path: Path, toy_layers: Layers, layers: Layers) -> None:
    store_weights(layers, name="vgg16", convention="caffe", source="f")
    store_weights(toy_layers, name="toy", convention="caffe", source="f", network="toy")
    assert_equal(find_weights("vgg16").layers, layers)
    assert_equal(find_weights("toy").layers, toy_layers)
    (tmp_path / "w").write_bytes(safetensors.numpy.save({"x": np.zeros(1)}))
    with pytest.raises(DataError, match="no layer of VGG-16, ZF, OverFeat or Toy"):
        read_weights(tmp_path / "w")


def test_errors_name_the_network(tmp_path: Path, toy_layers: Layers) -> None:
    data = safetensors.numpy.load(toy_file(tmp_path / "w", toy_layers).read_bytes())
    (tmp_path / "w").write_bytes(safetensors.numpy.save(data | {"stage3/w": np.zeros(1, np.float32)}))
    with pytest.raises(DataError, match="this is no Toy") as caught:
        read_weights(tmp_path / "w")
    assert caught.value.hint == "only the small release has these"
    (tmp_path / "w").write_bytes(safetensors.numpy.save(data | {"stage1/b": np.zeros(5, np.float32)}))
    with pytest.raises(DataError, match="conv1 has a wrong shape") as caught:
        read_weights(tmp_path / "w")
    assert (caught.value.expected, caught.value.hint) == ("4", "this is another network than Toy")


@pytest.mark.parametrize("network", ["another", 3, None])
def test_stored_file_of_an_unknown_network(layers: Layers, network: object) -> None:
    path = store_weights(layers, name="vgg16", convention="caffe", source="f").path
    with path.open("rb") as opened:
        file = TensorFile(opened, path)
        description = json.loads(file.metadata[METADATA_KEY])
        tensors = {name: file.read(name) for name in file.tensors}
    assert "network" not in description  # as in files of version 0.1.0
    path.write_bytes(to_bytes(tensors, {METADATA_KEY: json.dumps(description | {"network": network})}))
    with pytest.raises(DataError, match="of an unknown network"):
        load_stored(path)


def test_the_table_of_vgg16() -> None:
    assert STEPS[:6] == ("conv1_1", "conv1_2", "pool1", "conv2_1", "conv2_2", "pool2")
    assert len(STEPS) == 13 + 5
    assert [LAYERS[name] for name in ("conv1_1", "conv3_1", "conv5_3", "fc6", "fc7")] == [
        (3, 3, 3, 64),
        (3, 3, 128, 256),
        (3, 3, 512, 512),
        (7, 7, 512, 4096),
        (1, 1, 4096, 4096),
    ]
    values = sum(kh * kw * inputs * outputs + outputs for kh, kw, inputs, outputs in LAYERS.values())
    assert values == 138_357_544 - 4_097_000  # the published number without the last layer


def test_names_of_torchvision() -> None:
    (style,) = (style for style in VGG16.styles if style.name == "torchvision")
    numbers = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # as torchvision prints its network
    convolutions = [name for name in LAYERS if name.startswith("conv")]
    for number, layer in zip(numbers, convolutions, strict=True):
        assert style.parse(f"features.{number}.weight") == (layer, "weight")
    assert style.parse("module.classifier.3.bias") == ("fc7", "bias")
    assert style.parse("classifier.6.weight") is None
