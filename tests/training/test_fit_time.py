"""Runs with a time limit: the number of steps is set once, and nothing else changes."""

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from lstm2d.config import RunConfig, apply_overrides, from_dict, load_toml
from lstm2d.data.folder import DatasetFolder
from lstm2d.errors import DivergedError, InterruptedRun
from lstm2d.training import fit_time, loop
from lstm2d.training.assemble import prepare
from lstm2d.training.cache_features import fill
from lstm2d.training.checkpoint import Checkpoint
from lstm2d.training.costs import StageCost
from lstm2d.training.events import EpochDone, Note, StageBegun, Started, StepDone, silent
from lstm2d.training.fit_time import Trial
from lstm2d.training.listeners import time_limit
from lstm2d.training.listeners.validation import Validation
from lstm2d.training.loop import train
from lstm2d.training.run import Run
from lstm2d.training.runfolder import RunFolder
from lstm2d.training.signals import StopSignal
from lstm2d.training.stages import STAGES, Stage
from tests.training.hierarchies import CLUSTERS, RCNN, RENET, other_network, write
from tests.training.runs import Configure, Stopper, digest, model_digest, rewrite, rows
from tests.training.toys import fine_to_coarse, twice

Fits = Callable[[int], None]


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> Fits:
    """Return a function that sets the number of steps that fit; the measurement stays as it is."""

    def answer(steps: int) -> None:
        monkeypatch.setattr(fit_time, "steps_that_fit", lambda costs, seconds: steps)

    return answer


def notes(events: Sequence[object]) -> list[str]:
    return [event.text for event in events if isinstance(event, Note) and "max_time" in event.text]


def test_a_run_that_fits_is_as_one_without_a_limit(
    dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    straight, timed, stopper = tmp_path / "straight", tmp_path / "timed", Stopper()
    train(configure(), dataset, straight)
    result = train(configure("train.max_time=9h"), dataset, timed, report=stopper)
    assert (result.reason, result.steps) == ("epochs", 15)
    assert digest(timed) == digest(straight)
    assert model_digest(timed) == model_digest(straight)
    assert rows(timed) == rows(straight)
    assert load_toml(timed / "config.toml").train.steps == 0
    (text,) = notes(stopper.events)
    assert text.startswith("all 15 steps fit into `max_time`, in about ")


def test_fewer_steps_are_those_of_train_steps(
    dataset: Path, tmp_path: Path, configure: Configure, fits: Fits
) -> None:
    """The steps of the measurement leave no trace, and the rate falls to 0 at the last step."""
    straight, timed, stopper = tmp_path / "straight", tmp_path / "timed", Stopper()
    train(configure("train.steps=12"), dataset, straight)
    fits(12)
    result = train(configure("train.max_time=9h"), dataset, timed, report=stopper)
    assert (result.reason, result.steps) == ("steps", 12)
    assert digest(timed) == digest(straight)
    assert model_digest(timed) == model_digest(straight)
    assert rows(timed) == rows(straight)
    assert load_toml(timed / "config.toml").train.steps == 12
    (begun,) = [event for event in stopper.events if isinstance(event, Started)]
    assert (begun.steps, begun.epochs) == (12, 3)
    assert [event.step for event in stopper.events if isinstance(event, StepDone)] == list(range(1, 13))
    rates = [event.learning_rate for event in stopper.events if isinstance(event, EpochDone)]
    assert rates == pytest.approx([0.005 * (1 + np.cos(np.pi * n / 12)) for n in (5, 10, 12)])
    assert notes(stopper.events) == [
        "12 of 15 steps fit into `max_time`; the learning rate falls to 0 at the last one"
    ]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (("train.schedule=constant",), "does not fall, train.schedule=cosine lets it fall to 0"),
        (("train.schedule=linear",), "falls to 0 at the last one"),
        (("train.schedule=step", "train.step_every=9"), "falls as train.schedule says"),
        (("train.schedule=step", "train.step_every=13"), "does not fall"),
        (("train.schedule=step", "train.step_at=[0.5]"), "falls as train.schedule says"),
    ],
)
def test_what_becomes_of_the_rate(
    dataset: Path,
    tmp_path: Path,
    configure: Configure,
    fits: Fits,
    schedule: tuple[str, ...],
    expected: str,
) -> None:
    fits(12)
    stopper = Stopper()
    train(configure("train.max_time=9h", *schedule), dataset, tmp_path / "run", report=stopper)
    (text,) = notes(stopper.events)
    assert expected in text


@pytest.mark.parametrize("step", [1, 5, 7])
def test_the_number_rules_a_resumed_run(
    dataset: Path, tmp_path: Path, configure: Configure, fits: Fits, step: int
) -> None:
    straight, cut = tmp_path / "straight", tmp_path / "cut"
    train(configure("train.steps=8"), dataset, straight)
    fits(8)
    with pytest.raises(InterruptedRun, match=f"stopped after step {step} of 8"):
        train(configure("train.max_time=9h"), dataset, cut, report=Stopper(step))
    fits(3)  # not asked any more
    for limit in ([], [("train.max_time=8h", "test")]):
        result = train(RunFolder(cut).reopen("", limit), dataset, cut, resume=True)
        assert (result.reason, result.steps) == ("steps", 8)
    assert digest(cut) == digest(straight)
    assert model_digest(cut) == model_digest(straight)
    assert load_toml(cut / "config.toml").train.steps == 8


def stages_of_kind(kind: str, configure: Configure, tmp_path: Path) -> RunConfig:
    """Return a configuration of a run of several stages, or of another network."""
    if kind == "rcnn":
        model = {**RCNN, "instances": 3, "random_instances": False}
        return other_network(configure, model)("train.epochs=2")
    if kind == "h":
        sets = (*write(tmp_path, CLUSTERS), "hierarchy.strategy=sequential", "hierarchy.epochs=[0, 2, 1, 2]")
        return configure(*sets)
    return other_network(configure, RENET)() if kind == "n-renet" else configure("train.epochs=2")


@pytest.mark.slow
@pytest.mark.parametrize("steps", [4, 8, 99])
@pytest.mark.parametrize("kind", ["fine", "twice", "rcnn", "h", "n-renet"])
def test_every_stage_is_measured_and_none_is_changed(
    dataset: Path,
    tmp_path: Path,
    configure: Configure,
    fits: Fits,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    steps: int,
) -> None:
    toys: dict[str, Callable[[RunConfig], Sequence[Stage]]] = {"fine": fine_to_coarse, "twice": twice}
    if kind in toys:
        monkeypatch.setitem(STAGES, "lstm2d", toys[kind])
    config = stages_of_kind(kind, configure, tmp_path)
    straight, timed, stopper = tmp_path / "straight", tmp_path / "timed", Stopper()
    measured: list[StageCost] = []

    def answer(costs: Sequence[StageCost], seconds: float) -> int:
        measured.extend(costs)
        return min(steps, max(cost.steps for cost in costs))

    monkeypatch.setattr(fit_time, "steps_that_fit", answer)
    train(apply_overrides(config, [f"train.steps={steps}"]), dataset, straight)
    timed_config = apply_overrides(config, ["train.max_time=9h"])
    train(timed_config, dataset, timed, report=stopper)
    assert digest(timed) == digest(straight)
    assert model_digest(timed) == model_digest(straight)
    assert rows(timed) == rows(straight)
    assert len(measured) == 1 + sum(isinstance(event, StageBegun) for event in stopper.events)
    assert all((cost.step > 0) == (cost.steps > 0) for cost in measured)


class Clock:
    """A clock that only training steps and validations move; modules use it instead of `time`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, step: float, image: float) -> None:
        self.now, self.step, self.image = 100.0, step, image
        gradient, predicted = loop.batch_gradient, Validation.predicted

        def slow_gradient(*args: object) -> tuple[float, float]:
            self.now += self.step
            return gradient(*args)  # type: ignore[arg-type]

        def slow_predicted(listener: Validation, *args: object) -> object:
            self.now += self.image
            return predicted(listener, *args)  # type: ignore[arg-type]

        for module in (loop, fit_time):
            monkeypatch.setattr(module, "batch_gradient", slow_gradient)
        monkeypatch.setattr(Validation, "predicted", slow_predicted)
        for module in (loop, fit_time, time_limit):
            monkeypatch.setattr(module, "time", self)

    def monotonic(self) -> float:
        return self.now


def test_the_time_is_used_and_kept(
    dataset: Path, tmp_path: Path, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four steps of 1 s and two validation images of 0.5 s are measured; 0.95 * 55 s are left.

    43 steps, and 9 validations of 1 s after every five of them and at the end, take 52 s; 44 would take 53 s.
    """
    Clock(monkeypatch, step=1.0, image=0.5)
    run = tmp_path / "run"
    result = train(configure("train.epochs=100", "train.max_time=60s"), dataset, run)
    assert (result.steps, result.reason, result.seconds) == (43, "steps", 5 + 43 + 9)


def test_a_slower_machine_ends_at_the_limit_and_goes_on(
    dataset: Path, tmp_path: Path, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight, run = tmp_path / "straight", tmp_path / "run"
    train(configure("train.epochs=100", "train.steps=43"), dataset, straight)
    clock = Clock(monkeypatch, step=1.0, image=0.5)

    class Slower(Stopper):
        def __call__(self, event: object) -> None:
            if isinstance(event, Started):
                clock.step = 3.0

    result = train(configure("train.epochs=100", "train.max_time=60s"), dataset, run, report=Slower())
    assert result.reason == "time"
    assert 60 <= result.seconds <= 60 + 3 + 1  # a step and a validation
    longer = RunFolder(run).reopen("", [("train.max_time=10m", "test")])
    result = train(longer, dataset, run, resume=True)
    assert (result.reason, result.steps) == ("steps", 43)
    assert digest(run) == digest(straight)
    assert model_digest(run) == model_digest(straight)


def test_the_slowest_steps_are_measured_once(
    dataset: Path, tmp_path: Path, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One step of 20 s is more than a tenth of two minutes: the others are not measured."""
    clock = Clock(monkeypatch, step=20.0, image=0.0)
    run = ready(configure("train.epochs=100"), dataset, tmp_path / "run")
    text = fit_time.fit_to_time(run, 120.0, 0.0, StopSignal())
    assert clock.now == 120.0
    assert text.startswith("4 of 500 steps fit")  # 0.95 * 100 s
    assert run.config.train.steps == run.active.steps == 4


def ready(config: RunConfig, dataset: Path, folder: Path) -> Run:
    return prepare(config, DatasetFolder(dataset), RunFolder(folder))


def test_interrupted_while_it_measures(
    dataset: Path, tmp_path: Path, configure: Configure, fits: Fits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The resumed run measures."""
    straight, cut = tmp_path / "straight", tmp_path / "cut"
    train(configure("train.steps=7"), dataset, straight)
    fits(7)
    measure = Trial.cost

    def interrupted(trial: Trial, seconds: float) -> StageCost | None:
        os.kill(os.getpid(), signal.SIGINT)
        return measure(trial, seconds)

    with monkeypatch.context() as patch:
        patch.setattr(Trial, "cost", interrupted)
        with pytest.raises(InterruptedRun, match="stopped after step 0"):
            train(configure("train.max_time=9h"), dataset, cut)
    assert load_toml(cut / "config.toml").train.steps == 0
    train(RunFolder(cut).reopen(""), dataset, cut, resume=True)
    assert load_toml(cut / "config.toml").train.steps == 7
    assert digest(cut) == digest(straight)


def test_a_run_of_an_earlier_version_is_not_fitted(
    dataset: Path, tmp_path: Path, configure: Configure, fits: Fits
) -> None:
    straight, old = tmp_path / "straight", tmp_path / "old"
    train(configure(), dataset, straight)
    train(configure("train.max_time=0.000001s"), dataset, old)

    def without(checkpoint: Checkpoint) -> Checkpoint:
        assert checkpoint.state["progress"].pop("unfitted")
        return checkpoint

    rewrite(old, without)
    fits(2)
    result = train(RunFolder(old).reopen("", [("train.max_time=9h", "test")]), dataset, old, resume=True)
    assert (result.reason, result.steps) == ("epochs", 15)
    assert digest(old) == digest(straight)


def test_a_limit_that_is_given_later_only_stops(
    dataset: Path, tmp_path: Path, configure: Configure, fits: Fits
) -> None:
    run = tmp_path / "run"
    with pytest.raises(InterruptedRun):
        train(configure(), dataset, run, report=Stopper(2))
    fits(3)
    result = train(RunFolder(run).reopen("", [("train.max_time=9h", "test")]), dataset, run, resume=True)
    assert (result.reason, result.steps) == ("epochs", 15)


def test_a_loss_that_is_not_finite_is_reported_by_the_run(
    dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    sets = ("train.max_time=9h", "train.learning_rate=1e38", "train.clip_norm=0")
    with pytest.raises(DivergedError):
        train(configure(*sets), dataset, tmp_path / "run")


SECTION = {
    "kind": "reseg",
    "features": "conv1_1",
    "weights": "",
    "units": [2],
    "patches": [1],
    "unit": "gru",
    "upsampling": "bilinear",
}


def test_features_that_are_not_cached_count(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of five images in one orientation each and two for validation; once all are cached, none count."""
    monkeypatch.setenv("LSTM2D_CACHE", str(tmp_path / "cache"))
    table = {"model": SECTION, "train": {"epochs": 3, "learning_rate": 0.01, "flip": False}}
    config = from_dict(table, "test")
    run = ready(config, dataset, tmp_path / "run")
    cost = Trial(run, 0.0, StopSignal()).cost(1.0)
    assert cost is not None
    assert cost.feature > 0
    assert cost.absent_validation == 2
    assert 0 < cost.absent <= 5
    assert (cost.examples, cost.batch, cost.epoch_steps, cost.steps) == (5, 1, 5, 15)
    fill(run, silent, lambda: "")
    again = Trial(ready(config, dataset, tmp_path / "run"), 0.0, StopSignal()).cost(1.0)
    assert again is not None
    assert (again.absent, again.absent_validation, again.feature) == (0, 0, 0)


def test_patches_share_the_work_on_their_image(
    dataset: Path, tmp_path: Path, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step is measured twice; what the first one takes longer counts once per image and epoch."""
    monkeypatch.setitem(STAGES, "lstm2d", fine_to_coarse)  # 15 patches of 5 images
    trial = Trial(ready(configure(), dataset, tmp_path / "run"), 0.0, StopSignal())
    times = iter([7.0, 1.0] * 50)
    monkeypatch.setattr(Trial, "_step", lambda self, numbers: next(times))
    cost = trial.cost(1e-9)
    assert cost is not None
    assert cost.step == 1.0 + 6.0 * 5 / 15
