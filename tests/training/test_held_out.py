"""A run lists the images that it held out."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lstm2d.config import RunConfig
from lstm2d.data.folder import DatasetFolder, hold_out
from lstm2d.errors import InterruptedRun
from lstm2d.predict.held_out import held_out_samples, listed
from lstm2d.training.loop import train
from tests.training.runs import Stopper

Configure = Callable[..., RunConfig]


def stems(samples: list) -> list[str]:
    return [sample.stem for sample in samples]


@pytest.mark.parametrize("val_split", ["val", "train"])
def test_images_taken_from_the_training_split(
    dataset: Path, tmp_path: Path, configure: Configure, val_split: str
) -> None:
    if val_split == "val":
        (dataset / "splits/val.txt").unlink()
    config = configure("train.epochs=1", "data.val=0.4", "train.seed=5", f"data.val_split={val_split}")
    events = Stopper()
    train(config, dataset, tmp_path / "run", report=events)
    data = DatasetFolder(dataset)
    _, held = hold_out(data.split("train"), 0.4, 5)
    assert len(held) == 2
    assert held_out_samples(tmp_path / "run" / "model.safetensors", data) == held
    (start,) = [event for event in events.events if event.kind == "start"]
    assert start.values["held_out"]


def test_a_split_of_its_own(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    train(configure("train.epochs=1"), dataset, tmp_path / "run")
    assert listed(tmp_path / "run" / "run.json") == {}


def test_a_run_of_an_earlier_version_gets_the_list(
    dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    (dataset / "splits/val.txt").unlink()
    config, run = configure("train.epochs=2"), tmp_path / "run"
    with pytest.raises(InterruptedRun):
        train(config, dataset, run, report=Stopper(2))
    record = run / "run.json"
    before = json.loads(record.read_text())
    assert len(before["held_out"]) == 1
    record.write_text(json.dumps({"run": before["run"]}))
    train(config, dataset, run, resume=True)
    assert json.loads(record.read_text()) == before
