"""ZF and OverFeat: their layers, the names in files, and their input."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from numpy.typing import NDArray

from lstm2d.errors import DataError
from lstm2d.weights.five_layers import OVERFEAT, ZF
from lstm2d.weights.import_file import read_weights
from lstm2d.weights.networks import NETWORKS
from lstm2d.weights.published import PublishedNetwork
from lstm2d.weights.store import MEANS, Layers, find_weights, store_weights
from tests.weights.torch_bytes import assert_equal, random_layers, torch_zip

Arrays = dict[str, NDArray[Any]]
SEQUENTIAL = {"conv1": "features.0", "conv2": "features.3", "conv3": "features.6", "conv5": "features.10"}
FC = {"fc6.weight": np.zeros((4, 2), np.float32), "fc6.bias": np.zeros(4, np.float32)}


def torch_layers(layers: Layers, *, bgr: bool) -> Arrays:
    """Return filters (out, in, kh, kw) and biases by their plain names."""
    arrays: Arrays = {}
    for name, (filters, bias) in layers.items():
        swapped = filters[:, :, ::-1] if bgr and name == "conv1" else filters
        arrays[f"{name}.weight"] = np.ascontiguousarray(swapped.transpose(3, 2, 0, 1))
        arrays[f"{name}.bias"] = bias
    return arrays


def some(network: PublishedNetwork, rng: np.random.Generator, *names: str) -> Layers:
    return random_layers({name: network.layers[name] for name in names}, rng)


def test_the_tables() -> None:
    assert list(ZF.layers) == list(OVERFEAT.layers) == [f"conv{n}" for n in range(1, 6)]
    assert ZF.layers["conv1"] == (7, 7, 3, 96)
    assert OVERFEAT.layers["conv1"] == (11, 11, 3, 96)
    assert [ZF.layers[f"conv{n}"][3] for n in range(1, 6)] == [96, 256, 384, 384, 256]
    assert [OVERFEAT.layers[f"conv{n}"][3] for n in range(1, 6)] == [96, 256, 512, 1024, 1024]


def test_zf_under_plain_names(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSTM2D_DATA", str(tmp_path / "data"))
    layers = some(ZF, rng, *ZF.layers)
    (tmp_path / "zf").write_bytes(safetensors.numpy.save(torch_layers(layers, bgr=True) | FC))
    found = read_weights(tmp_path / "zf")
    assert (found.network, found.convention, found.style, found.others) == ("zf", "caffe", "plain", 2)
    assert_equal(found.layers, layers)
    stored = store_weights(layers, name="zf", convention="caffe", source="zf", network="zf")
    assert stored.network == "zf"
    assert_equal(find_weights("zf", list(ZF.layers), partial=True).layers, layers)


def test_names_of_a_sequential_are_told_apart_by_the_shapes(tmp_path: Path, rng: np.random.Generator) -> None:
    """VGG-16 has features.0 and features.10 too."""
    for key in ("zf", "overfeat"):
        network = NETWORKS[key]
        layers = some(network, rng, "conv1", "conv2", "conv5" if key == "zf" else "conv3")
        arrays = torch_layers(layers, bgr=key == "zf")
        named = {name.replace(name[:5], SEQUENTIAL[name[:5]]): values for name, values in arrays.items()}
        (tmp_path / key).write_bytes(torch_zip(named))
        found = read_weights(tmp_path / key, "rgb" if key == "overfeat" else None)
        assert (found.network, found.style) == (key, "sequential")
        assert_equal(found.layers, layers)


@pytest.mark.parametrize(
    ("filters", "bias", "convention"),
    [
        ("{}_W", "{}_b", "rgb"),
        ("{0}/kernel:0", "{0}/bias:0", "caffe"),
        ("{0}/{0}/kernel", "{0}/{0}/bias", "caffe"),
    ],
)
def test_channel_last_npz(
    tmp_path: Path, filters: str, bias: str, convention: str, rng: np.random.Generator
) -> None:
    layers, arrays = some(ZF, rng, "conv1", "conv2"), {}
    for name, (values, offsets) in layers.items():
        swap = name == "conv1" and convention == "caffe"
        arrays[filters.format(name)] = values[:, :, ::-1] if swap else values
        arrays[bias.format(name)] = offsets
    np.savez(tmp_path / "w.npz", **arrays)
    found = read_weights(tmp_path / "w.npz")
    assert (found.network, found.convention) == ("zf", convention)
    assert_equal(found.layers, layers)


def test_the_input_of_overfeat_is_folded_in(tmp_path: Path, rng: np.random.Generator) -> None:
    layers = some(OVERFEAT, rng, "conv1")
    arrays = torch_layers(layers, bgr=False)
    (tmp_path / "w").write_bytes(safetensors.numpy.save(arrays))
    found = read_weights(tmp_path / "w")
    assert (found.network, found.convention) == ("overfeat", "overfeat")
    pixels = rng.integers(0, 256, (11, 11, 3)).astype(np.float64)
    theirs = (pixels - 118.380948) / 61.896913
    expected = np.einsum("rsi,oirs->o", theirs, arrays["conv1.weight"].astype(np.float64))
    filters, bias = found.layers["conv1"]
    ours = np.einsum("rsi,rsio->o", pixels - MEANS, filters.astype(np.float64))
    np.testing.assert_allclose(ours + bias, expected + arrays["conv1.bias"], atol=1e-4)


def test_another_network_of_five_layers_is_refused(tmp_path: Path) -> None:
    """The first layer of AlexNet as torchvision has it: 64 filters."""
    arrays = {"conv1.weight": np.zeros((64, 3, 11, 11), np.float32), "conv1.bias": np.zeros(64, np.float32)}
    (tmp_path / "w").write_bytes(safetensors.numpy.save(arrays))
    with pytest.raises(DataError, match="layer conv1 has a wrong shape"):
        read_weights(tmp_path / "w")
