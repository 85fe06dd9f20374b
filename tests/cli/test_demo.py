"""A short demo: all parts run, and the output matches the files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstm2d.cli.program import program
from lstm2d.data.folder import DatasetFolder
from lstm2d.data.synth import CLASSES, draw_scene
from lstm2d.demo.showcase import photograph
from lstm2d.io.class_files import read_class_files
from lstm2d.io.images import read_photo
from lstm2d.io.masks import read_mask
from lstm2d.io.model_file import ModelFile, save_model
from lstm2d.models import build
from lstm2d.predict import load, zoo
from tests.runner import runner

SHORT = ("--seconds", "1", "--scenes", "10")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of bundled models with one fast, untrained model."""
    section = {"kind": "lstm2d", "window": 5, "units": [2], "features": [], "leaky": True}
    network = build(section, len(CLASSES), np.random.default_rng(0))
    model = ModelFile(
        state=network.state_dict(),
        preset="lstm2d-5x5",
        config={"model": section},
        classes=CLASSES,
        mean=(128.0,) * 3,
        std=(64.0,) * 3,
        ignore=255,
        library_version="0",
        seed=0,
        metrics={},
        trained_on="nothing at all",
        terms="free <to> use",
    )
    folder = tmp_path_factory.mktemp("zoo")
    save_model(folder / "outdoor.safetensors", model)
    return folder


@pytest.fixture(autouse=True)
def _bundled(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "ZOO", bundle)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> dict[str, Any]:
    """Return the JSON result of one demo."""
    out = tmp_path_factory.mktemp("demo") / "a demo"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zoo, "ZOO", bundle)
        result = runner().invoke(program, ["demo", "-o", str(out), "--seed", "3", *SHORT, "--json"])
    assert result.exit_code == 0, result.output
    assert "1/4" in result.stderr
    answer = json.loads(result.stdout.splitlines()[-1])
    assert isinstance(answer, dict)
    assert answer["out"] == str(out)
    return answer


def test_every_file_is_where_the_answer_says(shown: dict[str, Any]) -> None:
    for key in ("report", "gallery", "model"):
        assert Path(shown[key]).is_file()
    for key in ("labels", "run"):
        assert Path(shown[key]).is_dir()
    assert Path(shown["gallery"]).stat().st_size < 400_000
    assert (Path(shown["run"]) / "plots" / "confusion.png").is_file()
    stored = json.loads((Path(shown["out"]) / "demo.json").read_text())
    assert stored == {"state": "done"} | shown


def test_figures(shown: dict[str, Any]) -> None:
    assert shown["images"] == 2
    for name in ("pixel_accuracy", "class_accuracy", "mean_iou"):
        assert 0 <= shown[name] <= 1
    assert shown["seconds"] > 1
    # 8, 16, 32 units with peepholes, 12 and 24 features, 8 classes
    layers = ((75, 8, 12), (12, 16, 24), (24, 32, 8))
    assert shown["parameters"] == sum(20 * u * (c + 2 * u + 2) + u * f + f for c, u, f in layers)


def test_scenes_are_those_of_the_seed(shown: dict[str, Any]) -> None:
    dataset = DatasetFolder(Path(shown["out"]) / "scenes")
    assert {name: len(dataset.split(name)) for name in dataset.splits} == {"train": 7, "val": 1, "test": 2}
    image, labels = draw_scene(3, 8)
    found = dataset.load(dataset.split("test")[0])
    np.testing.assert_array_equal(found[0], image)
    np.testing.assert_array_equal(found[1], labels)


def test_labels_are_those_of_the_two_models(shown: dict[str, Any]) -> None:
    labels = Path(shown["labels"])
    names = sorted(path.name for path in labels.iterdir())
    stems = ("rocket", "scene_0008", "scene_0009")
    files = {name for stem in stems for name in (f"{stem}.png", f"{stem}_overlay.png")}
    assert names == sorted(files | {"classes.json", "legend.png"})
    assert [table.model for table in read_class_files(labels)] == ["run", "outdoor"]
    trained = load(shown["run"]).predict(draw_scene(3, 8)[0])
    np.testing.assert_array_equal(read_mask(labels / "scene_0008.png"), trained)
    photo = photograph()
    assert photo is not None
    assert read_photo(photo).pixels.shape == (427, 640, 3)
    np.testing.assert_array_equal(read_mask(labels / "rocket.png"), load("outdoor").predict(photo))


def test_report_tells_about_the_bundled_model(shown: dict[str, Any]) -> None:
    text = Path(shown["report"]).read_text()
    assert "nothing at all" in text
    assert "free &lt;to&gt; use" in text
    assert text.count("data:image/png;base64,") >= 2


def test_again_in_the_same_folder(shown: dict[str, Any], lstm2d: Callable[..., Any]) -> None:
    """The folder of a demo is replaced; other files in it are kept, or named before they are deleted."""
    out = Path(shown["out"])
    (out / "mine.txt").write_text("mine")
    (out / "labels" / "mine.png").write_text("mine")
    before = (out / "report.html").read_bytes()
    ran = lstm2d("demo", "-o", out, *SHORT, "--quiet")
    assert ran.code == 2
    assert str(out / "labels/mine.png") in ran.err
    assert "--overwrite" in ran.err
    assert (out / "labels/mine.png").read_text() == "mine"
    assert (out / "report.html").read_bytes() == before
    ran = lstm2d("demo", "-o", out, *SHORT, "--quiet", "--overwrite")
    assert ran.code == 0, ran.err
    assert ran.err == ""
    assert "".join(str(out / "report.html").split()) in "".join(ran.out.split())  # long lines are broken
    assert max(len(line) for line in ran.out.splitlines() if str(out) not in line) <= 80
    assert (out / "mine.txt").read_text() == "mine"
    assert not (out / "labels" / "mine.png").exists()


@pytest.mark.parametrize("mark", ['{"frames": 25}', "[]", "no JSON", '{"state": "other"}'])
def test_a_demo_json_of_another_program(tmp_path: Path, lstm2d: Callable[..., Any], mark: str) -> None:
    (tmp_path / "demo.json").write_text(mark)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine")
    assert lstm2d("demo", "-o", tmp_path, *SHORT).code == 5
    assert (tmp_path / "run" / "mine.txt").read_text() == "mine"
    assert (tmp_path / "demo.json").read_text() == mark


def test_a_folder_of_something_else_is_not_touched(tmp_path: Path, lstm2d: Callable[..., Any]) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine")
    ran = lstm2d("demo", "-o", tmp_path, *SHORT)
    assert ran.code == 5
    assert "not empty" in ran.err
    assert (tmp_path / "run" / "mine.txt").read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize(
    "options", [("--seconds", "0"), ("--scenes", "3"), ("--seed", "-1"), ("--device", "tpu")]
)
def test_wrong_options(tmp_path: Path, lstm2d: Callable[..., Any], options: tuple[str, str]) -> None:
    ran = lstm2d("demo", "-o", tmp_path / "out", *options)
    assert ran.code == 2
    assert not (tmp_path / "out").exists()


def test_without_the_model_nothing_is_begun(
    tmp_path: Path, lstm2d: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zoo, "ZOO", tmp_path)
    ran = lstm2d("demo", "-o", tmp_path / "out")
    assert ran.code == 3
    assert "outdoor" in ran.err
    assert not (tmp_path / "out").exists()
