"""Runs of several stages: what each stage trains, and the same bits wherever a run is killed."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from lstm2d.config import RunConfig
from lstm2d.errors import DataError, InterruptedRun
from lstm2d.io.model_file import load_model
from lstm2d.models import build
from lstm2d.predict import load
from lstm2d.random import Purpose, generator
from lstm2d.training.checkpoint import Checkpoint
from lstm2d.training.events import EndMeasured, EpochDone, StageBegun, Started, StepDone
from lstm2d.training.loop import train
from lstm2d.training.runfolder import RunFolder
from lstm2d.training.stages import STAGES, Stage, stages_of
from tests.training.runs import Camera, Configure, Stopper, digest, model_digest, newest, rewrite, rows
from tests.training.toys import fine_to_coarse, twice

Stages = Callable[[RunConfig], Sequence[Stage]]
SETS = ("train.epochs=2", "train.seed=3", "train.groups.lstm.0.rate=0.5")


@pytest.fixture
def staged(monkeypatch: pytest.MonkeyPatch) -> Callable[[Stages], None]:
    """Return a function that sets the stages of the toy network."""
    return lambda stages: monkeypatch.setitem(STAGES, "lstm2d", stages)


def test_a_run_without_a_row_is_one_stage(configure: Configure) -> None:
    (stage,) = stages_of(configure())
    assert (stage.name, stage.train, stage.saves_model) == ("", configure().train, True)


def test_each_stage_has_its_own_head_parameters_length_and_schedule(
    dataset: Path, tmp_path: Path, configure: Configure, staged: Callable[[Stages], None]
) -> None:
    staged(fine_to_coarse)
    config, camera = configure(*SETS), Camera(tmp_path / "run")
    result = train(config, dataset, tmp_path / "run", report=camera)
    # 15 patches in batches of 4: 7 steps end in the second epoch; then two epochs of 5 images
    assert (result.steps, result.epochs, result.reason) == (17, 4, "epochs")
    before = {
        n: p.data for n, p in build(config.model, 3, generator(3, 0, 0, Purpose.INIT)).named_parameters()
    }
    after = newest(camera.at(StageBegun)).tensors
    first = newest(camera.at(EndMeasured)).tensors
    assert first["weight.feedforward.1.weight"].shape[-1] == 6
    assert sorted(name for name in first if name.startswith("square.")) == [
        "square.feedforward.1.bias",
        "square.feedforward.1.weight",
    ]
    assert after["weight.feedforward.1.weight"].shape[-1] == 3
    for name, array in before.items():
        if not name.startswith("feedforward.1."):  # only the head is trained in the first stage
            assert first[f"untrained.{name}"].tobytes() == array.tobytes()
            assert after[f"weight.{name}"].tobytes() == array.tobytes()
    assert not any(array.any() for name, array in after.items() if name.startswith("velocity."))
    last = newest(tmp_path / "run").tensors
    assert all(last[f"weight.{name}"].tobytes() != array.tobytes() for name, array in before.items())
    rates = [event.learning_rate for event in camera.events if isinstance(event, EpochDone)]
    assert rates == pytest.approx([0.5 * (1 + np.cos(np.pi * 4 / 7)), 0, 0.005, 0], abs=1e-12)


def test_events_and_records_go_on_over_the_stages(
    dataset: Path, tmp_path: Path, configure: Configure, staged: Callable[[Stages], None]
) -> None:
    staged(fine_to_coarse)
    run, stopper = tmp_path / "run", Stopper()
    result = train(configure(*SETS), dataset, run, report=stopper)
    begun = stopper.events[0]
    assert isinstance(begun, Started)
    assert (begun.steps, begun.epochs, begun.batch) == (7, 2, 4)
    assert (begun.stage, begun.stages, begun.name) == (0, 2, "subclasses")
    assert begun.parameters == 3 * 6 + 6
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["start", "epoch", "end", "stage", "epoch", "epoch", "stop"]
    stage = lines[3]
    assert (stage["stage"], stage["name"], stage["step"], stage["epoch"]) == (1, "classes", 7, 2)
    assert (stage["steps"], stage["epochs"], stage["batch"]) == (17, 4, 1)
    table = [(row["epoch"], row["step"]) for row in rows(run)]
    assert table == [("1", "4"), ("2", "7"), ("3", "12"), ("4", "17")]
    assert all(row["pixel_accuracy"] for row in rows(run))
    steps = [event for event in stopper.events if isinstance(event, StepDone)]
    assert [event.epoch for event in steps] == [1] * 4 + [2] * 3 + [3] * 5 + [4] * 5
    assert all(event.loss is not None and np.isfinite(event.loss) for event in steps)
    second = [line for line in lines if line["event"] == "epoch"][1:]
    assert result.best["pixel_accuracy"] == max(line["pixel_accuracy"] for line in second)


def test_the_model_is_that_of_the_last_stage(
    dataset: Path, tmp_path: Path, configure: Configure, staged: Callable[[Stages], None]
) -> None:
    """A stage that does not save leaves no file; one that saves ignores the metrics of earlier stages."""
    staged(fine_to_coarse)
    camera = Camera(tmp_path / "fine")
    result = train(configure(*SETS), dataset, tmp_path / "fine", report=camera)
    assert not (camera.at(StageBegun) / "model.safetensors").exists()
    assert load_model(result.model).metrics["step"] in (12, 17)
    image = np.zeros((9, 12, 3), np.uint8)
    assert load(result.model).predict_proba(image).shape == (9, 12, 3)

    staged(twice)
    frozen = ("train.learning_rate=1e-12", "train.epochs=2", "train.average=0")  # no validation is better
    result = train(configure(*frozen), dataset, tmp_path / "twice", report=Stopper())
    assert load_model(result.model).metrics["step"] == 15  # the first validation of the second stage


def test_patience_ends_a_stage_and_begins_anew(
    dataset: Path, tmp_path: Path, configure: Configure, staged: Callable[[Stages], None]
) -> None:
    staged(twice)
    sets = ("train.epochs=9", "train.patience=1", "train.learning_rate=1e-12", "train.schedule=constant")
    result = train(configure(*sets), dataset, tmp_path / "run")
    assert (result.epochs, result.reason) == (4, "patience")  # in each stage one best, one that is not better


@pytest.mark.parametrize("stages", [fine_to_coarse, twice])
@pytest.mark.parametrize("step", [1, 4, 6, 7, 8, 10, 12, 16])
def test_interrupted_in_each_stage(
    dataset: Path,
    tmp_path: Path,
    configure: Configure,
    staged: Callable[[Stages], None],
    stages: Stages,
    step: int,
) -> None:
    staged(stages)
    straight, cut = tmp_path / "straight", tmp_path / "cut"
    train(configure(*SETS), dataset, straight)
    with pytest.raises(InterruptedRun, match=f"stopped after step {step} of"):
        train(configure(*SETS), dataset, cut, report=Stopper(step))
    train(RunFolder(cut).reopen(""), dataset, cut, resume=True)
    assert digest(cut) == digest(straight)
    assert model_digest(cut) == model_digest(straight)
    assert rows(cut) == rows(straight)


@pytest.mark.slow
@pytest.mark.parametrize("stages", [fine_to_coarse, twice])
@pytest.mark.parametrize("lost", [False, True])
def test_killed_at_any_event(
    dataset: Path,
    tmp_path: Path,
    configure: Configure,
    staged: Callable[[Stages], None],
    stages: Stages,
    lost: bool,
) -> None:
    """Whatever the folder held then; also without the model file, which checkpoints hold too."""
    staged(stages)
    camera = Camera(tmp_path / "run")
    train(configure(*SETS, "train.checkpoint_minutes=1e-6"), dataset, tmp_path / "run", report=camera)
    expected = digest(tmp_path / "run"), model_digest(tmp_path / "run"), rows(tmp_path / "run")
    for copy in camera.copies:
        if lost:
            (copy / "model.safetensors").unlink(missing_ok=True)
        train(RunFolder(copy).reopen(""), dataset, copy, resume=True)
        assert (digest(copy), model_digest(copy), rows(copy)) == expected, copy.name


def test_the_model_of_the_stage_before_is_kept_until_the_first_validation(
    dataset: Path, tmp_path: Path, configure: Configure, staged: Callable[[Stages], None]
) -> None:
    """Its running mean restarts with the stage; the checkpoint holds both."""
    staged(twice)
    camera = Camera(tmp_path / "run")
    train(configure("train.epochs=1"), dataset, tmp_path / "run", report=camera)
    copy = camera.at(StageBegun)
    before = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").unlink()
    with pytest.raises(InterruptedRun):
        train(RunFolder(copy).reopen(""), dataset, copy, resume=True, report=Stopper(6))
    assert (copy / "model.safetensors").read_bytes() == before


def test_a_checkpoint_without_stages_is_in_the_first_one(
    dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    straight, cut = tmp_path / "straight", tmp_path / "cut"
    train(configure(), dataset, straight)
    with pytest.raises(InterruptedRun):
        train(configure(), dataset, cut, report=Stopper(7))

    def without(checkpoint: Checkpoint) -> Checkpoint:
        for name in ("stage", "stage_step", "stage_epoch"):
            del checkpoint.state["progress"][name]
        return checkpoint

    rewrite(cut, without)
    train(RunFolder(cut).reopen(""), dataset, cut, resume=True)
    assert digest(cut) == digest(straight)
    assert model_digest(cut) == model_digest(straight)


def test_a_checkpoint_of_a_stage_that_the_run_lacks(
    dataset: Path, tmp_path: Path, configure: Configure, staged: Callable[[Stages], None]
) -> None:
    staged(twice)
    train(configure(*SETS), dataset, tmp_path / "run")
    staged(lambda config: twice(config)[:1])
    with pytest.raises(DataError, match="the checkpoint is of stage 2") as caught:
        train(RunFolder(tmp_path / "run").reopen(""), dataset, tmp_path / "run", resume=True)
    assert "1 to 1" in str(caught.value)
