"""Parts of the network with their own learning-rate factor, or frozen."""

from pathlib import Path

import numpy as np
import pytest

from lstm2d.config import dump_toml, load_toml
from lstm2d.config.schema import group_tables
from lstm2d.errors import ConfigError, InterruptedRun
from lstm2d.models import build
from lstm2d.random import Purpose, generator
from lstm2d.training.checkpoint import newest_file, unpack
from lstm2d.training.loop import train
from lstm2d.training.make_optimizer import parameter_groups
from lstm2d.training.optimizer import belongs
from lstm2d.training.runfolder import RunFolder
from tests.training.runs import Configure, Stopper, digest

ONE_STEP = (
    "train.steps=1",
    "train.average=0",
    "train.clip_norm=0",
    "train.momentum=0",
    "train.learning_rate=1e-3",
)


def changes(run: Path, configure: Configure) -> dict[str, np.ndarray]:
    """Return the change of each parameter by a run."""
    newest = newest_file(run / "checkpoints")
    assert newest is not None
    tensors = unpack(newest.read_bytes()).tensors
    network = build(configure().model, 3, generator(0, 0, 0, Purpose.INIT))
    return {name: tensors[f"weight.{name}"] - p.data for name, p in network.named_parameters()}


@pytest.mark.parametrize(
    ("name", "part", "inside"),
    [
        ("backbone.conv1_2.weight", "backbone", True),
        ("backbone.conv1_2.weight", "backbone.conv1_2", True),
        ("backbone.conv1_2.weight", "conv1_2", True),
        ("backbone.conv1_2.weight", "conv1", True),
        ("backbone.conv1_2.weight", "weight", True),
        ("backbone.conv1_2.weight", "conv1_1", False),
        ("backbone.conv1_2.weight", "conv", False),
        ("backbone.conv1_2.weight", "backbone.weight", False),
        ("backbone.conv1_2.weight", "bone", False),
        ("lstm.10.bias", "lstm.1", False),
        ("lstm.1.bias", "lstm.1", True),
        ("conv6.bias", "conv", False),
        ("layer.bias", "l.yer", False),
    ],
)
def test_what_belongs_to_a_part(name: str, part: str, inside: bool) -> None:
    assert belongs(name, part) is inside


def test_rate_and_frozen(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    sets = ("train.groups.lstm.0.frozen=true", "train.groups.feedforward.rate=0.5")
    train(configure(*ONE_STEP), dataset, tmp_path / "plain")
    train(configure(*ONE_STEP, *sets), dataset, tmp_path / "groups")
    plain, groups = changes(tmp_path / "plain", configure), changes(tmp_path / "groups", configure)
    for name, change in plain.items():
        factor = 0.0 if name.startswith("lstm.0.") else 0.5 if name.startswith("feedforward.") else 1.0
        np.testing.assert_allclose(groups[name], factor * change, rtol=1e-3, atol=1e-7)
        assert change.any(), name


def test_resumed_is_uninterrupted(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    sets = ("train.groups.lstm.0.frozen=true", "train.groups.feedforward.rate=0.5")
    train(configure(*sets), dataset, tmp_path / "straight")
    with pytest.raises(InterruptedRun):
        train(configure(*sets), dataset, tmp_path / "cut", report=Stopper(4))
    config = RunFolder(tmp_path / "cut").reopen("")
    assert config == configure(*sets)
    train(config, dataset, tmp_path / "cut", resume=True)
    assert digest(tmp_path / "cut") == digest(tmp_path / "straight")


def test_names_with_dots_are_tables_inside_tables(tmp_path: Path, configure: Configure) -> None:
    config = configure(
        "train.groups.lstm.0.rate=2", "train.groups.lstm.0.frozen=true", "train.groups.lstm.rate=3"
    )
    found = {part: (group.rate, group.frozen) for part, group in config.train.groups.items()}
    assert found == {"lstm.0": (2, True), "lstm": (3, False)}
    (tmp_path / "c.toml").write_text(dump_toml(config))
    assert load_toml(tmp_path / "c.toml") == config
    nested = {"lstm.0": {"rate": 2}, "lstm": {"0": {"frozen": True}, "1": {}}}
    assert group_tables(nested) == {"lstm.0": {"rate": 2, "frozen": True}, "lstm.1": {}}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.groups.lstm.0.rate=-1", "train.groups.lstm.0.rate = -1 (overrides): expected a number >= 0"),
        ("train.groups.lstm.frozen=1", "train.groups.lstm.frozen = 1 (overrides): expected true or false"),
        ("train.groups.lstm.rat=1", "train.groups.lstm.rat = 1 (overrides): expected a table of rate"),
        ("train.groups.lstm=1", "train.groups.lstm = 1 (overrides): expected a table of rate"),
        ("train.groups=1", "train.groups = 1 (overrides): expected a table"),
    ],
)
def test_wrong_values(configure: Configure, override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        configure(override)
    assert message in str(caught.value)


def test_a_name_that_is_no_part_is_an_error_with_the_parts(
    dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    with pytest.raises(ConfigError) as caught:
        train(configure("train.groups.lstn.rate=2"), dataset, tmp_path / "run")
    assert "train.groups: lstn is no part of this network" in str(caught.value)
    assert "expected: feedforward, feedforward.0, feedforward.1, lstm, lstm.0, lstm.1" in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_nothing_left_to_train(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    sets = ("train.groups.lstm.frozen=true", "train.groups.feedforward.frozen=true")
    with pytest.raises(ConfigError, match="freezes the whole network"):
        train(configure(*sets), dataset, tmp_path / "run")
    train(configure(*ONE_STEP, *sets, "train.groups.lstm.1.frozen=false"), dataset, tmp_path / "run")


def test_parts_that_are_never_trained(configure: Configure) -> None:
    section = {"kind": "reseg", "features": "conv1_1", "weights": "", "units": [2], "patches": [1]}
    network = build({**section, "upsampling": "bilinear"}, 3, np.random.default_rng(0))
    assert parameter_groups(configure("train.groups.conv1.frozen=true").train, network) == {}
    with pytest.raises(ConfigError, match="conv1 is never trained in this network") as caught:
        parameter_groups(configure("train.groups.conv1.rate=0.1").train, network)
    assert "backbone" not in str(caught.value)
