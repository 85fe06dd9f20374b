"""The table of runs that differ in a few values."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lstm2d.cli.program import program
from lstm2d.cli.train import train
from lstm2d.config import resolve
from lstm2d.report.runs import RunSummary


@pytest.fixture(scope="module")
def script(benchmark_module: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_module("compare_runs")


def test_commands_are_understood(script: ModuleType) -> None:
    lines = script.commands(Path("a b"), Path("runs"), "reseg", "8m", 1)
    trainings = [words[1:] for line in lines if (words := shlex.split(line))[1] == "train"]
    assert len(trainings) == 1 + len(script.NETWORKS)
    for words in trainings:
        # through its group, as in the shell: a command keeps its help option's names from its first use
        context = train.make_context("train", words[1:], parent=program.make_context("lstm2d", words))
        config = resolve("reseg", [(item, "--set") for item in context.params["sets"]])
        assert str(context.params["data"]) == "a b"
        assert len(config.model["units"]) == len(config.model["patches"])


def test_half_the_size(script: ModuleType, tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "half"
    for folder in ("images", "masks", "splits"):
        (data / folder).mkdir(parents=True)
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[0, 0], pixels[3, 5] = 200, 100
    Image.fromarray(pixels).save(data / "images" / "a.png")
    mask = Image.fromarray(np.repeat(np.repeat(np.arange(6).reshape(2, 3), 2, 0), 2, 1).astype(np.uint8), "L")
    mask = mask.convert("P")
    mask.save(data / "masks" / "a.png")
    (data / "dataset.toml").write_text("name = 'x'\n")
    (data / "splits" / "train.txt").write_text("a\n")
    script.halve(data, out)
    assert np.array(Image.open(out / "images" / "a.png"))[..., 0].tolist() == [[50, 0, 0], [0, 0, 25]]
    small = Image.open(out / "masks" / "a.png")
    assert small.mode == "P"
    assert np.array(small).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert (out / "splits" / "train.txt").read_text() == "a\n"
    assert (out / "dataset.toml").is_file()


def test_table(script: ModuleType, tmp_path: Path) -> None:
    runs = []
    for name, units, iou in (("none", "[]", 0.25), ("two", "[100, 100]", 0.5)):
        metrics = {"validation": {"pixel_accuracy": 0.5, "class_accuracy": None, "mean_iou": iou}}
        model: Any = SimpleNamespace(metrics=metrics)
        config = f"[model]\nunits = {units}\nunit = 'gru'\n[train]\nseed = 3\n"
        (tmp_path / name).mkdir()
        runs.append(RunSummary(tmp_path / name, model, 1234, config, [{"step": 40.0, "seconds": 480.0}]))
    test: dict[str, Any] = {"pixel_accuracy": 0.875, "class_accuracy": 0.5, "mean_iou": 0.4}
    constant = {"name": "every pixel sky", "pixel_accuracy": 0.3, "class_accuracy": 0.5, "mean_iou": 0.15}
    test["baselines"] = [constant]
    (tmp_path / "two" / "test.json").write_text(json.dumps(test))
    lines = script.table(runs).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:5]]
    assert cells[0][:5] == ["run", "`model.units`", "parameters", "steps", "training"]
    assert cells[2] == ["none", "[]", "1,234", "40", "8 min", "50.0", "-", "25.0", "-", "-", "-"]
    assert cells[3] == [
        "two",
        "[100, 100]",
        "1,234",
        "40",
        "8 min",
        "50.0",
        "-",
        "50.0",
        "87.5",
        "50.0",
        "40.0",
    ]
    assert cells[4] == ["every pixel sky", "", "", "", "", "", "", "", "30.0", "50.0", "15.0"]
    assert lines[-1] == "2 runs, seed 3; in percent."
