"""Training end to end on a tiny dataset: results, ends and files."""

import json
from pathlib import Path

import numpy as np
import pytest

from lstm2d.config import load_toml
from lstm2d.data.folder import DatasetFolder
from lstm2d.data.stats import statistics
from lstm2d.data.transforms import normalise, pad_to_multiple
from lstm2d.io.model_file import load_model
from lstm2d.models import Step, build
from lstm2d.predict import load
from lstm2d.random import Purpose, generator
from lstm2d.tape import backward
from lstm2d.tensor import Tensor
from lstm2d.training.checkpoint import files, newest_file, unpack
from lstm2d.training.loop import train
from lstm2d.training.progress import TrainResult
from lstm2d.training.sources import epoch_order
from tests.callers import at_once, blas_threads, restless
from tests.training.runs import Configure, Stopper, digest, rows


def test_three_steps_by_hand(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    """Against a plain computation: order, normalisation, summed loss, clipping, momentum, schedule."""
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
        backward(network.compare(network.scores(Tensor(x[None]), Step(training=True)), padded[None]))
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


@pytest.mark.parametrize("contrast", ["none", "local"])
def test_it_learns_and_the_saved_model_has_the_figures_it_claims(
    dataset: Path, tmp_path: Path, configure: Configure, contrast: str
) -> None:
    stopper = Stopper()
    result = train(
        configure("train.epochs=25", f"data.contrast={contrast}"), dataset, tmp_path / "run", report=stopper
    )
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
    assert accuracy > (0.8 if contrast == "none" else 0.5)
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


def test_steps_end_a_run_within_an_epoch_and_its_last_weights_are_measured(
    dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    result = train(configure("train.steps=3"), dataset, tmp_path / "run")
    assert (result.steps, result.epochs, result.reason) == (3, 0, "steps")
    (row,) = rows(tmp_path / "run")
    assert (row["epoch"], row["step"], float(row["mean_iou"])) == ("1", "3", result.best["mean_iou"])
    assert float(row["loss"]) > 0
    assert float(row["learning_rate"]) == 0  # of the next step: the cosine has reached 0
    assert result.best["mean_iou"] is not None
    assert result.model.is_file()


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


def test_another_thread_than_the_main_one_changes_no_bit(
    dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    with blas_threads(4), restless():
        train(configure(), dataset, tmp_path / "main")
        at_once(1, lambda _: train(configure(), dataset, tmp_path / "alone"))
        at_once(3, lambda k: train(configure(), dataset, tmp_path / str(k)))
    digests = {digest(tmp_path / name) for name in ("main", "alone", "0", "1", "2")}
    assert len(digests) == 1
