"""A network that normalises over the minibatch: its running statistics are saved and resumed."""

from pathlib import Path

import numpy as np
import pytest

from lstm2d.config import apply_overrides, from_dict
from lstm2d.errors import DataError, InterruptedRun
from lstm2d.io.model_file import load_model
from lstm2d.kernels.threads import get_num_threads, set_num_threads
from lstm2d.predict import load
from lstm2d.training.loop import train
from tests.training.runs import Stopper, digest, model_digest

MODEL = {"kind": "h-renet", "weights": "", "sources": ["pool4"], "units": [2], "width": 1 / 128}
TRAIN = {"learning_rate": 1e-3, "clip_norm": 10.0, "batch": 2, "crop": [8, 16], "steps": 4, "epochs": 9}
CONFIG = from_dict({"model": {**MODEL, "normalisation": "batch"}, "train": TRAIN}, "test")


def test_dropout_resumes_and_does_not_depend_on_threads(dataset: Path, tmp_path: Path) -> None:
    values = ['model.sources=["conv7"]', "model.dropout=0.5", "model.norm_order=norm-relu"]
    config = apply_overrides(CONFIG, values)
    train(config, dataset, tmp_path / "straight")
    before = get_num_threads()
    try:
        set_num_threads(2)
        with pytest.raises(InterruptedRun):
            train(config, dataset, tmp_path / "cut", report=Stopper(2))
        train(config, dataset, tmp_path / "cut", resume=True)
    finally:
        set_num_threads(before)
    assert digest(tmp_path / "cut") == digest(tmp_path / "straight")
    train(apply_overrides(config, ["model.dropout=0"]), dataset, tmp_path / "without")
    assert digest(tmp_path / "without") != digest(tmp_path / "straight")


def test_running_statistics_are_stored_and_resumed(dataset: Path, tmp_path: Path) -> None:
    straight = train(CONFIG, dataset, tmp_path / "straight")
    with pytest.raises(InterruptedRun):
        train(CONFIG, dataset, tmp_path / "cut", report=Stopper(2))
    train(CONFIG, dataset, tmp_path / "cut", resume=True)
    assert digest(tmp_path / "cut") == digest(tmp_path / "straight")
    assert model_digest(tmp_path / "cut") == model_digest(tmp_path / "straight")
    state = load_model(straight.model).state
    assert state["norms.0.mean"].shape == (4,)
    assert state["norms.0.mean"].any()
    assert not (state["norms.0.var"] == 1).all()
    labels = load(straight.model).predict(np.zeros((9, 12, 3), np.uint8))
    assert labels.shape == (9, 12)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["train.crop=[]"], r"images of \d sizes \(\d+x\d+, .*set train\.crop"),
        (["train.crop=[]", "train.scale_jitter=0.1"], r"train\.scale_jitter.*set train\.crop"),
    ],
)
def test_images_of_a_minibatch_must_have_one_size(
    dataset: Path, tmp_path: Path, overrides: list[str], message: str
) -> None:
    with pytest.raises(DataError, match=f"(?s){message}"):
        train(apply_overrides(CONFIG, overrides), dataset, tmp_path / "run")
    assert not (tmp_path / "run").exists()  # the error comes before the run begins
