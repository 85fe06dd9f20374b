"""Training with a label hierarchy: what each stage trains, the saved model, the same bits after a kill."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lstm2d.config import RunConfig
from lstm2d.data.folder import DatasetFolder
from lstm2d.errors import ConfigError, DataError, InterruptedRun
from lstm2d.hierarchy.file import load_hierarchy, save_hierarchy
from lstm2d.hierarchy.hierarchy import Hierarchy
from lstm2d.io.model_file import load_model
from lstm2d.models import parameter_count
from lstm2d.predict import load
from lstm2d.predict.evaluate import evaluate
from lstm2d.tensor import FloatArray
from lstm2d.training.checkpoint import Checkpoint
from lstm2d.training.events import EpochDone, Note, StageBegun
from lstm2d.training.loop import train
from lstm2d.training.read_hierarchy import filling
from lstm2d.training.runfolder import RunFolder
from lstm2d.training.samples import TrainingData
from tests.training.hierarchies import CLUSTERS, RCNN, RENET, SCENES, STAGES, lengths, other_network, write
from tests.training.runs import Camera, Configure, Stopper, digest, model_digest, newest, rewrite, rows

Configured = Callable[..., RunConfig]
HEAD = ("feedforward.1.weight", "feedforward.1.bias")
N = CLUSTERS.n


@pytest.fixture
def with_clusters(tmp_path: Path, configure: Configure) -> Configured:
    """Return a function that returns a configuration with clusters and a strategy."""
    sets = write(tmp_path, CLUSTERS)

    def make(strategy: str, *overrides: str, using: Configure = configure) -> RunConfig:
        chosen = (*sets, f"hierarchy.strategy={strategy}", lengths(strategy))
        return using(*chosen, "train.average=0", *overrides)

    return make


@pytest.fixture
def baseline(dataset: Path, tmp_path: Path, configure: Configure) -> Path:
    """Return a model that was trained on the classes."""
    return train(configure("train.epochs=1", "train.seed=8"), dataset, tmp_path / "baseline").run


def begun(camera: Camera) -> list[Path]:
    """Return the folder at the beginning of each stage but the first."""
    pairs = zip(camera.events, camera.copies, strict=True)
    return [copy for event, copy in pairs if isinstance(event, StageBegun)]


def weights(checkpoint: Checkpoint) -> dict[str, FloatArray]:
    """Return all weights in a checkpoint, by their names in the network."""
    prefixes = ("weight.", "untrained.")
    return {
        name.removeprefix(prefix): a
        for name, a in checkpoint.tensors.items()
        for prefix in prefixes
        if name.startswith(prefix)
    }


def trained(checkpoint: Checkpoint) -> set[str]:
    return {name.removeprefix("weight.") for name in checkpoint.tensors if name.startswith("weight.")}


def changed(before: dict[str, FloatArray], after: dict[str, FloatArray]) -> set[str]:
    return {name for name, a in after.items() if name not in before or before[name].tobytes() != a.tobytes()}


def test_sequential(dataset: Path, tmp_path: Path, with_clusters: Configured, baseline: Path) -> None:
    """New last layers in stages 1 and 3, in which all other layers keep their bits."""
    camera = Camera(tmp_path / "run")
    config = with_clusters("sequential")
    result = train(config, dataset, tmp_path / "run", init_from=baseline, report=camera)
    assert (result.epochs, result.steps, result.reason) == (4, 20, "epochs")
    names = [event.name for event in camera.events if isinstance(event, StageBegun)]
    assert names == ["all layers, subclasses", "last layer, classes", "all layers, classes"]
    start = load_model(baseline / "model.safetensors").state
    ends = [newest(copy) for copy in [*begun(camera), tmp_path / "run"]]
    first, second, third, fourth = map(weights, ends)
    rest = set(start) - set(HEAD)
    # a checkpoint at the beginning of a stage has the weights of the stage before, and the new layers
    assert first[HEAD[0]].shape == (3, N)
    assert changed(start, first) == {*HEAD, "membership.weight"}
    assert second.keys() == start.keys()
    assert second[HEAD[0]].shape == (3, 3)
    assert changed(first, second) == {*HEAD, *rest}
    assert changed(second, third) == set(HEAD)
    assert changed(third, fourth) == {*HEAD, *rest}
    assert [trained(end) for end in ends] == [
        {*HEAD, *rest},
        set(HEAD),
        {*HEAD, *rest},
        {*HEAD, *rest},
    ]
    rates = [event.learning_rate for event in camera.events if isinstance(event, EpochDone)]
    assert rates == pytest.approx([0, 0, 0, 0], abs=1e-12)  # each stage is a whole cosine


def test_the_new_layers_are_new(
    dataset: Path, tmp_path: Path, with_clusters: Configured, baseline: Path
) -> None:
    """At a rate of almost 0 they keep their first values: those of the stage, not of the model."""
    camera = Camera(tmp_path / "run")
    config = with_clusters("sequential", "train.learning_rate=1e-30")
    train(config, dataset, tmp_path / "run", init_from=baseline, report=camera)
    start = load_model(baseline / "model.safetensors").state
    last = weights(newest(tmp_path / "run"))
    assert changed(start, last) == set(HEAD)
    assert np.abs(last[HEAD[1]]).max() < 1e-20
    fine = weights(newest(begun(camera)[0]))[HEAD[0]]
    assert fine.shape == (3, N)
    assert np.abs(fine).min() > 0


def test_the_model_of_sequential_training(
    dataset: Path, tmp_path: Path, with_clusters: Configured, configure: Configure, baseline: Path
) -> None:
    """It is written from the third stage on, and is one of the preset without a hierarchy."""
    camera = Camera(tmp_path / "run")
    result = train(with_clusters("sequential"), dataset, tmp_path / "run", init_from=baseline, report=camera)
    assert [(copy / "model.safetensors").exists() for copy in begun(camera)] == [False, False, True]
    assert result.model is not None
    model, plain = load_model(result.model), load_model(baseline / "model.safetensors")
    assert {k: a.shape for k, a in model.state.items()} == {k: a.shape for k, a in plain.state.items()}
    assert [c.name for c in model.classes] == ["dark", "bright", "red"]
    assert model.config["hierarchy"]["strategy"] == "sequential"
    assert load(result.model).predict_proba(np.zeros((9, 12, 3), np.uint8)).shape == (9, 12, 3)


def test_hierarchical(dataset: Path, tmp_path: Path, with_clusters: Configured, baseline: Path) -> None:
    """The membership keeps its bits in the first stage and is trained in the second."""
    camera = Camera(tmp_path / "run")
    result = train(
        with_clusters("hierarchical"), dataset, tmp_path / "run", init_from=baseline, report=camera
    )
    assert (result.epochs, result.reason) == (2, "epochs")
    first, second = newest(camera.at(StageBegun)), newest(tmp_path / "run")
    # the first step of a stage has changed nothing yet: the membership is that of the end of the stage before
    matrix = weights(first)["membership.weight"]
    assert matrix.tobytes() == CLUSTERS.membership.T.astype(np.float32).tobytes()
    moved = changed(weights(first), weights(second))
    assert "membership.weight" in moved
    assert np.abs(weights(second)["membership.weight"] - matrix).max() > 1e-5
    assert moved == set(weights(second))
    assert "weight.membership.weight" in second.tensors

    assert result.model is not None
    model = load_model(result.model)
    assert sum(a.size for a in model.state.values()) == parameter_count(model.config["model"], 3)
    assert model.state[HEAD[0]].shape == (3, 3)


def test_the_model_is_folded(
    dataset: Path, tmp_path: Path, with_clusters: Configured, baseline: Path
) -> None:
    result = train(
        with_clusters("hierarchical", "train.select=mean_iou"), dataset, tmp_path / "run", init_from=baseline
    )
    assert result.model is not None
    model, last = load_model(result.model), weights(newest(tmp_path / "run"))
    if model.metrics["step"] == result.steps:
        matrix = last["membership.weight"]
        for name in HEAD:
            np.testing.assert_allclose(model.state[name], last[name] @ matrix, rtol=1e-5, atol=1e-6)
        others = set(model.state) - set(HEAD)
        assert all(model.state[name].tobytes() == last[name].tobytes() for name in others)


@pytest.mark.parametrize("strategy", STAGES)
def test_validation_is_that_of_the_saved_model(
    dataset: Path, tmp_path: Path, with_clusters: Configured, strategy: str
) -> None:
    result = train(with_clusters(strategy), dataset, tmp_path / "run")
    folder = DatasetFolder(dataset)
    found = evaluate(load(result.run), folder, folder.split("val")).figures
    for name, value in result.best.items():
        assert found[name] == value, name


def test_weight_decay_is_beta(dataset: Path, tmp_path: Path, with_clusters: Configured) -> None:
    """Without loss, since the rate of the head is all that moves: weights shrink by rate times beta."""
    sets = ("hierarchy.alpha=0.5", "hierarchy.beta=0.25", "train.weight_decay=7")
    camera = Camera(tmp_path / "run")
    train(with_clusters("hierarchical", *sets), dataset, tmp_path / "run", report=camera)
    other = train(with_clusters("hierarchical", *sets, "train.weight_decay=0"), dataset, tmp_path / "other")
    assert model_digest(other.run) == model_digest(tmp_path / "run")  # beta is used in its place
    train(with_clusters("hierarchical", sets[0], "hierarchy.beta=0"), dataset, tmp_path / "none")
    assert model_digest(tmp_path / "none") != model_digest(tmp_path / "run")


@pytest.mark.parametrize("strategy", STAGES)
@pytest.mark.parametrize("step", [1, 5, 6, 11, 19])
def test_interrupted_in_each_stage(
    dataset: Path, tmp_path: Path, with_clusters: Configured, strategy: str, step: int
) -> None:
    config = with_clusters(strategy, "train.scale_jitter=0.2", "train.average=0.5")
    straight, cut = tmp_path / "straight", tmp_path / "cut"
    total = train(config, dataset, straight).steps
    if step >= total:
        step = total - 1
    with pytest.raises(InterruptedRun, match=f"stopped after step {step} of"):
        train(config, dataset, cut, report=Stopper(step))
    train(RunFolder(cut).reopen(""), dataset, cut, resume=True)
    assert digest(cut) == digest(straight)
    assert model_digest(cut) == model_digest(straight)
    assert rows(cut) == rows(straight)


NETWORKS: dict[str, tuple[dict[str, object] | None, tuple[str, ...]]] = {
    "lstm2d": (None, ("train.average=0.5",)),
    "cells": (RCNN, ("train.crop=[6,7]", "train.scale_jitter=0.3")),
    "patches": (RCNN, ("train.examples=patches", "train.patches=2")),
    "n-renet": (RENET, ("train.crop=[4,16]", "train.batch=2", "train.class_weights=median_frequency")),
}


@pytest.mark.slow
@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("strategy", STAGES)
@pytest.mark.parametrize("name", NETWORKS)
def test_killed_at_any_event(
    dataset: Path,
    tmp_path: Path,
    configure: Configure,
    with_clusters: Configured,
    name: str,
    strategy: str,
    lost: bool,
) -> None:
    """Whatever the folder held then, at every second event or seventh; also without the model file."""
    model, sets = NETWORKS[name]
    using = configure if model is None else other_network(configure, model)
    config = with_clusters(strategy, *sets, "train.checkpoint_minutes=1e-6", using=using)
    camera = Camera(tmp_path / "run")
    train(config, dataset, tmp_path / "run", report=camera)
    expected = digest(tmp_path / "run"), model_digest(tmp_path / "run"), rows(tmp_path / "run")
    copies = [copy for copy in camera.copies if (copy / "config.toml").exists()]  # the first event is a note
    for copy in copies[lost :: 2 if model is None else 7]:
        if lost:
            (copy / "model.safetensors").unlink(missing_ok=True)
        train(RunFolder(copy).reopen(""), dataset, copy, resume=True)
        assert (digest(copy), model_digest(copy), rows(copy)) == expected, copy.name


@pytest.mark.parametrize("strategy", STAGES)
def test_scenes(dataset: Path, tmp_path: Path, configure: Configure, strategy: str) -> None:
    sets = (*write(tmp_path, SCENES), f"hierarchy.strategy={strategy}", lengths(strategy))
    result = train(configure(*sets), dataset, tmp_path / "run")
    assert result.model is not None
    assert load_model(result.model).state[HEAD[0]].shape == (3, 3)


def test_an_epoch_number_of_0_skips_a_stage(
    dataset: Path, tmp_path: Path, with_clusters: Configured, baseline: Path
) -> None:
    config = with_clusters("sequential", "hierarchy.epochs=[0, 1, 0, 1]")
    result = train(config, dataset, tmp_path / "run", init_from=baseline)
    assert (result.epochs, result.steps) == (2, 10)
    assert len(rows(tmp_path / "run")) >= 2


def test_minutes_end_a_stage(
    dataset: Path, tmp_path: Path, with_clusters: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the time of the stage, in all sessions; the clock ticks a minute per step."""
    from lstm2d.training.listeners import time_limit

    class Clock(Stopper):
        minutes = 0.0

        def __call__(self, event: object) -> None:
            if getattr(event, "kind", "") == "step":
                Clock.minutes += 1
            super().__call__(event)  # type: ignore[arg-type]

    class Time:
        @staticmethod
        def monotonic() -> float:
            return 60 * Clock.minutes

    monkeypatch.setattr(time_limit, "time", Time)
    sets = ("hierarchy.epochs=[]", "train.epochs=50", "hierarchy.minutes=[2, 4, 3, 6]")
    config = with_clusters("sequential", *sets)
    clock = Clock()
    result = train(config, dataset, tmp_path / "run", report=clock)
    assert (result.steps, result.reason) == (15, "minutes")
    assert [e.step for e in clock.events if isinstance(e, StageBegun)] == [2, 6, 9]

    Clock.minutes = 0
    with pytest.raises(InterruptedRun):
        train(config, dataset, tmp_path / "cut", report=Clock(step=5))
    clock = Clock()
    result = train(
        RunFolder(tmp_path / "cut").reopen(""), dataset, tmp_path / "cut", resume=True, report=clock
    )
    assert (result.steps, result.reason) == (15, "minutes")
    assert [e.step for e in clock.events if isinstance(e, StageBegun)] == [6, 9]


def test_a_run_that_ends_before_a_model_is_saved(
    dataset: Path, tmp_path: Path, with_clusters: Configured
) -> None:
    """By its limit of time, in the second stage."""
    config = with_clusters("sequential", "train.max_time=1h", "hierarchy.minutes=[1, 1, 1, 1]")
    folder = tmp_path / "run"
    with pytest.raises(InterruptedRun):
        train(config, dataset, folder, report=Stopper(7))
    rewritten = RunFolder(folder).reopen("", [("train.max_time=1s", "test")])
    rewrite(folder, _hours_later)
    result = train(rewritten, dataset, folder, resume=True, changes=["train.max_time"])
    assert (result.model, result.reason) == (None, "time")
    assert set(result.best.values()) == {None}
    assert not (folder / "model.safetensors").exists()


def _hours_later(checkpoint: Checkpoint) -> Checkpoint:
    checkpoint.state["progress"]["seconds"] = 7200.0
    checkpoint.state["progress"]["stage_began"] = 7199.0
    return checkpoint


def test_random_weights_are_noted(
    dataset: Path, tmp_path: Path, with_clusters: Configured, baseline: Path
) -> None:
    for init_from, expected in ((None, 1), (baseline, 0)):
        stopper = Stopper()
        run = tmp_path / f"run{expected}"
        train(with_clusters("hierarchical"), dataset, run, init_from=init_from, report=stopper)
        texts = [event.text for event in stopper.events if isinstance(event, Note)]
        assert sum("starts from random weights" in text for text in texts) == expected


WRONG: dict[str, tuple[Hierarchy, type[Exception], str]] = {
    "dataset": (replace(CLUSTERS, dataset="sift_flow"), ConfigError, "is for the dataset sift_flow"),
    "classes": (
        replace(CLUSTERS, classes=("dark", "bright", "blue")),
        DataError,
        "other classes: it was built from tiny",
    ),
    "groups": (replace(SCENES, images={"i0": 0, "i1": 1, "i2": 0}), DataError, "cluster for i3, i4"),
    "undivided": (
        replace(CLUSTERS, common=(), subclasses=tuple(CLUSTERS.subclasses[k] for k in (0, 2, 4))),
        ConfigError,
        "divides no class",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_hierarchy_that_does_not_fit(
    dataset: Path, tmp_path: Path, configure: Configure, name: str
) -> None:
    hierarchy, kind, text = WRONG[name]
    sets = (*write(tmp_path, hierarchy), "hierarchy.strategy=sequential")
    with pytest.raises(kind, match=text):
        train(configure(*sets), dataset, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_dataset_of_one_class(dataset: Path, tmp_path: Path, with_clusters: Configured) -> None:
    text = (dataset / "dataset.toml").read_text()
    (dataset / "dataset.toml").write_text(text.partition('[[classes]]\nname = "bright"')[0])
    with pytest.raises(ConfigError, match="one class dark"):
        train(with_clusters("sequential"), dataset, tmp_path / "run")


@pytest.mark.parametrize("content", [None, "{}", '{"format": "lstm2d hierarchy", "version": 1}'])
def test_a_file_that_cannot_be_read(
    dataset: Path, tmp_path: Path, configure: Configure, content: str | None
) -> None:
    path = tmp_path / "wrong.json"
    if content is not None:
        path.write_text(content)
    sets = (f"hierarchy.file={path}", "hierarchy.strategy=hierarchical")
    with pytest.raises(DataError, match=r"wrong\.json"):
        train(configure(*sets), dataset, tmp_path / "run")


def test_a_file_that_has_changed(dataset: Path, tmp_path: Path, with_clusters: Configured) -> None:
    """Contents count, not the name; and the strategy of a run stays."""
    config, run = with_clusters("hierarchical"), tmp_path / "run"
    with pytest.raises(InterruptedRun):
        train(config, dataset, run, report=Stopper(3))
    (tmp_path / "hierarchy.json").rename(tmp_path / "moved.json")
    moved = f"hierarchy.file={tmp_path / 'moved.json'}"
    with pytest.raises(ConfigError, match=r"cannot change hierarchy\.strategy"):
        RunFolder(run).reopen(
            "", [("hierarchy.strategy=sequential", "test"), ("hierarchy.epochs=[]", "test")]
        )
    found = RunFolder(run).reopen("", [(moved, "test")])
    other = replace(CLUSTERS, window=7)
    save_hierarchy(tmp_path / "moved.json", other)
    with pytest.raises(ConfigError, match="has changed since the run began"):
        train(found, dataset, run, resume=True, changes=["hierarchy.file"])
    save_hierarchy(tmp_path / "moved.json", CLUSTERS)
    assert train(found, dataset, run, resume=True, changes=["hierarchy.file"]).steps == 10


def test_train_on_filled(dataset: Path, tmp_path: Path, configure: Configure, baseline: Path) -> None:
    """Images under 90 % labelled are filled with the labels of the model that the hierarchy names."""
    sparse = np.full((9, 12), 255, np.uint8)
    sparse[:2] = 0
    Image.fromarray(sparse).save(dataset / "masks" / "i0.png")
    sets = write(tmp_path, replace(CLUSTERS, settings={"fill_with": str(baseline)}))
    sets = (*sets, "hierarchy.strategy=hierarchical", lengths("hierarchical"), "train.flip=false")
    config = configure(*sets, "hierarchy.train_on_filled=true")
    image = np.asarray(Image.open(dataset / "images" / "i0.png"))
    expected = np.where(sparse == 255, load(baseline).predict(image), sparse)
    hierarchy = load_hierarchy(tmp_path / "hierarchy.json")
    folder = DatasetFolder(dataset)
    data = TrainingData(config, folder, 3, fill=filling(config, hierarchy, folder, "cpu"))
    by_stem = {sample.stem: data.dataset.load(sample)[1] for sample in data.training}
    assert set(by_stem) == {f"i{k}" for k in range(5)}
    np.testing.assert_array_equal(by_stem["i0"], expected)
    assert all(labels[0, 0] == 255 for stem, labels in by_stem.items() if stem != "i0")
    for name, chosen in (("filled", config), ("plain", configure(*sets))):
        train(chosen, dataset, tmp_path / name, init_from=baseline)
    assert model_digest(tmp_path / "filled") != model_digest(tmp_path / "plain")

    with pytest.raises(InterruptedRun):
        train(config, dataset, tmp_path / "cut", init_from=baseline, report=Stopper(3))
    train(RunFolder(tmp_path / "cut").reopen(""), dataset, tmp_path / "cut", resume=True)
    assert digest(tmp_path / "cut") == digest(tmp_path / "filled")

    sets = (*write(tmp_path, CLUSTERS), "hierarchy.strategy=hierarchical")
    with pytest.raises(ConfigError, match="built without filling"):
        train(configure(*sets, "hierarchy.train_on_filled=true"), dataset, tmp_path / "other")
