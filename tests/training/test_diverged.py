"""Values that are not finite are reported with image, step and layer, and never saved."""

from pathlib import Path

import numpy as np
import pytest

from lstm2d.data.folder import DatasetFolder
from lstm2d.errors import DivergedError
from lstm2d.models import PREDICTION, LSTM2DNetwork, Step, build
from lstm2d.tape import backward
from lstm2d.tensor import FloatArray, Tensor
from lstm2d.training.checkpoint import files, newest_file, unpack
from lstm2d.training.events import Event, Warned
from lstm2d.training.loop import train
from lstm2d.training.sources import epoch_order
from tests.training.runs import Configure


def test_loss_that_is_not_finite(
    dataset: Path, tmp_path: Path, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    config = configure("train.flip=false")
    number = epoch_order(5, seed=0, epoch=1)[1]  # seventh step
    sample = DatasetFolder(dataset).split("train")[number]
    scores = LSTM2DNetwork.scores

    def broken(self: LSTM2DNetwork, z: Tensor, step: Step = PREDICTION) -> Tensor:
        calls.append(step.training)
        if sum(calls) == 7:
            self.lstm[1].recurrent.data[0, 0, 0] = np.inf
        return scores(self, z, step)

    calls: list[bool] = []
    monkeypatch.setattr(LSTM2DNetwork, "scores", broken)
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
    def broken(loss: Tensor, grad_y: FloatArray) -> None:
        backward(loss, grad_y)
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

    monkeypatch.setattr("lstm2d.training.assemble.build", remembering)
    monkeypatch.setattr("lstm2d.training.step.backward", broken)
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


EXPLODING = ("model.leaky=false", "train.clip_norm=0", "train.momentum=0", "train.steps=3")


def scaled(monkeypatch: pytest.MonkeyPatch, factor: float) -> None:
    """Multiply every gradient by a factor."""

    def large(loss: Tensor, grad_y: FloatArray) -> None:
        backward(loss, grad_y * np.float32(factor))

    monkeypatch.setattr("lstm2d.training.step.backward", large)


def test_weights_out_of_range_are_never_saved(
    dataset: Path, tmp_path: Path, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    scaled(monkeypatch, 1e20)
    run, events = tmp_path / "run", list[Event]()
    with pytest.raises(DivergedError, match=r"a weight is \d\.\de\+\d\d") as caught:
        train(configure(*EXPLODING, "train.steps=1"), dataset, run, report=events.append)
    assert caught.value.exit_code == 6
    assert "expected: weights up to 1e+06; they are not saved" in str(caught.value)
    assert [path.name for path in files(run / "checkpoints")] == ["step-00000000.safetensors"]
    assert not (run / "model.safetensors").exists()
    warnings = [event.text for event in events if isinstance(event, Warned)]
    assert len(warnings) == 1
    assert "the gradient explodes: its norm is" in warnings[0]
    assert "in step 1, image" in warnings[0]
    assert "train.clip_norm =" not in warnings[0]


def test_an_exploding_gradient_that_is_clipped_is_reported(
    dataset: Path, tmp_path: Path, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    scaled(monkeypatch, 1e20)
    events: list[Event] = []
    train(configure(*EXPLODING, "train.clip_norm=5"), dataset, tmp_path / "run", report=events.append)
    warnings = [event.text for event in events if isinstance(event, Warned)]
    assert len(warnings) == 1  # not once a step
    assert "scaled down to train.clip_norm = 5" in warnings[0]


def test_a_usual_gradient_is_not_reported(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    events: list[Event] = []
    train(configure(*EXPLODING), dataset, tmp_path / "run", report=events.append)
    assert not any(isinstance(event, Warned) for event in events)
