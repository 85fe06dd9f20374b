"""`lstm2d train auto` on the command line."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lstm2d.config import load_toml

AUTO = ["train", "auto", "--threads", "1", "--epochs", "1"]


@pytest.fixture
def data(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of four small images of two classes; nothing is imported."""
    monkeypatch.setenv("LSTM2D_DATA", str(tmp_path / "user"))
    root = tmp_path / "data"
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    for number in range(4):
        labels = rng.integers(0, 2, (10, 15), dtype=np.uint8)
        Image.fromarray(labels * 120).convert("RGB").save(root / "images" / f"{number}.png")
        Image.fromarray(labels).save(root / "masks" / f"{number}.png")
    return root


@pytest.mark.slow
def test_it_trains_as_the_printed_command_does(lstm2d: Callable, data: Path, tmp_path: Path) -> None:
    ran = lstm2d(*AUTO, "--data", data, "-o", tmp_path / "auto", "--max-time", "9h", "--set", "train.seed=3")
    assert ran.code == 0, ran.err
    lines = ran.err.splitlines()
    begin = next(line for line in lines if line.startswith("auto: "))
    assert begin == "auto: 4 images, 2 classes, typical size 12, VGG-16 not imported, 540 minutes"
    assert "chosen: lstm2d-5x5, started from outdoor" in lines
    assert any(line.startswith("all 3 steps fit into --max-time") for line in lines)
    words = shlex.split(lines[lines.index("the same by hand:") + 1])
    assert words[:3] == ["lstm2d", "train", "lstm2d-5x5"]
    words[words.index("-o") + 1] = str(tmp_path / "by hand")
    again = lstm2d(*words[1:])
    assert again.code == 0, again.err
    for name in ("config.toml", "model.safetensors"):
        assert (tmp_path / "auto" / name).read_bytes() == (tmp_path / "by hand" / name).read_bytes()
    config = load_toml(tmp_path / "auto" / "config.toml")
    assert (config.preset, config.train.init, config.train.seed) == ("lstm2d-5x5", "matching", 3)
    resumed = lstm2d("train", "auto", "--data", data, "-o", tmp_path / "auto", "--resume", "--epochs", 2)
    assert resumed.code == 0, resumed.err
    assert "epoch 2/2" in resumed.err


@pytest.mark.slow
def test_json_and_the_default_folder(
    lstm2d: Callable, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outdoor").mkdir()  # not the bundled model
    ran = lstm2d(*AUTO, "--data", data, "--json")
    assert ran.code == 0, ran.err
    choice = json.loads(ran.out.splitlines()[0])
    assert (choice["event"], choice["preset"], choice["init_from"]) == ("choice", "lstm2d-5x5", "outdoor")
    assert choice["settings"][:2] == ["train.select=foreground_iou", "train.init=matching"]
    assert choice["command"][choice["command"].index("--init-from") + 1].endswith("zoo/outdoor.safetensors")
    assert ran.json["run"] == str(Path("runs", "auto"))
    again = lstm2d(*AUTO, "--data", data)
    assert again.code == 2
    assert "the run folder is not empty" in again.err


def test_what_auto_refuses(lstm2d: Callable, data: Path, tmp_path: Path) -> None:
    ran = lstm2d(*AUTO, "--data", data, "-o", tmp_path / "run", "--init-from", "outdoor")
    assert ran.code == 2
    assert "--init-from with auto, which chooses a model to start from" in ran.err
    ran = lstm2d(*AUTO, "--data", data, "-o", tmp_path / "run", "--max-time", "30")
    assert ran.code == 2
    assert "train.max_time = '30' (--max-time)" in ran.err
    ran = lstm2d("train", "lstm2d-5x5", "--data", data, "--json")
    assert ran.code == 2
    assert ran.json["error"]["exit_code"] == 2
    assert "Missing option '--out' / '-o'." in ran.err
    assert not (tmp_path / "run").exists()
