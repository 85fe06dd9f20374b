"""Runs that start from the weights of a model."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lstm2d.errors import ConfigError, InterruptedRun
from lstm2d.io.model_file import load_model
from lstm2d.models import build
from lstm2d.random import Purpose, generator
from lstm2d.training.checkpoint import unpack
from lstm2d.training.loop import train
from lstm2d.training.runfolder import RunFolder
from tests.training.runs import Configure, Stopper, digest


def test_init_from(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    train(configure(), dataset, tmp_path / "first")
    first = load_model(tmp_path / "first" / "model.safetensors")
    (dataset / "splits" / "train.txt").write_text("i0\ni1\n")  # other statistics
    train(configure("train.max_time=0.000001s"), dataset, tmp_path / "second", init_from=tmp_path / "first")
    second = load_model(tmp_path / "second" / "model.safetensors")
    assert (second.mean, second.std) == (first.mean, first.std)
    for name, array in first.state.items():
        np.testing.assert_array_equal(second.state[name], array)


def test_a_given_mean_goes_before_that_of_the_model(
    dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    train(configure("train.steps=1"), dataset, tmp_path / "first")
    first = load_model(tmp_path / "first" / "model.safetensors")
    config = configure("train.steps=1", "data.mean=[1, 2, 3]")
    train(config, dataset, tmp_path / "second", init_from=tmp_path / "first")
    second = load_model(tmp_path / "second" / "model.safetensors")
    assert (second.mean, second.std) == ((1, 2, 3), first.std)


def test_init_from_other_classes(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    train(configure("train.steps=1"), dataset, tmp_path / "first")
    with (dataset / "dataset.toml").open("a") as file:
        file.write('[[classes]]\nname = "fourth"\ncolor = [9, 9, 9]\n')
    with pytest.raises(ConfigError, match="`init_from` has 3 classes, the data has 4"):
        train(configure(), dataset, tmp_path / "second", init_from=tmp_path / "first" / "model.safetensors")
    assert not (tmp_path / "second").exists()


def test_init_from_another_architecture(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    train(configure("train.steps=1"), dataset, tmp_path / "first")
    with pytest.raises(ConfigError, match="another architecture") as caught:
        train(configure("model.units=[2,4]"), dataset, tmp_path / "second", init_from=tmp_path / "first")
    assert "instead of" in str(caught.value)


def notes(stopper: Stopper) -> str:
    return "\n".join(event.values["text"] for event in stopper.events if event.kind == "note")


def start(run: Path) -> dict[str, NDArray[np.float32]]:
    """Return the weights that a run began with."""
    return unpack((run / "checkpoints" / "step-00000000.safetensors").read_bytes()).tensors


def test_matching_takes_what_fits_and_says_so(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    """Another number of classes: the last layer is new, all others are those of the model."""
    train(configure("train.steps=1"), dataset, tmp_path / "first")
    first = load_model(tmp_path / "first" / "model.safetensors")
    with (dataset / "dataset.toml").open("a") as file:
        file.write('[[classes]]\nname = "fourth"\ncolor = [9, 9, 9]\n')
    stopper = Stopper()
    config = configure("train.steps=1", "train.init=matching")
    train(config, dataset, tmp_path / "second", init_from=tmp_path / "first", report=stopper)
    model = load_model(tmp_path / "second" / "model.safetensors")
    assert (model.mean, model.std) == (first.mean, first.std)
    fresh = build(config.model, 4, generator(0, 0, 0, Purpose.INIT)).state_dict()
    weights = start(tmp_path / "second")
    for name, array in fresh.items():
        source = fresh if name.startswith("feedforward.1.") else first.state
        np.testing.assert_array_equal(weights[f"weight.{name}"], source[name], err_msg=name)
        np.testing.assert_array_equal(weights[f"average.{name}"], source[name], err_msg=name)
        assert array.shape == weights[f"weight.{name}"].shape
    taken = "10 of 12 arrays taken: lstm.0, lstm.1, feedforward.0\n"
    assert taken in notes(stopper)
    assert "new: feedforward.1 (of another shape: feedforward.1)" in notes(stopper)


def test_matching_between_two_networks(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    train(configure("train.steps=1"), dataset, tmp_path / "first")
    first = load_model(tmp_path / "first" / "model.safetensors")
    stopper = Stopper()
    sets = ("train.steps=1", "train.init=matching", "model.units=[2]", "model.features=[]")
    train(configure(*sets), dataset, tmp_path / "second", init_from=tmp_path / "first", report=stopper)
    weights = start(tmp_path / "second")
    np.testing.assert_array_equal(weights["weight.lstm.0.weight"], first.state["lstm.0.weight"])
    assert (
        "6 of 6 arrays taken: lstm.0, feedforward.0\n  new: nothing\n  not used: feedforward.1, lstm.1"
        in notes(stopper)
    )
    train(configure(*sets), dataset, tmp_path / "third", init_from=tmp_path / "second", report=stopper)
    assert notes(stopper).endswith("new: nothing")


def test_matching_where_nothing_fits(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    train(configure("train.steps=1"), dataset, tmp_path / "first")
    sets = ("train.init=matching", "model.window=2", "model.units=[5]", "model.features=[]")
    with (dataset / "dataset.toml").open("a") as file:
        file.write('[[classes]]\nname = "fourth"\ncolor = [9, 9, 9]\n')
    with pytest.raises(ConfigError, match="`init_from` has no parameter that fits"):
        train(configure(*sets), dataset, tmp_path / "second", init_from=tmp_path / "first")


def test_matching_without_a_model(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    with pytest.raises(ConfigError, match=r'train\.init = "matching" without a model'):
        train(configure("train.init=matching"), dataset, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_that_began_with_matching_is_resumed(
    dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    train(configure("train.steps=1"), dataset, tmp_path / "first")
    config = configure("train.init=matching")
    for name in ("straight", "cut"):
        stop = Stopper(4 if name == "cut" else -1)
        with suppress(InterruptedRun):
            train(config, dataset, tmp_path / name, init_from=tmp_path / "first", report=stop)
    assert digest(tmp_path / "cut") != digest(tmp_path / "straight")
    train(RunFolder(tmp_path / "cut").reopen(""), dataset, tmp_path / "cut", resume=True)
    assert digest(tmp_path / "cut") == digest(tmp_path / "straight")
