"""Several models: names, splits, mean and spread."""

from pathlib import Path
from typing import Any

import pytest

from lstm2d.data.folder import DatasetFolder
from lstm2d.errors import ConfigError, DataError
from lstm2d.io.classes import ClassInfo
from lstm2d.predict import Predictor
from lstm2d.predict.several import (
    OneAtATime,
    Result,
    Task,
    as_json,
    is_k_fold,
    mean_and_spread,
    plan,
    total_rows,
    unique_names,
)


@pytest.mark.parametrize(
    ("names", "unique"),
    [
        (["a", "b"], ["a", "b"]),
        (["run", "Run", "run", "run-2"], ["run", "Run-2", "run-3", "run-2-2"]),
        (["../x", "a/b", "", "...", "x:y*z"], ["_x", "a_b", "model", "model-2", "x_y_z"]),
        (["report.html", "metrics.JSON", "v1.2"], ["report_html", "metrics_JSON", "v1.2"]),
        (["Straße", "a" * 100], ["Straße", "a" * 60]),
    ],
)
def test_unique_names(names: list[str], unique: list[str]) -> None:
    assert unique_names(names) == unique


def test_mean_and_spread_by_hand() -> None:
    figures = [
        {"pixel_accuracy": 0.5, "class_accuracy": 0.25, "mean_iou": None, "images": 3},
        {"pixel_accuracy": 0.7, "class_accuracy": 0.25, "mean_iou": 0.5, "images": 4},
        {"pixel_accuracy": 0.9, "class_accuracy": 0.25, "mean_iou": 0.5, "images": 5},
    ]
    mean, spread = mean_and_spread(figures)
    assert mean == {"pixel_accuracy": pytest.approx(0.7), "class_accuracy": 0.25, "mean_iou": None}
    # sqrt((0.2^2 + 0 + 0.2^2) / (3 - 1))
    assert spread == {"pixel_accuracy": pytest.approx(0.2), "class_accuracy": 0.0, "mean_iou": None}


def result(name: str, split: str, accuracy: float, baseline: str, share: float) -> Result:
    """Return a result with one baseline."""
    figures: dict[str, Any] = {"pixel_accuracy": accuracy, "edge_accuracy": accuracy / 2}
    constant = {"name": baseline, "class": "x", "pixel_accuracy": share, "edge_accuracy": 0.0}
    figures["baselines"] = [constant]
    return Result(Task(name, name, split, []), figures, [], (ClassInfo("x", (0, 0, 0)),), "")


def test_rows_of_models_on_one_split() -> None:
    results = [
        result("a", "test", 0.5, "every pixel x", 0.1),
        result("b", "test", 0.75, "every pixel x", 0.1),
    ]
    assert not is_k_fold(r.task for r in results)
    rows = total_rows(results)
    assert [(row.name, row.split, row.figures["pixel_accuracy"]) for row in rows] == [
        ("a", "test", 0.5),
        ("b", "test", 0.75),
        ("every pixel x", "test", 0.1),
    ]


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ("every pixel x", [("every pixel x", None, pytest.approx(0.2))]),
        ("every pixel y", [("every pixel x", "s1", 0.1), ("every pixel y", "s2", 0.3)]),
    ],
)
def test_rows_of_k_fold(other: str, expected: list[tuple[str, str | None, float]]) -> None:
    results = [result("a", "s1", 0.5, "every pixel x", 0.1), result("b", "s2", 0.75, other, 0.3)]
    assert is_k_fold(r.task for r in results)
    rows = [(row.name, row.split, row.figures["pixel_accuracy"]) for row in total_rows(results)]
    assert rows == [
        ("a", "s1", 0.5),
        ("b", "s2", 0.75),
        ("mean", None, 0.625),
        ("spread", None, pytest.approx(0.25 / 2**0.5)),
        *expected,
    ]


@pytest.fixture
def dataset(tmp_path: Path) -> DatasetFolder:
    """Return a folder of empty files with the splits test and other."""
    for name in ("images", "masks", "splits"):
        (tmp_path / name).mkdir()
    for stem in "ab":
        for name in ("images", "masks"):
            (tmp_path / name / f"{stem}.png").touch()
    classes = "".join(f'[[classes]]\nname = "{n}"\ncolor = [0, 0, {k}]\n' for k, n in enumerate("xy"))
    (tmp_path / "dataset.toml").write_text(f'name = "n"\n{classes}')
    (tmp_path / "splits/test.txt").write_text("a\n")
    (tmp_path / "splits/other.txt").write_text("a\nb\n")
    return DatasetFolder(tmp_path)


def test_plan(dataset: DatasetFolder, brightness_model: Path) -> None:
    def planned(**options: Any) -> list[tuple[Any, str, str | None, list[str]]]:
        tasks = plan([brightness_model, "outdoor", "outdoor"], dataset, **options)
        return [(t.model, t.name, t.split, [s.stem for s in t.samples]) for t in tasks]

    models = [(brightness_model, "brightness"), ("outdoor", "outdoor"), ("outdoor", "outdoor-2")]
    assert planned() == [(*m, "test", ["a"]) for m in models]
    assert planned(split="other") == [(*m, "other", ["a", "b"]) for m in models]
    splits = ["test", "other", "test"]
    stems = [["a"], ["a", "b"], ["a"]]
    assert planned(splits=splits) == [(*m, s, t) for m, s, t in zip(models, splits, stems, strict=True)]


def test_wrong_plans(dataset: DatasetFolder) -> None:
    with pytest.raises(ConfigError, match="together"):
        plan(["outdoor"], dataset, split="test", splits=["test"])
    for splits in (["test"], ["test"] * 3, []):
        with pytest.raises(ConfigError, match=rf"splits \({len(splits)}\) is not the number of models \(2\)"):
            plan(["outdoor", "street"], dataset, splits=splits)
    with pytest.raises(DataError, match="val"):
        plan(["outdoor", "street"], dataset, splits=["test", "val"])
    with pytest.raises(DataError, match="no such model"):
        plan(["outdoor", "outside"], dataset)


def test_one_model_at_a_time() -> None:
    loaded: list[object] = []
    held: list[bool] = []
    models = OneAtATime(lambda model: load(model))

    def load(model: object) -> Predictor:
        held.append(models._predictor is not None)
        loaded.append(model)
        return Predictor.__new__(Predictor)

    first = models("a")
    assert models("a") is first
    models("b")
    models("a")
    assert loaded == ["a", "b", "a"]
    assert held == [False] * 3


def test_json_keys(dataset: DatasetFolder) -> None:
    results = [result("a", "s1", 0.5, "every pixel x", 0.1), result("b", "s2", 0.75, "every pixel x", 0.3)]
    alone = as_json(results[:1], dataset)
    assert alone == results[0].figures | {"model": "a", "data": str(dataset.root), "split": "s1"}
    both = as_json(results, dataset)
    assert list(both) == ["models", "mean", "spread"]
    assert both["models"][0] == alone
    assert both["mean"] == {"pixel_accuracy": 0.625, "edge_accuracy": 0.3125}
