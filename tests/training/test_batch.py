"""Minibatches: the mean gradient of their images, a smaller last one, the same bits after a resume."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstm2d.data.folder import DatasetFolder
from lstm2d.data.stats import statistics
from lstm2d.data.transforms import normalise, pad_to_multiple
from lstm2d.errors import DataError, DivergedError, InterruptedRun
from lstm2d.models import PREDICTION, LSTM2DNetwork, Step, build
from lstm2d.random import Purpose, generator
from lstm2d.tape import backward
from lstm2d.tensor import Tensor
from lstm2d.training.checkpoint import newest_file, unpack
from lstm2d.training.loop import train
from lstm2d.training.runfolder import RunFolder
from lstm2d.training.sources import epoch_order
from tests.training.runs import STRAIGHT, Configure, Stopper, digest, model_digest, rows

PLAIN = ("train.flip=false", "train.average=0", "train.schedule=constant", "train.clip_norm=0")


def examples(dataset: Path, numbers: list[int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield normalised images and labels of the training split, padded to windows of 3 pixels."""
    folder = DatasetFolder(dataset)
    samples = folder.split("train")
    measured = statistics(folder, samples)
    for number in numbers:
        image, labels = folder.load(samples[number])
        x = pad_to_multiple(normalise(image, measured.mean, measured.std), 3)
        padded = np.full(x.shape[:2], 255, np.uint8)
        padded[: labels.shape[0], : labels.shape[1]] = labels
        yield x[None], padded[None]


def weights(run: Path) -> dict[str, Any]:
    newest = newest_file(run / "checkpoints")
    assert newest is not None
    return unpack(newest.read_bytes()).tensors


def test_a_step_follows_the_mean_gradient_and_the_last_one_that_of_what_is_left(
    dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    config = configure(*PLAIN, "train.batch=3", "train.epochs=1", "train.momentum=0", "train.seed=5")
    stopper = Stopper()
    train(config, dataset, tmp_path / "run", report=stopper)
    network = build(config.model, 3, generator(5, 0, 0, Purpose.INIT))
    order = epoch_order(5, seed=5, epoch=0).tolist()
    losses, terms, norms = [], [], []
    for numbers in (order[:3], order[3:]):
        change = {name: np.zeros(p.shape) for name, p in network.named_parameters()}
        for x, labels in examples(dataset, numbers):
            loss = network.compare(network.scores(Tensor(x), Step(training=True)), labels)
            losses.append(float(loss.data))
            terms.append(np.count_nonzero(labels != 255) / 9)
            for p in network.parameters():
                p.grad = None
            backward(loss)
            for name, p in network.named_parameters():
                if p.grad is not None:
                    change[name] += p.grad / len(numbers)
        norms.append(np.sqrt(sum(float((g**2).sum()) for g in change.values())))
        for name, p in network.named_parameters():
            p.data -= (0.01 * change[name]).astype(np.float32)
    found = weights(tmp_path / "run")
    for name, p in network.named_parameters():
        np.testing.assert_allclose(found[f"weight.{name}"], p.data, rtol=2e-5, atol=2e-6)
    (epoch,) = (event.values for event in stopper.events if event.kind == "epoch")
    assert epoch["step"] == 2
    assert epoch["loss"] == pytest.approx(sum(losses) / sum(terms), rel=1e-5)
    assert epoch["gradient_norm"] == pytest.approx(np.mean(norms), rel=1e-5)


def test_steps_and_epochs_are_counted_in_minibatches(
    dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    stopper = Stopper()
    result = train(configure("train.batch=2"), dataset, tmp_path / "run", report=stopper)
    assert (result.epochs, result.steps) == (3, 9)
    assert (stopper.events[0].values["steps"], stopper.events[0].values["batch"]) == (9, 2)
    steps = [event.values for event in stopper.events if event.kind == "step"]
    assert [(values["epoch"], values["step"]) for values in steps[:4]] == [(1, 1), (1, 2), (1, 3), (2, 4)]
    assert steps[-1]["seconds_left"] == 0
    assert [row["step"] for row in rows(tmp_path / "run")] == ["3", "6", "9"]
    assert 0 <= float(rows(tmp_path / "run")[0]["clipped"]) <= 1
    all_at_once = train(configure("train.batch=64"), dataset, tmp_path / "all")
    assert (all_at_once.epochs, all_at_once.steps) == (3, 3)


@pytest.mark.parametrize("step", [1, 2, 3, 4, 8])
def test_resumed_is_uninterrupted(dataset: Path, tmp_path: Path, configure: Configure, step: int) -> None:
    straight, cut = tmp_path / "straight", tmp_path / "cut"
    overrides = (*STRAIGHT, "train.batch=2")
    train(configure(*overrides), dataset, straight)
    with pytest.raises(InterruptedRun, match=f"stopped after step {step} of 9"):
        train(configure(*overrides), dataset, cut, report=Stopper(step))
    train(RunFolder(cut).reopen(""), dataset, cut, resume=True)
    assert digest(cut) == digest(straight)
    assert model_digest(cut) == model_digest(straight)
    assert rows(cut) == rows(straight)


@pytest.mark.parametrize("joint", [False, True])
def test_every_image_of_a_step_that_diverges_is_named(
    dataset: Path, tmp_path: Path, configure: Configure, monkeypatch: pytest.MonkeyPatch, joint: bool
) -> None:
    (dataset / "splits" / "train.txt").write_text("i0\ni7\n")
    for kind in ("images", "masks"):  # of one size
        (dataset / kind / "i7.png").write_bytes((dataset / kind / "i0.png").read_bytes())
    compare = LSTM2DNetwork.compare
    calls: list[int] = []

    def broken(self: LSTM2DNetwork, *args: Any, **kwargs: Any) -> Tensor:
        calls.append(1)
        value = compare(self, *args, **kwargs)
        if len(calls) == 2 - joint:
            value.data = np.full_like(value.data, np.inf)
        return value

    monkeypatch.setattr(LSTM2DNetwork, "compare", broken)
    monkeypatch.setattr(LSTM2DNetwork, "joint", joint)
    with pytest.raises(DivergedError) as caught:
        train(configure("train.batch=2"), dataset, tmp_path / "run")
    order = epoch_order(2, seed=0, epoch=0).tolist()
    first, second = (str(dataset / "images" / f"i{(0, 7)[number]}.png") for number in order)
    if joint:
        assert f"images {first}, {second}, step 1, layer" in str(caught.value)
    else:
        assert f"image {second} of the minibatch {first}, {second}, step 1, layer" in str(caught.value)


def test_joint_networks_get_one_stacked_batch(
    dataset: Path, tmp_path: Path, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without layers that mix images the gradient is the same to the last digits."""
    for number in range(1, 5):
        for kind in ("images", "masks"):
            (dataset / kind / f"i{number}.png").write_bytes((dataset / kind / "i0.png").read_bytes())
    config = configure("train.batch=3", "train.scale_jitter=0", "train.epochs=2")
    train(config, dataset, tmp_path / "apart")
    scores, shapes, steps = LSTM2DNetwork.scores, [], []

    def looking(self: LSTM2DNetwork, x: Tensor, step: Step = PREDICTION) -> Tensor:
        if step.training:
            shapes.append(x.shape)
            steps.append(step)
        return scores(self, x, step)

    monkeypatch.setattr(LSTM2DNetwork, "scores", looking)
    monkeypatch.setattr(LSTM2DNetwork, "joint", True)
    train(config, dataset, tmp_path / "joint")
    assert shapes == [(3, 9, 12, 3), (2, 9, 12, 3)] * 2
    orders = [tuple(epoch_order(5, seed=0, epoch=epoch).tolist()) for epoch in (0, 1)]
    assert [(step.epoch, step.samples) for step in steps] == [
        (epoch, part) for epoch, order in enumerate(orders) for part in (order[:3], order[3:])
    ]
    apart, joint = weights(tmp_path / "apart"), weights(tmp_path / "joint")
    for name, array in apart.items():
        np.testing.assert_allclose(joint[name], array, rtol=1e-3, atol=1e-5)


def test_images_of_other_sizes_cannot_be_stacked(
    dataset: Path, tmp_path: Path, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LSTM2DNetwork, "joint", True)
    with pytest.raises(DataError, match=r"(?s)images of \d sizes \(6x6, .*set train.crop"):
        train(configure("train.batch=5"), dataset, tmp_path / "run")
    train(configure("train.batch=1"), dataset, tmp_path / "other")
