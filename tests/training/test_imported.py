"""Models on imported layers: run files leave these out, and no other weights are used instead."""

from pathlib import Path

import numpy as np
import pytest

from lstm2d.config import RunConfig, apply_overrides, from_dict
from lstm2d.errors import ConfigError, DataError, InterruptedRun
from lstm2d.io.model_file import load_model, read_header
from lstm2d.predict import load
from lstm2d.training.checkpoint import newest_file, unpack
from lstm2d.training.loop import train
from lstm2d.weights.store import Layers, store_folder, store_weights, stored_weights, weights_digest
from lstm2d.weights.vgg16 import LAYERS
from tests.training.runs import Stopper, digest

SECTION = {
    "kind": "reseg",
    "features": "conv1_2",
    "weights": "vgg16",
    "units": [2],
    "patches": [1],
    "unit": "gru",
    "upsampling": "bilinear",
}
NAMES = [f"backbone.{layer}.{kind}" for layer in ("conv1_1", "conv1_2") for kind in ("weight", "bias")]


def layers(*names: str, seed: int = 0) -> Layers:
    rng = np.random.default_rng(seed)
    return {
        name: (
            rng.standard_normal(LAYERS[name]).astype(np.float32) / 30,
            rng.standard_normal(LAYERS[name][3]).astype(np.float32),
        )
        for name in names
    }


def keep(weights: Layers, name: str = "vgg16") -> None:
    store_weights(weights, name=name, convention="caffe", source="test")


@pytest.fixture(autouse=True)
def _own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSTM2D_DATA", str(tmp_path / "user"))


@pytest.fixture
def stored() -> Layers:
    """Return the layers in the store, including one that no model here needs."""
    weights = layers("conv1_1", "conv1_2", "conv2_1")
    keep(weights)
    return weights


def config(*overrides: str) -> RunConfig:
    table = {"model": SECTION, "train": {"epochs": 2, "learning_rate": 0.01, "checkpoint_minutes": 0.0}}
    return apply_overrides(from_dict(table, "test"), overrides)


def test_model_and_checkpoints_leave_imported_layers_out(
    tmp_path: Path, dataset: Path, stored: Layers
) -> None:
    train(config(), dataset, tmp_path / "run")
    model = load_model(tmp_path / "run/model.safetensors")
    assert model.imported is not None
    assert list(model.imported.parameters) == NAMES
    assert model.imported.layers == ("conv1_1", "conv1_2")
    header = read_header(tmp_path / "run/model.safetensors")
    assert load(tmp_path / "run").parameters == header.parameters == sum(v.size for v in model.state.values())
    assert model.imported.digest == weights_digest({n: stored[n] for n in model.imported.layers})
    assert not any(name.startswith("backbone") for name in model.state)
    newest = newest_file(tmp_path / "run/checkpoints")
    assert newest is not None
    assert not any("backbone" in name for name in unpack(newest.read_bytes()).tensors)


def test_the_saved_model_predicts_as_the_trained_one(
    tmp_path: Path, dataset: Path, stored: Layers, rng: np.random.Generator
) -> None:
    image = rng.integers(0, 256, (9, 11, 3), dtype=np.uint8)
    train(config(), dataset, tmp_path / "run")
    expected = load(tmp_path / "run").predict_proba(image)
    # another file with the same layers can be used too
    for path in store_folder().iterdir():
        path.unlink()
    keep(stored | layers("conv3_1", seed=3), name="elsewhere")
    keep(layers("conv1_1", "conv1_2", seed=9))  # other weights of the same name are not used
    assert load(tmp_path / "run").predict_proba(image).tobytes() == expected.tobytes()
    # and they affect the result
    model = load_model(tmp_path / "run/model.safetensors")
    assert np.ptp(expected[:, :, 0]) > 0
    assert model.state


def test_missing_weights(tmp_path: Path, dataset: Path, stored: Layers) -> None:
    train(config(), dataset, tmp_path / "run")
    for path in store_folder().iterdir():
        path.unlink()
    keep(layers("conv1_1", "conv1_2", seed=9))
    with pytest.raises(DataError) as error:
        load(tmp_path / "run")
    digest = weights_digest({n: stored[n] for n in ("conv1_1", "conv1_2")})
    for word in ("conv1_1, conv1_2 of VGG-16", digest, "lstm2d weights import FILE", "run/model.safetensors"):
        assert word in str(error.value)
    (other,) = stored_weights()[0]  # the wrong file may have been imported: name it
    assert f"there: vgg16 ({other.digest[:16]}, caffe)" in str(error.value)
    (store_folder() / "damaged.safetensors").write_bytes(b"")
    with pytest.raises(DataError, match="there: 1 damaged, vgg16"):
        load(tmp_path / "run")
    with pytest.raises(DataError, match=digest):
        train(config(), dataset, tmp_path / "run", resume=True)


def test_training_without_weights_leaves_no_folder(tmp_path: Path, dataset: Path) -> None:
    with pytest.raises(DataError, match="weights 'vgg16' are not here"):
        train(config(), dataset, tmp_path / "run")
    keep(layers("conv1_1"))
    with pytest.raises(DataError, match="does not train: conv1_2"):
        train(config(), dataset, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("stored")
def test_resumed_with_the_weights_it_began_with(tmp_path: Path, dataset: Path) -> None:
    train(config(), dataset, tmp_path / "straight")
    with pytest.raises(InterruptedRun):
        train(config(), dataset, tmp_path / "run", report=Stopper(3))
    for path in store_folder().iterdir():
        path.rename(path.with_name("other.safetensors"))  # the name of a file does not matter
    keep(layers("conv1_1", "conv1_2", "conv2_1", seed=5))  # now the name is ambiguous
    with pytest.raises(ConfigError, match="different weights"):
        train(config(), dataset, tmp_path / "new")
    train(config(), dataset, tmp_path / "run", resume=True)
    assert digest(tmp_path / "run") == digest(tmp_path / "straight")


@pytest.mark.usefixtures("stored")
def test_init_from_a_model_on_other_weights(tmp_path: Path, dataset: Path) -> None:
    train(config(), dataset, tmp_path / "run")
    keep(layers("conv1_1", "conv1_2", seed=5), name="other")
    with pytest.raises(ConfigError, match="other imported weights"):
        train(config("model.weights=other"), dataset, tmp_path / "second", init_from=tmp_path / "run")
    train(config(), dataset, tmp_path / "second", init_from=tmp_path / "run")


@pytest.mark.usefixtures("stored")
def test_a_file_that_leaves_out_something_else(tmp_path: Path, dataset: Path) -> None:
    from dataclasses import replace

    from lstm2d.io.model_file import save_model

    train(config(), dataset, tmp_path / "run")
    path = tmp_path / "run/model.safetensors"
    model = load_model(path)
    assert model.imported is not None
    save_model(path, replace(model, imported=None))
    with pytest.raises(DataError, match="leaves out other layers"):
        load(path)
    save_model(path, replace(model, imported=replace(model.imported, layers=("conv1_1",))))
    with pytest.raises(DataError, match="leaves out other layers"):
        load(path)
    assert read_header(path).model.imported is not None


def test_layers_that_another_model_brings_are_not_called_random(tmp_path: Path, dataset: Path) -> None:
    keep(layers("conv1_1", "conv1_2", "conv2_1", "conv2_2"))
    model = {"kind": "h-renet", "sources": ["pool4"], "units": [2], "patches": [1], "width": 1 / 128}
    start = from_dict({"model": model, "train": {"steps": 1, "learning_rate": 1e-3}}, "test")
    for run, init_from, noted in (("first", None, True), ("second", tmp_path / "first", False)):
        listener = Stopper()
        train(start, dataset, tmp_path / run, init_from=init_from, report=listener)
        notes = [event.values["text"] for event in listener.events if event.kind == "note"]
        assert any("lack conv3_1" in text for text in notes) is noted
