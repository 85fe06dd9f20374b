"""Runs that start from the weights of a model."""

from pathlib import Path

import numpy as np
import pytest

from lstm2d.errors import ConfigError
from lstm2d.io.model_file import load_model
from lstm2d.training.loop import train
from tests.training.runs import Configure


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
    with pytest.raises(ConfigError, match="--init-from has 3 classes, the data has 4"):
        train(configure(), dataset, tmp_path / "second", init_from=tmp_path / "first" / "model.safetensors")
    assert not (tmp_path / "second").exists()


def test_init_from_another_architecture(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    train(configure("train.steps=1"), dataset, tmp_path / "first")
    with pytest.raises(ConfigError, match="another architecture") as caught:
        train(configure("model.units=[2,4]"), dataset, tmp_path / "second", init_from=tmp_path / "first")
    assert "instead of" in str(caught.value)
