"""Evaluations with reports: which images and sets are shown."""

import gc
import json
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from lstm2d.data import folder as data_folder
from lstm2d.data.folder import DatasetFolder
from lstm2d.io.gallery import Example
from lstm2d.predict import Predictor, load
from lstm2d.predict.several import Model, plan
from lstm2d.report import evaluation, plots
from lstm2d.report.evaluation import Evaluator


@pytest.fixture
def frequencies(monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, Sequence[float]]]:
    """Return the class frequencies of each confusion table that is drawn."""
    drawn: list[Mapping[str, Sequence[float]]] = []
    confusion = plots.plot_confusion

    def plot(table: Any, classes: Any, shares: Mapping[str, Sequence[float]]) -> bytes:
        drawn.append(shares)
        return confusion(table, classes, shares)

    monkeypatch.setattr(plots, "plot_confusion", plot)
    return drawn


def evaluated(dataset: Path, out: Path, *models: Model, **options: Any) -> list[str]:
    """Evaluate models with a report, and return the remarks."""
    data, remarks = DatasetFolder(dataset), list[str]()
    Evaluator(data, remark=remarks.append).write_folder(plan(models, data, **options), out)
    return remarks


def test_frequencies_of_training_and_evaluated_images(
    run_folder: Path,
    red_dataset: Path,
    tmp_path: Path,
    frequencies: list[Mapping[str, Sequence[float]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The images of the training split are not decoded."""
    read, read_photo = list[str](), data_folder.read_photo
    monkeypatch.setattr(
        data_folder,
        "read_photo",
        lambda path, reading: (read.append(path.stem), read_photo(path, reading))[1],
    )
    assert evaluated(red_dataset, tmp_path / "out", run_folder, split="val") == []
    assert read == ["val0", "val1", "val2", "val3"] * 2  # checked first, then evaluated
    assert [*frequencies[0]] == ["train", "val"]
    assert frequencies[0]["train"] == pytest.approx([0.75, 0.25, 0])
    assert frequencies[0]["val"] == pytest.approx([104 / 160, 56 / 160, 0])


def test_without_another_training_split(
    run_folder: Path, red_dataset: Path, tmp_path: Path, frequencies: list[Mapping[str, Sequence[float]]]
) -> None:
    assert evaluated(red_dataset, tmp_path / "a", run_folder, split="train") == []
    (red_dataset / "splits/train.txt").write_text("train0\ntrain9\n")
    (remark,) = evaluated(red_dataset, tmp_path / "b", run_folder, split="val")
    assert remark.startswith("run one: no class frequencies of the training images (")
    assert "train9" in remark
    for path in (red_dataset / "splits").iterdir():
        path.unlink()
    assert evaluated(red_dataset, tmp_path / "c", run_folder) == [
        "run one: no class frequencies of the training images (no training split in the dataset)"
    ]
    assert [[*shown] for shown in frequencies] == [["train"], ["val"], ["all images"]]


def test_images_of_the_sheets(
    run_folder: Path, red_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fixed, evenly spaced choice; the comparison shows the same images, without accuracies."""
    sheets: list[list[str]] = []
    compared: list[dict[str, list[str]]] = []
    gallery, comparison = plots.draw_gallery, evaluation.draw_comparison

    def draw(examples: Sequence[Example], classes: Any) -> Any:
        sheets.append([e.title for e in examples])
        return gallery(examples, classes)

    def compare(models: Mapping[str, Sequence[Example]], classes: Any) -> Any:
        compared.append({name: [e.title for e in examples] for name, examples in models.items()})
        return comparison(models, classes)

    monkeypatch.setattr(plots, "draw_gallery", draw)
    monkeypatch.setattr(evaluation, "draw_comparison", compare)
    monkeypatch.setattr(plots, "CHOSEN", 2)
    evaluated(red_dataset, tmp_path / "out", run_folder, run_folder, split="val")
    # two of four: the middles of both halves
    assert sheets[0] == ["val1  90.0 %", "val3  70.0 %"]
    assert sheets[1:3] == [["val0  100.0 %", "val1  90.0 %"], ["val3  70.0 %", "val2  80.0 %"]]
    assert compared == [{"run one": ["val1", "val3"], "run one-2": ["val1", "val3"]}]
    metrics = json.loads((tmp_path / "out/run one/metrics.json").read_text())
    assert metrics["pixel_accuracy"] == pytest.approx(0.85)


def test_one_model_in_memory(run_folder: Path, red_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each model is freed before the next one is loaded, also while all are checked."""
    loaded: list[weakref.ref[Predictor]] = []

    def load_alone(model: Model) -> Predictor:
        gc.collect()
        assert [ref for ref in loaded if ref() is not None] == []
        predictor = load(model)
        loaded.append(weakref.ref(predictor))
        return predictor

    data = DatasetFolder(red_dataset)
    models: list[Model] = [run_folder, str(run_folder)]
    tasks = plan(models, data, split="val")
    results = Evaluator(data, load=load_alone).run(tasks)
    assert [r.figures["pixel_accuracy"] for r in results] == pytest.approx([0.85] * 2)
    assert len(loaded) == 2 + 2


def test_each_model_reads_images_as_it_was_trained(
    run_folder: Path, red_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings of one model do not apply to the next."""
    backgrounds = iter([(1, 2, 3), (4, 5, 6)])
    seen: list[object] = []
    load_image = DatasetFolder.load

    def keep(self: DatasetFolder, sample: Any) -> Any:
        seen.append(self.reading.background)
        return load_image(self, sample)

    def load_with(model: Model) -> Predictor:
        predictor = load(model)
        predictor.reading = type(predictor.reading)(background=chosen[model])
        return predictor

    models: list[Model] = [run_folder, str(run_folder)]
    chosen = dict(zip(models, backgrounds, strict=True))
    monkeypatch.setattr(DatasetFolder, "load", keep)
    data = DatasetFolder(red_dataset)
    Evaluator(data, load=load_with).run(plan(models, data, split="val"))
    assert seen[4:] == [(1, 2, 3)] * 4 + [(4, 5, 6)] * 4  # after all were checked


@pytest.mark.parametrize(
    ("count", "numbers"),
    [(1, [1]), (5, [1, 2, 3, 4, 5]), (12, [2, 4, 6, 8, 10, 12]), (143, [12, 36, 60, 84, 108, 132])],
)
def test_selection(count: int, numbers: list[int]) -> None:
    selection = plots.Selection(count)
    assert sorted(selection._numbers) == numbers
