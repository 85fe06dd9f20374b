"""Parts of the network with their own learning-rate factor, or frozen."""

from pathlib import Path

import numpy as np
import pytest

from lstm2d.config import RunConfig, apply_overrides, dump_toml, from_dict, load_preset, load_toml, resolve
from lstm2d.config.schema import group_tables
from lstm2d.errors import ConfigError, InterruptedRun
from lstm2d.models import build
from lstm2d.random import Purpose, generator
from lstm2d.training.checkpoint import newest_file, unpack
from lstm2d.training.loop import train
from lstm2d.training.make_optimizer import make_optimizer, parameter_groups
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


SMALL = {
    "h-renet": ("model.width=0.015625", "model.units=[2]", "model.weights="),
    "fcn-largefov": ("model.width=0.015625", "model.weights="),
    "reseg": ("model.weights=", "model.features=conv1_1", "model.units=[2, 2]"),
    "n-renet-ref": ("model.units=[2, 2, 2]", "model.features=[3, 3]"),
    "lstm2d-5x5": (),
}


def factors(config: RunConfig) -> dict[str, float]:
    """Return by how much a step without decay changes each parameter, for a gradient and a rate of 1."""
    network = build(config.model, 3, np.random.default_rng(0))
    trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
    before = {name: p.data.copy() for name, p in trained.items()}
    train = config.train.model_copy(update={"weight_decay": 0.0, "clip_norm": 0.0, "optimizer": "sgd"})
    optimizer = make_optimizer(train, trained, parameter_groups(train, network))
    for p in trained.values():
        p.grad = np.ones_like(p.data)
    optimizer.step(1.0, optimizer.gradient_norm(), 0)
    changes = {name: np.unique(np.round(before[name] - p.data, 4)) for name, p in trained.items()}
    assert all(len(change) == 1 for change in changes.values())
    return {name: float(change[0]) for name, change in changes.items()}


@pytest.mark.parametrize("name", ["h-renet", "fcn-largefov"])
def test_four_kinds_of_rates_in_h_renet(name: str) -> None:
    found = factors(resolve(name, [(item, "--set") for item in SMALL[name]]))
    for parameter, factor in found.items():
        expected = 1.0 if parameter.startswith("backbone.conv") else 10.0
        assert factor == expected * (2.0 if parameter.endswith(".bias") else 1.0), parameter
    assert set(found.values()) == {1.0, 2.0, 10.0, 20.0}
    assert found["conv6.weight"] == found["conv8.weight"] == 10.0


@pytest.mark.parametrize("name", ["lstm2d-5x5", "reseg"])
def test_all_trained_layers_are_new_without_a_trained_backbone(name: str) -> None:
    sets = (*SMALL[name], "train.new_rate=3", "train.bias_rate=0.5")
    for parameter, factor in factors(resolve(name, [(item, "--set") for item in sets])).items():
        assert factor == (1.5 if parameter.endswith(".bias") else 3.0), parameter


def test_factors_multiply() -> None:
    sets = (*SMALL["fcn-largefov"], "train.groups.conv7.rate=0.5", "train.groups.conv5_3.bias.rate=4")
    found = factors(resolve("fcn-largefov", [(item, "--set") for item in sets]))
    assert (found["conv7.weight"], found["conv7.bias"], found["conv6.bias"]) == (5.0, 10.0, 20.0)
    assert (found["backbone.conv5_3.bias"], found["backbone.conv5_2.bias"]) == (8.0, 2.0)
    found = factors(
        resolve("fcn-largefov", [(item, "--set") for item in (*sets, "train.groups.conv7.frozen=true")])
    )
    assert found["conv7.weight"] == found["conv7.bias"] == 0.0


def test_only_biases_of_convolutions_are_faster_in_the_code_of_n_renet() -> None:
    found = factors(resolve("n-renet-ref", [(item, "--set") for item in SMALL["n-renet-ref"]]))
    doubled = {name for name, factor in found.items() if factor == 2.0}
    assert doubled == {"convs.0.bias", "convs.1.bias", "classify.bias"}
    assert set(found.values()) == {1.0, 2.0}
    changed = apply_overrides(load_preset("n-renet-ref"), ["train.groups.convs.0.bias.rate=1"])
    assert {part: group.rate for part, group in changed.train.groups.items()} == {
        "convs.0.bias": 1.0,
        "convs.1.bias": 2.0,
        "classify.bias": 2.0,
    }


@pytest.mark.parametrize("key", ["new_rate", "bias_rate"])
def test_a_run_of_an_earlier_version_has_factors_of_one(key: str) -> None:
    config = load_preset("h-renet").model_dump()
    del config["train"][key]
    assert getattr(from_dict(config, "config.toml").train, key) == 1.0
    with pytest.raises(ConfigError, match=f"train.{key} = -1"):
        apply_overrides(load_preset("h-renet"), [f"train.{key}=-1"])
