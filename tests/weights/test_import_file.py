"""Weights are the same from every file format; hostile files are a DataError, and no code is run."""

import io
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lstm2d.errors import ConfigError, DataError
from lstm2d.weights.import_file import channels_last, read_weights
from lstm2d.weights.networks import recognise
from lstm2d.weights.store import MEANS, Layers
from lstm2d.weights.vgg16 import LAYERS, VGG16
from tests.weights import torch_bytes
from tests.weights.torch_bytes import assert_equal

Arrays = dict[str, NDArray[Any]]
FEATURES = {"conv1_1": "features.0", "conv1_2": "features.2", "conv2_1": "features.5"}  # names of torchvision


def caffe(layers: Layers) -> Arrays:
    """Return the contents of a file for BGR input: filters (out, in, kh, kw) under plain names."""
    arrays: Arrays = {}
    for name, (filters, bias) in layers.items():
        bgr = filters[:, :, ::-1] if name == "conv1_1" else filters
        arrays[f"{name}.weight"] = np.ascontiguousarray(bgr.transpose(3, 2, 0, 1))
        arrays[f"{name}.bias"] = bias
    return arrays


def sequential(layers: Layers) -> Arrays:
    return {
        name.replace(layer, FEATURES[layer]): values
        for name, values in caffe(layers).items()
        for layer in [name.partition(".")[0]]
    }


def write_safetensors(path: Path, arrays: Arrays) -> Path:
    path.write_bytes(safetensors.numpy.save(arrays))
    return path


def test_safetensors(tmp_path: Path, layers: Layers) -> None:
    extra = {"fc8.weight": np.zeros((4, 2), np.float32)}
    found = read_weights(write_safetensors(tmp_path / "w", caffe(layers) | extra))
    assert (found.convention, found.style, found.others) == ("caffe", "plain", 1)
    assert_equal(found.layers, layers)
    assert all(v.flags.c_contiguous for pair in found.layers.values() for v in pair)


@pytest.mark.parametrize(
    ("filters", "bias", "fold"),
    [
        ("block{0}_conv{1}/kernel:0", "block{0}_conv{1}/bias:0", "caffe"),
        ("block{0}_conv{1}/kernel", "block{0}_conv{1}/bias", "caffe"),
        ("block{0}_conv{1}_W", "block{0}_conv{1}_b", "caffe"),
        ("block{0}_conv{1}/block{0}_conv{1}_W_1:0", "block{0}_conv{1}/block{0}_conv{1}_b_1:0", "caffe"),
        ("conv{0}_{1}_W", "conv{0}_{1}_b", "rgb"),
    ],
)
def test_channel_last_npz(tmp_path: Path, layers: Layers, filters: str, bias: str, fold: str) -> None:
    arrays = {}
    for name, (values, offsets) in layers.items():
        block, number = name[4], name[6]
        bgr = values[:, :, ::-1] if name == "conv1_1" and fold == "caffe" else values
        arrays[filters.format(block, number)] = np.asfortranarray(bgr) if block == "2" else bgr
        arrays[bias.format(block, number)] = offsets.astype(np.float64)
    arrays["predictions/kernel:0"] = np.zeros(3)
    np.savez_compressed(tmp_path / "w.npz", **arrays)
    found = read_weights(tmp_path / "w.npz")
    assert found.convention == fold
    assert_equal(found.layers, layers)


@pytest.mark.parametrize("kind", ["zip", "deflated", "legacy"])
def test_torch(tmp_path: Path, layers: Layers, kind: str) -> None:
    arrays = sequential(layers)
    # channels-last memory, as torch may keep it: other strides, same tensor
    arrays["features.2.weight"] = np.ascontiguousarray(arrays["features.2.weight"].transpose(0, 2, 3, 1))
    arrays["features.2.weight"] = arrays["features.2.weight"].transpose(0, 3, 1, 2)
    if kind == "legacy":
        data = torch_bytes.torch_legacy(arrays)
    else:
        method = zipfile.ZIP_DEFLATED if kind == "deflated" else zipfile.ZIP_STORED
        data = torch_bytes.torch_zip(arrays, compress=method)
    (tmp_path / "w.pth").write_bytes(data)
    found = read_weights(tmp_path / "w.pth", convention="caffe")
    assert found.style == "torchvision"
    assert_equal(found.layers, layers)


def test_torchvision_input_is_folded_in(tmp_path: Path, layers: Layers, rng: np.random.Generator) -> None:
    arrays = sequential(layers)
    found = read_weights(write_safetensors(tmp_path / "w", arrays))
    assert found.convention == "torchvision"
    pixels = rng.integers(0, 256, (3, 3, 3)).astype(np.float64)  # receptive field of one filter, RGB
    theirs = (pixels / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    expected = np.einsum("rsi,oirs->o", theirs, arrays["features.0.weight"].astype(np.float64))
    filters, bias = found.layers["conv1_1"]
    ours = np.einsum("rsi,rsio->o", pixels - MEANS, filters.astype(np.float64))
    np.testing.assert_allclose(ours + bias, expected + arrays["features.0.bias"], atol=1e-5)
    np.testing.assert_array_equal(found.layers["conv1_2"][0], layers["conv1_2"][0])


def test_timm_and_fully_connected_names() -> None:
    names = [
        f"{n}.{k}" for n in ("pre_logits.fc1", "pre_logits.fc2", "features.28") for k in ("weight", "bias")
    ]
    naming = recognise([*names, "head.fc.weight", "head.fc.bias"], "f")
    assert {layer for layer, _ in naming.arrays} == {"fc6", "fc7", "conv5_3"}
    assert naming.others == 2
    names = [f"classifier.{n}.{k}" for n in (0, 3, 6) for k in ("weight", "bias")]
    assert {layer for layer, _ in recognise(names, "f").arrays} == {"fc6", "fc7"}


@pytest.mark.parametrize("dense", [True, False])
def test_fully_connected_layers_keep_their_order(dense: bool) -> None:
    # output o looks at one input value, at its place in each network's flattened order
    filters = np.zeros((3, 2, 5, 4), np.float32)  # (kh, kw, in, out)
    for o, place in enumerate([(0, 0, 1), (1, 1, 2), (2, 0, 4), (2, 1, 0)]):
        filters[*place, o] = o + 1
    torch, keras = filters.transpose(3, 2, 0, 1), filters
    if dense:
        torch, keras = torch.reshape(4, 30), keras.reshape(30, 4)
    arrays = {"plain": torch, "torchvision": torch, "keras": keras, "tensorflow": keras}
    for style in VGG16.styles:
        np.testing.assert_array_equal(channels_last(arrays[style.name], (3, 2, 5, 4), style), filters)


# what is no VGG-16


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.clear(), "no layer of VGG-16"),
        (lambda a: a.pop("conv1_2.bias"), "conv1_2 has no biases"),
        (lambda a: a.pop("conv2_1.weight"), "conv2_1 has no filters"),
        (lambda a: a.update({"conv2_1.bias": np.zeros(127, np.float32)}), "conv2_1 has a wrong shape.*127"),
        (lambda a: a.update({"conv1_1.weight": np.zeros((3, 3, 3, 64), np.float32)}), "3x3x3x64"),
        (lambda a: a.update({"conv3_4.bias": np.zeros(1, np.float32)}), "no VGG-16.*conv3_4"),
        (lambda a: a.update({"features.0.weight": a["conv1_1.weight"]}), "names of two kinds"),
        (lambda a: a.update({"conv1_1.bias": np.full(64, np.nan, np.float32)}), "not finite"),
        (lambda a: a.update({"conv1_1.bias": np.full(64, 1e300)}), "not finite"),
        (lambda a: a.update({"conv1_1.bias": np.zeros(64, np.int64)}), "real numbers"),
    ],
)
def test_wrong_contents(
    tmp_path: Path, layers: Layers, change: Callable[[Arrays], object], message: str
) -> None:
    arrays = caffe(layers)
    change(arrays)
    arrays["other"] = np.zeros(1, np.float32)
    with pytest.raises(DataError, match=message) as caught:
        read_weights(write_safetensors(tmp_path / "w", arrays))
    assert str(tmp_path / "w") in str(caught.value)


def test_batch_norm_network_is_refused(tmp_path: Path, layers: Layers) -> None:
    arrays = sequential(layers) | {"features.1.running_mean": np.zeros(64, np.float32)}
    with pytest.raises(DataError, match="without batch normalisation"):
        read_weights(write_safetensors(tmp_path / "w", arrays))


def test_unknown_convention(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="convention"):
        read_weights(tmp_path / "w", convention="bgr")


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(st.sampled_from(list(FEATURES)), unique=True, min_size=1),
    style=st.sampled_from([caffe, sequential]),
    container=st.sampled_from(["safetensors", "npz", "zip", "legacy"]),
    others=st.integers(0, 2),
)
def test_any_layers_under_any_names_in_any_file(
    tmp_path: Path,
    layers: Layers,
    names: list[str],
    style: Callable[[Layers], Arrays],
    container: str,
    others: int,
) -> None:
    arrays = style({name: layers[name] for name in names})
    arrays |= {f"other{k}": np.zeros(k + 1, np.float32) for k in range(others)}
    path = tmp_path / "w"
    if container == "safetensors":
        write_safetensors(path, arrays)
    elif container == "npz":
        with path.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
    else:
        write = torch_bytes.torch_zip if container == "zip" else torch_bytes.torch_legacy
        path.write_bytes(write(arrays))
    found = read_weights(path, convention="caffe")
    assert found.others == others
    assert_equal(found.layers, {name: layers[name] for name in FEATURES if name in names})


# hostile files


def calls(module: str, name: str, argument: str) -> bytes:
    return f"\x80\x02c{module}\n{name}\n".encode("latin1") + torch_bytes.text(argument) + b"\x85R."


@pytest.mark.parametrize(
    "name", ["os.system", "posix.system", "builtins.eval", "builtins.exec", "torch.load", "torch._utils.os"]
)
def test_a_pickle_that_calls_functions(tmp_path: Path, layers: Layers, name: str) -> None:
    module, _, function = name.rpartition(".")
    data = torch_bytes.torch_zip(caffe(layers), pickle=calls(module, function, f"touch {tmp_path}/ran"))
    (tmp_path / "w.pth").write_bytes(data)
    with pytest.raises(DataError, match=f"'{name}'.*no dict of tensors needs"):
        read_weights(tmp_path / "w.pth")
    assert not (tmp_path / "ran").exists()


def test_a_list_that_contains_itself(tmp_path: Path, layers: Layers) -> None:
    data = torch_bytes.torch_zip(caffe(layers), pickle=b"]q\x00h\x00a.")
    (tmp_path / "w.pth").write_bytes(data)
    with pytest.raises(DataError, match="no dict of tensors"):
        read_weights(tmp_path / "w.pth")


def test_a_zip_that_unpacks_to_much(tmp_path: Path, layers: Layers) -> None:
    arrays = caffe(layers)
    data = io.BytesIO(torch_bytes.torch_zip(arrays))
    with zipfile.ZipFile(data, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("vgg16/bomb", bytes(64 * 2**20))  # not needed
    (tmp_path / "w.pth").write_bytes(data.getvalue())
    assert_equal(read_weights(tmp_path / "w.pth").layers, layers)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(17 * 2**20))
    (tmp_path / "w.pth").write_bytes(out.getvalue())
    with pytest.raises(DataError, match="larger than"):
        read_weights(tmp_path / "w.pth")


def test_a_storage_of_another_length(tmp_path: Path, layers: Layers) -> None:
    arrays = caffe(layers)
    pickle = torch_bytes.state_dict(arrays)
    shorter = {name: values.ravel()[:-1] for name, values in arrays.items()}
    (tmp_path / "w.pth").write_bytes(torch_bytes.torch_zip(shorter, pickle=pickle))
    with pytest.raises(DataError, match="has a wrong length"):
        read_weights(tmp_path / "w.pth")


@pytest.mark.parametrize("claim", [(2**40,), (64, -1), (3, 3, 3, 2**62), (10**190,)])
def test_npz_that_claims_much(tmp_path: Path, claim: tuple[int, ...]) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": claim})
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("block1_conv1_W.npy", header.getvalue())
        archive.writestr("block1_conv1_b.npy", header.getvalue())
    with pytest.raises(DataError, match=r"wrong shape|not an array"):
        read_weights(tmp_path / "w.npz")


def test_npz_with_objects(tmp_path: Path) -> None:
    with (tmp_path / "w.npz").open("wb") as file:
        np.savez(file, block1_conv1_W=np.array([print], object), block1_conv1_b=np.array(["x"]))
    with pytest.raises(DataError, match="no layer of VGG-16"):
        read_weights(tmp_path / "w.npz")


def test_two_members_of_one_name(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("a.npy", b"")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.npy", b"")
    with pytest.raises(DataError, match="the same name"):
        read_weights(tmp_path / "w.npz")


@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy", "npz"])
def test_cut_or_flipped(tmp_path: Path, layers: Layers, kind: str, rng: np.random.Generator) -> None:
    small = {"conv1_1": layers["conv1_1"]}
    path = tmp_path / "w"
    if kind == "safetensors":
        write_safetensors(path, caffe(small))
    elif kind == "npz":
        with path.open("wb") as file:
            np.savez(file, block1_conv1_W=small["conv1_1"][0], block1_conv1_b=small["conv1_1"][1])
    else:
        make = torch_bytes.torch_zip if kind == "zip" else torch_bytes.torch_legacy
        path.write_bytes(make(sequential(small)))
    whole = path.read_bytes()
    for length in [*range(0, 60, 7), *rng.integers(60, len(whole) - 1, 20)]:
        path.write_bytes(whole[:length])
        with pytest.raises(DataError):
            read_weights(path)
    places = [*rng.integers(0, 400, 40), *rng.integers(len(whole) - 400, len(whole), 40)]
    for place in places:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        try:
            found = read_weights(path).layers
        except DataError:
            continue
        assert all(found[n][0].shape == LAYERS[n] for n in found)  # not detected without a checksum


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "unknown kind"),
        (b"hello", "unknown kind"),
        (b"\x89HDF\r\n\x1a\n" + bytes(50), "weights.md"),
        (b"PK\x03\x04" + bytes(50), "not a zip file"),
        (struct.pack("<Q", 2**60) + b"{}", "damaged"),
    ],
)
def test_other_files(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "w").write_bytes(data)
    with pytest.raises(DataError, match=message):
        read_weights(tmp_path / "w")


def test_no_file_and_a_fifo(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not found"):
        read_weights(tmp_path / "w")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(DataError, match="FIFO"):
        read_weights(tmp_path / "fifo")
