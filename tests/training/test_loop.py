"""Training end to end on a tiny dataset: the same bits however it is cut, clean stops, nothing silent."""

import csv
import errno
import hashlib
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lstm2d.config import RunConfig, load_toml
from lstm2d.data.batches import epoch_order
from lstm2d.data.folder import DatasetFolder
from lstm2d.data.stats import statistics
from lstm2d.data.transforms import normalise, pad_to_multiple
from lstm2d.errors import ConfigError, DataError, DivergedError, InterruptedRun, OutputError
from lstm2d.io.model_file import load_model
from lstm2d.models import LSTM2DNetwork, build
from lstm2d.predict import load
from lstm2d.random import Purpose, generator
from lstm2d.tape import backward
from lstm2d.tensor import Tensor
from lstm2d.training.checkpoint import files, newest_file, unpack
from lstm2d.training.events import Event
from lstm2d.training.loop import train
from lstm2d.training.runfolder import RunFolder
from lstm2d.training.state import TrainResult

Configure = Callable[..., RunConfig]


class Stopper:
    """Reports events, and sends a signal to this process after a step."""

    def __init__(
        self, step: int = -1, times: int = 1, kind: str = "step", number: int = signal.SIGINT
    ) -> None:
        self.step, self.times, self.kind, self.number = step, times, kind, number
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if event.kind == self.kind and event.values["step"] == self.step:
            for _ in range(self.times):
                os.kill(os.getpid(), self.number)

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


def digest(run: Path) -> str:
    """Return the digest of the last checkpoint's numbers, without the time they took."""
    newest = newest_file(run / "checkpoints")
    assert newest is not None
    checkpoint = unpack(newest.read_bytes())
    checkpoint.state["progress"] |= {"seconds": 0, "busy": 0}
    parts = [
        f"{name}{a.dtype}{a.shape}".encode() + a.tobytes() for name, a in sorted(checkpoint.tensors.items())
    ]
    return hashlib.sha256(b"".join(parts) + json.dumps(checkpoint.state, sort_keys=True).encode()).hexdigest()


def model_digest(run: Path) -> str:
    """Return the digest of the saved model's numbers."""
    state = load_model(run / "model.safetensors").state
    return hashlib.sha256(b"".join(a.tobytes() for _, a in sorted(state.items()))).hexdigest()


def rows(run: Path) -> list[dict[str, str]]:
    """Return results.csv without the columns that are times."""
    with (run / "results.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k not in ("seconds", "images_per_second")} for row in found]


def test_three_steps_by_hand(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    """The loop does what systems.md says: order, normalisation, summed loss, clipping, momentum, schedule."""
    config = configure(
        "train.steps=3", "train.flip=false", "train.average=0", "train.schedule=linear", "train.seed=5"
    )
    train(config, dataset, tmp_path / "run")

    folder = DatasetFolder(dataset)
    samples = folder.split("train")
    measured = statistics(folder, samples)
    network = build(config.model, 3, generator(5, 0, 0, Purpose.INIT))
    velocity = {name: np.zeros_like(p.data) for name, p in network.named_parameters()}
    for step, number in enumerate(epoch_order(5, seed=5, epoch=0)[:3]):
        image, labels = folder.load(samples[number])
        x = pad_to_multiple(normalise(image, measured.mean, measured.std), 3)
        padded = np.full(x.shape[:2], 255, np.uint8)
        padded[: labels.shape[0], : labels.shape[1]] = labels
        for parameter in network.parameters():
            parameter.grad = None
        backward(network.loss(Tensor(x[None]), padded[None]))
        gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
        norm = np.sqrt(sum(float((g.astype(float) ** 2).sum()) for g in gradients.values()))
        rate = 0.01 * (1 - step / 3)
        for name, p in network.named_parameters():
            velocity[name] = 0.9 * velocity[name] - rate * gradients[name] * min(1.0, 20.0 / norm)
            p.data += velocity[name].astype(np.float32)
    newest = newest_file(tmp_path / "run" / "checkpoints")
    assert newest is not None
    tensors = unpack(newest.read_bytes()).tensors
    for name, p in network.named_parameters():
        np.testing.assert_allclose(tensors[f"weight.{name}"], p.data, rtol=2e-5, atol=2e-6)
        np.testing.assert_allclose(tensors[f"velocity.{name}"], velocity[name], rtol=2e-4, atol=2e-6)


def test_it_learns_and_the_saved_model_has_the_figures_it_claims(
    dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    stopper = Stopper()
    result = train(configure("train.epochs=25"), dataset, tmp_path / "run", report=stopper)
    assert result == TrainResult(
        tmp_path / "run",
        25,
        125,
        result.seconds,
        result.best,
        tmp_path / "run" / "model.safetensors",
        "epochs",
    )
    accuracy = result.best["pixel_accuracy"]
    assert accuracy is not None
    assert accuracy > 0.8
    predictor, folder = load(tmp_path / "run"), DatasetFolder(dataset)
    right = total = 0
    for sample in folder.split("val"):
        image, labels = folder.load(sample)
        right += int((predictor.predict(image) == labels)[labels != 255].sum())
        total += int((labels != 255).sum())
    assert right / total == accuracy
    assert load_model(result.model).metrics["validation"]["pixel_accuracy"] == accuracy
    best = [event.values["pixel_accuracy"] for event in stopper.events if event.kind == "epoch"]
    assert max(best) == accuracy


def test_what_a_run_folder_holds(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    config = configure()
    train(config, dataset, tmp_path / "run")
    run = tmp_path / "run"
    assert load_toml(run / "config.toml") == config
    assert [path.name for path in files(run / "checkpoints")] == [
        "step-00000015.safetensors",
        "step-00000010.safetensors",
    ]
    events = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events] == ["start", "epoch", "epoch", "epoch", "stop"]
    assert events[0]["images"] == 5
    assert events[0]["validation_images"] == 2
    table = rows(run)
    assert [row["epoch"] for row in table] == ["1", "2", "3"]
    assert [row["step"] for row in table] == ["5", "10", "15"]
    assert float(table[1]["loss"]) == events[2]["loss"]
    assert not [path for path in run.rglob("*") if path.name.endswith(".tmp")]


STRAIGHT = (
    "train.epochs=3",
    "train.scale_jitter=0.2",
    "train.brightness_jitter=0.2",
    "train.class_weights=median_frequency",
)


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
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
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
    """The validation that did not come to its end is the first thing a resumed run does."""
    straight, cut = tmp_path / "straight", tmp_path / "cut"
    train(configure(), dataset, straight)
    probabilities = LSTM2DNetwork.probabilities
    calls = 0

    def interrupted(self: LSTM2DNetwork, x: Tensor) -> object:
        nonlocal calls
        calls += 1
        if calls == 3:  # the first of two images of the second validation
            os.kill(os.getpid(), signal.SIGINT)
        return probabilities(self, x)

    with monkeypatch.context() as patch:
        patch.setattr(LSTM2DNetwork, "probabilities", interrupted)
        with pytest.raises(InterruptedRun, match="stopped after step 10"):
            train(configure(), dataset, cut)
    assert len(rows(cut)) == 1
    train(RunFolder(cut).reopen(""), dataset, cut, resume=True)
    assert digest(cut) == digest(straight)
    assert rows(cut) == rows(straight)


def test_second_ctrl_c_ends_at_once(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(configure(), dataset, tmp_path / "run", report=Stopper(2, times=2))
    assert [path.name for path in files(tmp_path / "run" / "checkpoints")] == ["step-00000000.safetensors"]


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


def test_records_behind_the_checkpoint_are_dropped(
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
    again = train(RunFolder(run).reopen(""), dataset, run, resume=True)
    assert (digest(run), model_digest(run)) == before
    assert (again.steps, again.best, again.reason) == (first.steps, first.best, "epochs")


def test_more_epochs_can_be_asked_for(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    run = tmp_path / "run"
    train(configure("train.schedule=constant"), dataset, run)
    result = train(RunFolder(run).reopen("", [("train.epochs=4", "--epochs")]), dataset, run, resume=True)
    assert result.steps == 20
    assert load_toml(run / "config.toml").train.epochs == 4
    train(configure("train.schedule=constant", "train.epochs=4"), dataset, tmp_path / "straight")
    assert digest(run) == digest(tmp_path / "straight")


def test_steps_end_a_run_within_an_epoch_and_its_last_weights_are_measured(
    dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    result = train(configure("train.steps=3"), dataset, tmp_path / "run")
    assert (result.steps, result.epochs, result.reason) == (3, 0, "steps")
    assert result.best["mean_iou"] is not None
    assert result.model.is_file()


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


def test_patience(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    config = configure(
        "train.epochs=50", "train.patience=2", "train.learning_rate=1e-12", "train.schedule=constant"
    )
    result = train(config, dataset, tmp_path / "run")
    assert (result.epochs, result.reason) == (3, "patience")  # the first is the best, two are not better


def test_validate_every(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    train(configure("train.epochs=5", "train.validate_every=2"), dataset, tmp_path / "run")
    assert [bool(row["mean_iou"]) for row in rows(tmp_path / "run")] == [False, True, False, True, True]


def test_without_validation_images_the_last_model_is_kept(
    dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    (dataset / "splits" / "val.txt").unlink()
    result = train(configure("data.val=0", "train.average=0"), dataset, tmp_path / "run")
    assert result.best == {"pixel_accuracy": None, "class_accuracy": None, "mean_iou": None}
    newest = newest_file(tmp_path / "run" / "checkpoints")
    assert newest is not None
    weights = unpack(newest.read_bytes()).tensors
    for name, array in load_model(result.model).state.items():
        np.testing.assert_array_equal(array, weights[f"weight.{name}"])


def test_the_running_mean_is_what_is_saved(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    (dataset / "splits" / "val.txt").unlink()
    result = train(configure("data.val=0"), dataset, tmp_path / "run")
    newest = newest_file(tmp_path / "run" / "checkpoints")
    assert newest is not None
    tensors = unpack(newest.read_bytes()).tensors
    for name, array in load_model(result.model).state.items():
        np.testing.assert_array_equal(array, tensors[f"average.{name}"])
        assert not np.array_equal(array, tensors[f"weight.{name}"])


def test_hold_out_where_there_is_no_val_split(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    (dataset / "splits" / "val.txt").unlink()
    stopper = Stopper()
    train(configure("data.val=0.4"), dataset, tmp_path / "run", report=stopper)
    assert stopper.events[0].values["images"] == 3
    assert stopper.events[0].values["validation_images"] == 2


def test_images_that_do_not_fit_into_memory_change_nothing(
    dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    train(configure(), dataset, tmp_path / "kept")
    train(configure("data.cache_gib=0"), dataset, tmp_path / "read")
    train(configure("data.cache_gib=1e-6"), dataset, tmp_path / "some")  # 1074 bytes: two or three of seven
    assert digest(tmp_path / "kept") == digest(tmp_path / "read") == digest(tmp_path / "some")


def test_init_from(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    train(configure(), dataset, tmp_path / "first")
    first = load_model(tmp_path / "first" / "model.safetensors")
    (dataset / "splits" / "train.txt").write_text("i0\ni1\n")  # other statistics
    train(configure("train.max_time=0.000001s"), dataset, tmp_path / "second", init_from=tmp_path / "first")
    second = load_model(tmp_path / "second" / "model.safetensors")
    assert (second.mean, second.std) == (first.mean, first.std)
    for name, array in first.state.items():
        np.testing.assert_array_equal(second.state[name], array)


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


def test_a_used_folder_is_not_touched(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    run = tmp_path / "run"
    train(configure("train.steps=1"), dataset, run)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(ConfigError, match="not empty") as caught:
        train(configure(), dataset, run)
    assert "--resume" in str(caught.value)
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigError, match="is a file"):
        train(configure(), dataset, tmp_path / "file")
    (tmp_path / "empty").mkdir()
    train(configure("train.steps=1"), dataset, tmp_path / "empty")


@pytest.mark.parametrize(
    "override", ["model.window=2", "train.seed=9", "train.average=0.5", "data.val=0.2", "preset=other"]
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


def test_resume_on_other_data(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    train(configure("train.steps=1"), dataset, tmp_path / "run")
    (dataset / "splits" / "train.txt").write_text("i0\ni1\ni2\ni3\n")
    with pytest.raises(DataError, match="the dataset has changed since the run began: other training images"):
        train(RunFolder(tmp_path / "run").reopen(""), dataset, tmp_path / "run", resume=True)


def test_killed_before_it_began(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    run = tmp_path / "run"
    train(configure(), dataset, tmp_path / "straight")
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / "step-00000000.safetensors").write_text("written before config.toml")
    train(configure(), dataset, run)
    assert digest(run) == digest(tmp_path / "straight")


def test_without_a_checkpoint_nothing_is_resumed(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    run = tmp_path / "run"
    train(configure("train.steps=1"), dataset, run)
    for path in (run / "checkpoints").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="no checkpoint to resume from"):
        train(RunFolder(run).reopen(""), dataset, run, resume=True)


def test_two_processes_in_one_folder(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    run = tmp_path / "run"
    with RunFolder(run).lock(), pytest.raises(ConfigError, match="another process trains in this folder"):
        train(configure(), dataset, run)
    train(configure("train.steps=1"), dataset, run)


def test_when_nobody_reads_the_reports_it_stops_with_a_checkpoint(
    dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    def closed(event: Event) -> None:
        if event.kind == "step" and event.values["step"] >= 3:
            raise BrokenPipeError

    with pytest.raises(InterruptedRun, match="stopped after step 3"):
        train(configure(), dataset, tmp_path / "run", report=closed)
    newest = newest_file(tmp_path / "run" / "checkpoints")
    assert newest is not None
    assert newest.name == "step-00000003.safetensors"


def test_guessed_folder_is_said(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    (dataset / "dataset.toml").unlink()
    stopper = Stopper()
    train(configure("train.steps=1"), dataset, tmp_path / "run", report=stopper)
    assert stopper.kinds()[0] == "note"
    assert "[[classes]]" in stopper.events[0].values["dataset_toml"]


def test_files_of_a_killed_process_are_swept(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / ".lstm2d-0123.tmp").write_text("half")  # killed while writing config.toml
    train(configure("train.steps=1"), dataset, run)
    (run / "checkpoints" / ".lstm2d-4567.tmp").write_text("half")
    train(RunFolder(run).reopen(""), dataset, run, resume=True)
    assert not list(run.rglob(".*"))


def test_loss_that_is_not_finite(
    dataset: Path, tmp_path: Path, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    config = configure("train.flip=false")
    number = epoch_order(5, seed=0, epoch=1)[1]  # seventh step
    sample = DatasetFolder(dataset).split("train")[number]
    loss = LSTM2DNetwork.loss

    def broken(self: LSTM2DNetwork, x: Tensor, *args: object, **kwargs: object) -> Tensor:
        calls.append(1)
        if len(calls) == 7:
            self.lstm[1].recurrent.data[0, 0, 0] = np.inf
        return loss(self, x, *args, **kwargs)  # type: ignore[arg-type]

    calls: list[int] = []
    monkeypatch.setattr(LSTM2DNetwork, "loss", broken)
    with pytest.raises(DivergedError) as caught, np.errstate(invalid="ignore"):
        train(config, dataset, run)
    assert caught.value.exit_code == 6
    text = str(caught.value)
    assert f"image {sample.image_path}, step 7, layer lstm.1 (lstm2d_layer)" in text
    assert str(run / "checkpoints" / "step-00000005.safetensors") in text
    newest = newest_file(run / "checkpoints")
    assert newest is not None
    assert all(np.isfinite(a).all() for a in unpack(newest.read_bytes()).tensors.values())


def test_gradient_that_is_not_finite(
    dataset: Path, tmp_path: Path, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(loss: Tensor) -> None:
        backward(loss)
        seen.append(1)
        if len(seen) == 4:
            assert loss.node is not None
            bias = networks[0].feedforward[0].bias
            assert bias is not None
            bias.grad = np.full_like(bias.data, np.nan)

    seen: list[int] = []
    networks: list[LSTM2DNetwork] = []

    def remembering(*args: object, **kwargs: object) -> LSTM2DNetwork:
        networks.append(build(*args, **kwargs))  # type: ignore[arg-type]
        return networks[0]

    monkeypatch.setattr("lstm2d.training.prepare.build", remembering)
    monkeypatch.setattr("lstm2d.training.loop.backward", broken)
    with pytest.raises(
        DivergedError, match=r"the gradient is not finite: .*step 4, layer feedforward.0.bias"
    ):
        train(configure(), dataset, tmp_path / "run")


def test_weights_that_are_not_finite_are_never_saved(
    dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    config = configure("train.learning_rate=1e38", "train.clip_norm=0", "train.steps=1", "train.momentum=0")
    with pytest.raises(DivergedError, match="the weights are not finite"):
        train(config, dataset, tmp_path / "run")
    assert [path.name for path in files(tmp_path / "run" / "checkpoints")] == ["step-00000000.safetensors"]


@pytest.mark.parametrize("name", ["open", "write", "fsync", "replace"])
@pytest.mark.parametrize("call", range(1, 14, 3))
def test_full_disk(
    dataset: Path,
    tmp_path: Path,
    configure: Configure,
    monkeypatch: pytest.MonkeyPatch,
    output_error: Callable[[Callable[[], object]], OutputError | None],
    name: str,
    call: int,
) -> None:
    """Whichever call of the system fails, the run says so, and can go on to the same bits."""
    straight, run = tmp_path / "straight", tmp_path / "run"
    train(configure(), dataset, straight)
    real = getattr(os, name)
    count = 0

    def shim(*args: object, **kwargs: object) -> object:
        nonlocal count
        if any(str(run) in str(arg) for arg in args) or name in ("write", "fsync"):
            count += 1
            if count == call:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(os, name, shim)
        error = output_error(lambda: train(configure(), dataset, run))
    assert (error is not None) == (count >= call)
    if error is not None:
        assert error.exit_code == 5
        assert "No space left" in str(error)
    if not (run / "config.toml").exists():
        train(configure(), dataset, run)
    else:
        train(RunFolder(run).reopen(""), dataset, run, resume=True)
    assert digest(run) == digest(straight)
    assert model_digest(run) == model_digest(straight)
    assert rows(run) == rows(straight)


def test_run_folder_deleted_meanwhile(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    run = tmp_path / "run"

    def delete(event: Event) -> None:
        if event.kind == "step" and event.values["step"] == 3:
            for path in sorted(run.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
            run.rmdir()

    with pytest.raises(OutputError):
        train(configure(), dataset, run, report=delete)


def test_empty_and_missing_splits(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    with pytest.raises(DataError, match="no such split: fold9"):
        train(configure("data.val_split=fold9"), dataset, tmp_path / "run")
    with pytest.raises(DataError):
        train(configure("data.train_split=fold9"), dataset, tmp_path / "run")
    (dataset / "splits" / "train.txt").write_text("\n")
    with pytest.raises(DataError, match="train"):
        train(configure(), dataset, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_nothing_labelled(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    from PIL import Image

    for path in (dataset / "masks").iterdir():
        with Image.open(path) as mask:
            blank = np.full((mask.height, mask.width), 255, np.uint8)
        Image.fromarray(blank).save(path)
    with pytest.raises(DataError, match="no pixel of the training images is labelled"):
        train(configure(), dataset, tmp_path / "run")


def test_class_weights(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    stopper = Stopper()
    train(
        configure("train.steps=1", "train.class_weights=[1,2,0.5]"), dataset, tmp_path / "run", report=stopper
    )
    assert stopper.events[0].values["class_weights"] == [1, 2, 0.5]
    with pytest.raises(ConfigError, match=r"train\.class_weights has 2 values, the data has 3 classes"):
        train(configure("train.class_weights=[1,2]"), dataset, tmp_path / "other")


def test_threads_change_no_bit(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    from lstm2d.kernels.threads import get_num_threads, set_num_threads

    before = get_num_threads()
    try:
        for n in (1, 2, 3):
            set_num_threads(n)
            train(configure(), dataset, tmp_path / str(n))
    finally:
        set_num_threads(before)
    assert digest(tmp_path / "1") == digest(tmp_path / "2") == digest(tmp_path / "3")
