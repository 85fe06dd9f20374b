"""The store of imported weights: found by name or digest, whole or in part; no others are used instead."""

from pathlib import Path

import numpy as np
import pytest

from lstm2d.errors import ConfigError, DataError, OutputError
from lstm2d.io.user_folders import cache_folder, data_folder
from lstm2d.weights.import_file import read_weights
from lstm2d.weights.store import (
    Layers,
    find_weights,
    load_stored,
    store_folder,
    store_weights,
    stored_weights,
    weights_digest,
)
from tests.weights.torch_bytes import assert_equal


@pytest.fixture(autouse=True)
def _own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSTM2D_DATA", str(tmp_path / "data"))


def keep(layers: Layers, name: str = "vgg16") -> Path:
    return store_weights(layers, name=name, convention="caffe", source="f.pth").path


def test_stored_and_found_again(layers: Layers) -> None:
    path = keep(layers)
    assert path.parent == store_folder()
    digest = weights_digest(layers)
    for wanted in ("vgg16", digest, digest[:8]):
        found = find_weights(wanted)
        assert found.digest == digest
        assert_equal(found.layers, layers)
    (stored,), problems = stored_weights()
    assert (stored.name, stored.digest, stored.source, stored.convention) == (
        "vgg16",
        digest,
        "f.pth",
        "caffe",
    )
    assert problems == []
    assert_equal(read_weights(path).layers, layers)  # a stored file can be imported elsewhere
    with pytest.raises(ConfigError, match="converted already"):
        read_weights(path, convention="caffe")


def test_part_of_the_layers_has_its_own_digest(layers: Layers) -> None:
    keep(layers)
    part = {n: layers[n] for n in ("conv1_1", "conv1_2")}
    found = find_weights("vgg16", list(part))
    assert_equal(found.layers, part)
    assert found.digest == weights_digest(part) != weights_digest(layers)
    # a model that was trained on a file with these layers alone finds them in one with more
    assert find_weights(weights_digest(part), list(part)).digest == weights_digest(part)
    with pytest.raises(DataError, match="not here"):
        find_weights(weights_digest(part))


def test_float64_is_stored_as_float32(layers: Layers) -> None:
    path = keep(
        {name: (filters.astype(float), bias.astype(float)) for name, (filters, bias) in layers.items()}
    )
    assert_equal(load_stored(path).layers, layers)


def test_digest_sees_every_value(layers: Layers) -> None:
    digest = weights_digest(layers)
    layers["conv1_2"][1][63] = np.nextafter(layers["conv1_2"][1][63], np.float32(9))
    assert weights_digest(layers) != digest


def test_one_name_for_different_weights(layers: Layers) -> None:
    keep(layers)
    part = {n: layers[n] for n in ("conv1_1",)}
    keep(part)
    with pytest.raises(ConfigError, match="different weights are called"):
        find_weights("vgg16")
    assert find_weights(weights_digest(part)).digest == weights_digest(part)
    # both have the same conv1_1, so either is used; if only one has a layer, that one is used
    assert find_weights("vgg16", ["conv1_1"]).digest == weights_digest(part)
    assert list(find_weights("vgg16", ["conv1_2"]).layers) == ["conv1_2"]


def test_missing_weights_say_what_to_do(layers: Layers) -> None:
    with pytest.raises(DataError, match="nothing was imported yet") as caught:
        find_weights("vgg16", ["conv1_1", "conv1_2"])
    assert "layers conv1_1, conv1_2" in str(caught.value)
    assert "lstm2d weights import FILE" in str(caught.value)
    keep(layers)
    with pytest.raises(DataError, match="lack conv3_3"):
        find_weights("vgg16", ["conv1_1", "conv3_3"])
    with pytest.raises(DataError, match="lack conv3_3"):
        load_stored(keep(layers), ["conv3_3"])


@pytest.mark.parametrize("name", ["../x", "", "a/b", ".hidden", "deadbeef", "a" * 65, "a\0b", "a b"])
def test_names_stay_in_the_folder(layers: Layers, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be called"):
        keep(layers, name)
    assert not store_folder().exists()


def test_damaged_in_the_store(layers: Layers) -> None:
    path = keep(layers)
    whole = bytearray(path.read_bytes())
    whole[-5] ^= 1
    path.write_bytes(whole)
    with pytest.raises(DataError, match="checksum"):
        find_weights("vgg16")
    path.write_bytes(whole[:-10])
    found, problems = stored_weights()
    assert found == []
    assert len(problems) == 1
    with pytest.raises(DataError, match="1 damaged in the store"):
        find_weights("vgg16")


def test_a_model_file_is_no_weights(brightness_model: Path) -> None:
    with pytest.raises(DataError, match="not a file of imported weights"):
        load_stored(brightness_model)


def test_store_that_cannot_be_written(
    tmp_path: Path, layers: Layers, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("LSTM2D_DATA", str(tmp_path / "file"))
    with pytest.raises(OutputError):
        keep(layers)


# folders


def test_user_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LSTM2D_DATA")
    monkeypatch.delenv("LSTM2D_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "relative")  # not allowed by the specification
    assert data_folder() == tmp_path / ".local/share/lstm2d"
    assert cache_folder() == tmp_path / ".cache/lstm2d"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "d"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))
    assert (data_folder(), cache_folder()) == (tmp_path / "d/lstm2d", tmp_path / "c/lstm2d")
    monkeypatch.setenv("LSTM2D_DATA", str(tmp_path / "own"))
    monkeypatch.setenv("LSTM2D_CACHE", str(tmp_path / "own cache"))
    assert (data_folder(), cache_folder()) == (tmp_path / "own", tmp_path / "own cache")
