"""Plots of a run with known metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lstm2d.data.folder import DatasetFolder
from lstm2d.errors import DataError, OutputError
from lstm2d.io.gallery import Example
from lstm2d.io.model_file import save_model
from lstm2d.metrics.confusion import Confusion
from lstm2d.pipeline.preprocess import Size
from lstm2d.predict import Predictor
from lstm2d.predict.evaluate import Evaluated, ImageScore
from lstm2d.report import plots
from lstm2d.report.html import run_section
from lstm2d.report.plots import Extremes, class_shares, draw_run, pictures_of, write_run_plots
from lstm2d.report.runs import read_run
from tests.predict.rcnn import rcnn_model


def test_all_pictures(run_folder: Path, red_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables: list[tuple[Any, Mapping[str, Sequence[float]]]] = []
    sheets: list[Sequence[Example]] = []
    confusion, gallery = plots.plot_confusion, plots.draw_gallery
    monkeypatch.setattr(
        plots, "plot_confusion", lambda c, k, f: (tables.append((c, f)), confusion(c, k, f))[1]
    )
    monkeypatch.setattr(plots, "draw_gallery", lambda e, k: (sheets.append(e), gallery(e, k))[1])
    written = write_run_plots(run_folder, red_dataset)
    assert [p.name for p in written] == ["curves.png", "confusion.png", "best.png", "worst.png"]
    for path in written:
        assert path.parent == run_folder / "plots"
        with Image.open(path) as image:
            image.load()
    # labels are 1 in the five left columns; the masks of image k are 0 in its k left ones; 4 rows, k = 0..3
    table, frequencies = tables[0]
    assert np.asarray(table).tolist() == [
        [4 * 5 * 4, 4 * (0 + 1 + 2 + 3), 0],
        [0, 4 * (5 + 4 + 3 + 2), 0],
        [0, 0, 0],
    ]
    assert frequencies["training"] == pytest.approx([0.75, 0.25, 0])
    assert frequencies["evaluated"] == pytest.approx([104 / 160, 56 / 160, 0])
    assert [e.title for e in sheets[0]] == ["val0  100.0 %", "val1  90.0 %"]
    assert [e.title for e in sheets[1]] == ["val3  70.0 %", "val2  80.0 %"]
    assert sheets[0][0].truth is not None
    np.testing.assert_array_equal(sheets[0][0].labels, sheets[0][0].truth)


def test_each_validation_image_is_labelled_once(
    run_folder: Path, red_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labelled = []
    labels_of = Predictor.labels_of

    def count(self: Predictor, pixels: np.ndarray, size: Size = "auto") -> np.ndarray:
        labelled.append(pixels.shape)
        return labels_of(self, pixels, size)

    monkeypatch.setattr(Predictor, "labels_of", count)
    assert len(write_run_plots(run_folder, red_dataset)) == 4
    assert labelled.count((4, 10, 3)) == 4


def test_pictures_are_written_one_by_one(run_folder: Path, red_dataset: Path) -> None:
    (run_folder / "plots/best.png").mkdir(parents=True)
    pictures = draw_run(run_folder, red_dataset)
    assert [next(pictures).name for _ in range(2)] == ["curves.png", "confusion.png"]
    with pytest.raises(OutputError, match=r"best\.png"):
        next(pictures)


def test_the_labels_after_each_instance(
    run_folder: Path, red_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recurrent convolutional network has one more picture: truth, and labels after each instance."""
    sheets: list[Mapping[str, Sequence[Example]]] = []
    comparison = plots.draw_comparison
    monkeypatch.setattr(plots, "draw_comparison", lambda e, k: (sheets.append(e), comparison(e, k))[1])
    toml = red_dataset / "dataset.toml"
    toml.write_text(toml.read_text() + '[[classes]]\nname = "d"\ncolor = [9, 9, 9]\n')
    model = replace(rcnn_model(), classes=tuple(DatasetFolder(red_dataset).classes))
    save_model(run_folder / "model.safetensors", model)
    assert pictures_of(run_folder) == ["curves", "confusion", "best", "worst", "instances"]
    assert [path.stem for path in write_run_plots(run_folder, red_dataset)] == pictures_of(run_folder)
    (sheet,) = sheets
    assert list(sheet) == ["after 1 instance", "after 2 instances", "after 3 instances"]
    for number, examples in enumerate(sheet.values(), start=1):
        assert [example.title for example in examples] == ["val0", "val1", "val2", "val3"]
        predictor = Predictor(model, instances=number)
        for example in examples:
            np.testing.assert_array_equal(example.labels, predictor.predict(example.image))
    html = run_section(read_run(run_folder)).pictures
    assert [picture.title for picture in html][-1] == "Labels after each instance"
    save_model(run_folder / "model.safetensors", replace(rcnn_model(1), classes=model.classes))
    assert pictures_of(run_folder) == ["curves", "confusion", "best", "worst"]


def test_extremes_by_hand() -> None:
    """Ties are sorted by name, no image is on both sheets, and images without labelled pixels are on none."""
    extremes = Extremes()
    pixels = np.zeros((1, 1, 3)), np.zeros((1, 1), np.uint8), np.zeros((1, 1), np.uint8)
    accuracies = {"a": 0.5, "b": 0.75, "c": 0.5, "d": None, "e": 0.25, "f": 0.5}
    for number, (name, accuracy) in enumerate(accuracies.items(), start=1):
        score = ImageScore(name, 1, accuracy, None, None, 0.0)
        extremes(Evaluated(number, score, *pixels, Confusion(2)))
    found = {name: [e.title for e in examples] for name, examples in extremes.examples().items()}
    assert found == {"best": ["b  75.0 %", "a  50.0 %"], "worst": ["e  25.0 %", "f  50.0 %"]}


def test_without_data_there_are_curves_only(run_folder: Path) -> None:
    assert [p.name for p in write_run_plots(run_folder)] == ["curves.png"]


def test_without_records_and_data_there_is_nothing(run_folder: Path) -> None:
    (run_folder / "results.csv").unlink()
    assert write_run_plots(run_folder) == []


def test_data_of_other_classes(run_folder: Path, red_dataset: Path) -> None:
    toml = red_dataset / "dataset.toml"
    name = DatasetFolder(red_dataset).classes[0].name
    toml.write_text(toml.read_text().replace(f'"{name}"', '"other"'))
    with pytest.raises(DataError, match="other"):
        write_run_plots(run_folder, red_dataset)


def test_class_shares(red_dataset: Path) -> None:
    dataset = DatasetFolder(red_dataset)
    assert class_shares(dataset, dataset.split("train")) == pytest.approx([0.75, 0.25, 0.0])
    assert class_shares(dataset, []) == [0.0, 0.0, 0.0]
