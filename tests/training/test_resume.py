"""Resumed runs have the same bits wherever they were stopped."""

import json
import os
import signal
from pathlib import Path

import pytest

from lstm2d.config import load_toml
from lstm2d.errors import ConfigError, DataError, InterruptedRun
from lstm2d.models import LSTM2DNetwork
from lstm2d.tensor import Tensor
from lstm2d.training.checkpoint import files
from lstm2d.training.loop import train
from lstm2d.training.runfolder import RunFolder
from tests.training.runs import STRAIGHT, Configure, Stopper, digest, model_digest, rows


@pytest.mark.parametrize(
    "others",
    [
        ("train.optimizer=adadelta", "train.learning_rate=0.5", "train.weight_decay=0.001"),
        ("train.schedule=step", "train.step_at=[0.4, 0.6]", "train.step_factor=3"),
    ],
)
def test_resumed_is_uninterrupted_for_other_optimizers_and_schedules(
    dataset: Path, tmp_path: Path, configure: Configure, others: tuple[str, ...]
) -> None:
    straight, cut, other = tmp_path / "straight", tmp_path / "cut", tmp_path / "other"
    train(configure(*STRAIGHT, *others), dataset, straight)
    with pytest.raises(InterruptedRun):
        train(configure(*STRAIGHT, *others), dataset, cut, report=Stopper(7))
    train(RunFolder(cut).reopen(""), dataset, cut, resume=True)
    assert digest(cut) == digest(straight)
    assert model_digest(cut) == model_digest(straight)
    assert rows(cut) == rows(straight)
    train(configure(*STRAIGHT), dataset, other)
    assert model_digest(other) != model_digest(straight)


@pytest.mark.parametrize("step", [1, 3, 5, 6, 9, 14, 15])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_resumed_is_uninterrupted_bit_for_bit(
    dataset: Path, tmp_path: Path, configure: Configure, step: int, number: int
) -> None:
    straight, cut = tmp_path / "straight", tmp_path / "cut"
    train(configure(*STRAIGHT), dataset, straight)
    if step < 15:
        with pytest.raises(InterruptedRun, match=f"stopped after step {step} of 15"):
            train(configure(*STRAIGHT), dataset, cut, report=Stopper(step, number=number))
        assert signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL)
    else:
        train(configure(*STRAIGHT), dataset, cut)
    config = RunFolder(cut).reopen("")
    result = train(config, dataset, cut, resume=True)
    assert digest(cut) == digest(straight)
    assert model_digest(cut) == model_digest(straight)
    assert rows(cut) == rows(straight)
    assert result.steps == 15


def test_stopped_in_a_validation(
    dataset: Path, tmp_path: Path, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resumed run first repeats the validation that was interrupted."""
    straight, cut = tmp_path / "straight", tmp_path / "cut"
    train(configure(), dataset, straight)
    probabilities = LSTM2DNetwork.probabilities_from
    calls = 0

    def interrupted(self: LSTM2DNetwork, x: Tensor) -> object:
        nonlocal calls
        calls += 1
        if calls == 3:  # the first of two images of the second validation
            os.kill(os.getpid(), signal.SIGINT)
        return probabilities(self, x)

    with monkeypatch.context() as patch:
        patch.setattr(LSTM2DNetwork, "probabilities_from", interrupted)
        with pytest.raises(InterruptedRun, match="stopped after step 10"):
            train(configure(), dataset, cut)
    assert len(rows(cut)) == 1
    train(RunFolder(cut).reopen(""), dataset, cut, resume=True)
    assert digest(cut) == digest(straight)
    assert rows(cut) == rows(straight)


def test_the_row_of_an_epoch_that_is_not_complete_goes_when_the_run_goes_on(
    dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    straight, cut = tmp_path / "straight", tmp_path / "cut"
    constant = "train.schedule=constant"
    train(configure(constant), dataset, straight)
    train(configure(constant, "train.steps=7"), dataset, cut)
    assert [(row["epoch"], row["step"]) for row in rows(cut)] == [("1", "5"), ("2", "7")]
    train(RunFolder(cut).reopen(""), dataset, cut, resume=True)
    assert [(row["epoch"], row["step"]) for row in rows(cut)] == [("1", "5"), ("2", "7")]
    train(RunFolder(cut).reopen("", [("train.steps=0", "--set")]), dataset, cut, resume=True)
    assert rows(cut) == rows(straight)


def test_stopped_in_the_last_validation(
    dataset: Path, tmp_path: Path, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run has not ended before its last weights are validated."""
    probabilities = LSTM2DNetwork.probabilities_from

    def interrupted(self: LSTM2DNetwork, z: Tensor) -> object:
        os.kill(os.getpid(), signal.SIGINT)
        return probabilities(self, z)

    config, run = configure("train.steps=3"), tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(LSTM2DNetwork, "probabilities_from", interrupted)
        with pytest.raises(InterruptedRun, match="stopped after step 3 of 3"):
            train(config, dataset, run)
    assert not (run / "model.safetensors").exists()
    result = train(RunFolder(run).reopen(""), dataset, run, resume=True)
    assert result.best["mean_iou"] is not None
    assert len(rows(run)) == 1


def test_second_ctrl_c_ends_at_once(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(configure(), dataset, tmp_path / "run", report=Stopper(2, times=2))
    assert [path.name for path in files(tmp_path / "run" / "checkpoints")] == ["step-00000000.safetensors"]


def test_a_closed_terminal_sends_sighup_twice(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    with pytest.raises(InterruptedRun, match="stopped after step 2 of 15"):
        train(configure(), dataset, tmp_path / "run", report=Stopper(2, number=signal.SIGHUP, times=2))


def test_a_signal_that_is_ignored_stays_ignored(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        result = train(configure(), dataset, tmp_path / "run", report=Stopper(2, number=signal.SIGHUP))
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert result.steps == 15


def test_damaged_checkpoint_is_named_and_the_older_one_used(
    dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    straight, cut = tmp_path / "straight", tmp_path / "cut"
    train(configure(), dataset, straight)
    with pytest.raises(InterruptedRun):
        train(configure(), dataset, cut, report=Stopper(8))
    newest = cut / "checkpoints" / "step-00000008.safetensors"
    newest.write_bytes(newest.read_bytes()[:-7])
    stopper = Stopper()
    train(RunFolder(cut).reopen(""), dataset, cut, resume=True, report=stopper)
    warnings = [event.values["text"] for event in stopper.events if event.kind == "warning"]
    assert len(warnings) == 1
    assert str(newest) in warnings[0]
    assert digest(cut) == digest(straight)
    assert rows(cut) == rows(straight)


def test_records_after_the_checkpoint_are_dropped(
    dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    straight, cut = tmp_path / "straight", tmp_path / "cut"
    train(configure(), dataset, straight)
    train(configure(), dataset, cut)
    (cut / "checkpoints" / "step-00000015.safetensors").unlink()
    with (cut / "log.jsonl").open("a") as file:
        file.write('{"event": "ep')  # cut by a crash
    train(RunFolder(cut).reopen(""), dataset, cut, resume=True)
    assert rows(cut) == rows(straight)
    steps = [json.loads(line)["step"] for line in (cut / "log.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)


def test_a_finished_run_resumed_does_nothing_more(
    dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    run = tmp_path / "run"
    first = train(configure(), dataset, run)
    before = digest(run), model_digest(run)
    second = train(RunFolder(run).reopen(""), dataset, run, resume=True)
    assert (digest(run), model_digest(run)) == before
    assert (second.steps, second.best, second.reason) == (first.steps, first.best, "epochs")


def test_more_epochs_can_be_asked_for(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    run = tmp_path / "run"
    train(configure("train.schedule=constant"), dataset, run)
    result = train(RunFolder(run).reopen("", [("train.epochs=4", "--epochs")]), dataset, run, resume=True)
    assert result.steps == 20
    assert load_toml(run / "config.toml").train.epochs == 4
    train(configure("train.schedule=constant", "train.epochs=4"), dataset, tmp_path / "straight")
    assert digest(run) == digest(tmp_path / "straight")


def test_max_time_stops_after_the_current_step_and_going_on_loses_nothing(
    dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    straight, cut = tmp_path / "straight", tmp_path / "cut"
    train(configure(), dataset, straight)
    result = train(configure("train.max_time=0.000001s"), dataset, cut)
    assert result.reason == "time"
    assert result.steps == 0
    assert result.model.is_file()
    config = RunFolder(cut).reopen("", [('train.max_time="1h"', "--max-time")])
    assert train(config, dataset, cut, resume=True).reason == "epochs"
    assert digest(cut) == digest(straight)
    assert model_digest(cut) == model_digest(straight)


@pytest.mark.parametrize(
    "override",
    ["model.window=2", "train.seed=9", "train.batch=2", "train.average=0.5", "data.val=0.2", "preset=other"],
)
def test_what_cannot_change_in_a_run(
    dataset: Path, tmp_path: Path, configure: Configure, override: str
) -> None:
    train(configure("train.steps=1"), dataset, tmp_path / "run")
    with pytest.raises(ConfigError, match="cannot change " + override.partition("=")[0]):
        RunFolder(tmp_path / "run").reopen("", [(override, "--set")])


def test_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no run to resume"):
        RunFolder(tmp_path / "none").reopen("lstm2d-5x5")


def test_resume_with_another_preset(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    train(configure("train.steps=1"), dataset, tmp_path / "run")
    with pytest.raises(ConfigError, match="not from lstm2d-5x5"):
        RunFolder(tmp_path / "run").reopen("lstm2d-5x5")


def test_killed_before_it_began(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    run = tmp_path / "run"
    train(configure(), dataset, tmp_path / "straight")
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / "step-00000000.safetensors").write_text("written before config.toml")
    (run / "run.json").write_text("so was this")
    train(configure(), dataset, run)
    assert digest(run) == digest(tmp_path / "straight")


def test_without_a_checkpoint_nothing_is_resumed(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    run = tmp_path / "run"
    train(configure("train.steps=1"), dataset, run)
    for path in (run / "checkpoints").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="no checkpoint to resume from"):
        train(RunFolder(run).reopen(""), dataset, run, resume=True)
