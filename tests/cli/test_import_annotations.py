"""`lstm2d data import` of annotations: what it says, and the option for pixels outside of outlines."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lstm2d.data.folder import DatasetFolder


@pytest.fixture
def src(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Make a folder of labelme with one image; its left half is a tree, with a line and a car in it."""
    folder = tmp_path / "src"
    folder.mkdir()
    Image.fromarray(rng.integers(0, 256, (4, 6, 3), dtype=np.uint8)).save(folder / "a.png")
    shapes = [
        {"label": "tree", "points": [[0, 0], [3, 0], [3, 4], [0, 4]], "shape_type": "polygon"},
        {"label": "car", "points": [[1, 1], [2, 2]], "shape_type": "rectangle"},
        {"label": "car", "points": [[1, 1], [2, 2]], "shape_type": "line"},
    ]
    content = {"shapes": shapes, "imagePath": "a.png", "imageHeight": 4, "imageWidth": 6}
    (folder / "a.json").write_text(json.dumps(content))
    return folder


def test_pixels_outside_of_shapes(lstm2d: Callable, src: Path, tmp_path: Path) -> None:
    ran = lstm2d("data", "import", "auto", src, "-o", tmp_path / "out", "--json")
    assert ran.code == 0
    assert ran.json["kind"] == "labelme"
    assert ran.json["classes"] == ["_background_", "car", "tree"]
    assert ran.json["left_out"] == ["1 shapes of the type 'line': a.json, shape 2"]
    assert "recognised: labelme, by a.json has shapes" in ran.err
    assert (
        "pixels outside of a shape are class '_background_'; with --uncovered ignore they are ignored"
        in ran.err
    )
    assert "left out: 1 shapes of the type 'line': a.json, shape 2" in ran.err
    dataset = DatasetFolder(tmp_path / "out")
    assert dataset.load_labels(dataset.samples[0])[1].tolist() == [2, 1, 2, 0, 0, 0]

    ran = lstm2d("data", "import", "labelme", src, "-o", tmp_path / "less", "--uncovered", "ignore", "--json")
    assert ran.code == 0
    assert ran.json["classes"] == ["car", "tree"]
    dataset = DatasetFolder(tmp_path / "less")
    assert dataset.load_labels(dataset.samples[0])[1].tolist() == [1, 0, 1, 255, 255, 255]


def test_wrong_entries_are_listed_and_nothing_is_written(lstm2d: Callable, src: Path, tmp_path: Path) -> None:
    content = json.loads((src / "a.json").read_text())
    content["shapes"][0]["points"][1] = [float("nan"), 0]
    content["shapes"][1]["label"] = ""
    (src / "a.json").write_text(json.dumps(content))
    ran = lstm2d("data", "import", "auto", src, "-o", tmp_path / "out")
    assert ran.code == 3
    assert "2 wrong entries" in ran.err
    assert "a.json, shape 0: point 1 at (nan, 0) is not finite" in ran.err
    assert "a.json, shape 1: the class name ''" in ran.err
    assert not (tmp_path / "out").exists()
