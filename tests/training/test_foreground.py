"""The foreground IoU of datasets of two classes: recorded, and used to select the best model."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lstm2d.errors import ConfigError, InterruptedRun
from lstm2d.io.model_file import load_model
from lstm2d.predict import load
from lstm2d.report.runs import read_results
from lstm2d.training.checkpoint import Checkpoint
from lstm2d.training.listeners import EpochEnd
from lstm2d.training.listeners.best_model import BestModel
from lstm2d.training.loop import train
from tests.training.runs import Configure, Stopper, digest, rewrite, rows

SELECT = "train.select=foreground_iou"
LONGER = ("train.epochs=6", "train.average=0", "train.learning_rate=0.002")


@pytest.fixture
def figures(dataset: Path) -> Path:
    """Return the tiny dataset with two classes, "dark" and "bright"."""
    for path in (dataset / "masks").iterdir():
        labels = np.asarray(Image.open(path)).copy()
        labels[labels == 2] = 1
        Image.fromarray(labels).save(path)
    head, sep, rest = (dataset / "dataset.toml").read_text().partition("[[classes]]")
    (dataset / "dataset.toml").write_text(head + sep + "[[classes]]".join(rest.split("[[classes]]")[:2]))
    return dataset


def events(run: Path, kind: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [event for event in found if event["event"] == kind]


def per_image(model: Path, dataset: Path) -> list[float]:
    """Return the IoU of class 1 in each validation image."""
    predictor, found = load(model), []
    for stem in ("i5", "i6"):
        truth = np.asarray(Image.open(dataset / "masks" / f"{stem}.png"))
        guess = predictor.predict(np.asarray(Image.open(dataset / "images" / f"{stem}.png")))
        true, one = truth[truth != 255] == 1, guess[truth != 255] == 1
        found.append(float((true & one).sum() / (true | one).sum()))
    return found


def test_it_is_recorded_and_selects_the_model(figures: Path, tmp_path: Path, configure: Configure) -> None:
    result = train(configure(SELECT, *LONGER), figures, tmp_path / "run")
    table = [float(row["foreground_iou"]) for row in rows(tmp_path / "run")]
    assert list(result.best) == ["pixel_accuracy", "class_accuracy", "mean_iou", "foreground_iou"]
    assert (
        result.best["foreground_iou"]
        == max(table)
        == pytest.approx(np.mean(per_image(result.model, figures)))
    )
    assert [event["foreground_iou"] for event in events(tmp_path / "run", "epoch")] == table
    best = [event["epoch"] for event in events(tmp_path / "run", "epoch") if event["best"]]
    assert best == [k + 1 for k, value in enumerate(table) if value > max(table[:k], default=-1)]
    assert load_model(result.model).metrics["validation"]["foreground_iou"] == max(table)


def test_the_best_model_is_that_of_the_highest_foreground_iou() -> None:
    run: Any = SimpleNamespace(
        active=SimpleNamespace(
            train=SimpleNamespace(select="foreground_iou"), stage=SimpleNamespace(saves_model=False)
        ),
        data=SimpleNamespace(classes=["back", "fore"]),
        progress=SimpleNamespace(step=3),
    )
    best = BestModel(run)
    found = []
    for foreground in (0.5, 0.4, None, 0.6):
        others = {name: 1 - (foreground or 0) for name in ("pixel_accuracy", "class_accuracy", "mean_iou")}
        end = EpochEnd(True, {}, others | {"foreground_iou": foreground})
        best.end_epoch(end)
        found.append(end.best)
    assert found == [True, False, False, True]
    assert best.best is not None
    assert best.best["foreground_iou"] == 0.6


def test_other_datasets_do_not_have_it(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    result = train(configure("train.epochs=1"), dataset, tmp_path / "run")
    assert list(result.best) == ["pixel_accuracy", "class_accuracy", "mean_iou"]
    assert [row["foreground_iou"] for row in rows(tmp_path / "run")] == [""]
    assert not any("foreground_iou" in event for event in events(tmp_path / "run", "epoch"))


def test_to_select_by_it_needs_two_classes(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    with pytest.raises(ConfigError) as caught:
        train(configure(SELECT), dataset, tmp_path / "run")
    message = str(caught.value)
    assert 'train.select = "foreground_iou" for 3 classes' in message
    assert "expected: a dataset of two classes, background and foreground" in message
    assert "set train.select to pixel_accuracy, class_accuracy or mean_iou" in message
    assert not (tmp_path / "run").exists()


def test_without_foreground_in_the_validation_images(
    figures: Path, tmp_path: Path, configure: Configure
) -> None:
    (figures / "splits" / "val.txt").unlink()
    result = train(configure("data.val=0", SELECT), figures, tmp_path / "run")
    assert result.best["foreground_iou"] is None


def test_a_run_of_an_earlier_version_gets_the_column(
    figures: Path, tmp_path: Path, configure: Configure
) -> None:
    cut, straight = tmp_path / "cut", tmp_path / "straight"
    train(configure(*LONGER), figures, straight)
    with pytest.raises(InterruptedRun):
        train(configure(*LONGER), figures, cut, report=Stopper(12))
    old = [line.rpartition(",")[0] + "\n" for line in (cut / "results.csv").read_text().splitlines()]
    assert old[0].endswith("mean_iou\n")
    (cut / "results.csv").write_text("".join(old))
    assert [row["mean_iou"] is None for row in read_results(cut / "results.csv")] == [False, False]

    def without(checkpoint: Checkpoint) -> Checkpoint:
        checkpoint.state["progress"]["best"].pop("foreground_iou")
        return checkpoint

    rewrite(cut, without)
    train(configure(*LONGER, SELECT), figures, cut, resume=True, changes=["train.select"])
    expected = rows(straight)
    for row in expected[:2]:
        row["foreground_iou"] = ""
    assert rows(cut) == expected
    again = (cut / "results.csv").read_text()
    train(configure(*LONGER, SELECT), figures, cut, resume=True, changes=["train.select"])
    assert (cut / "results.csv").read_text() == again
    assert digest(cut)
