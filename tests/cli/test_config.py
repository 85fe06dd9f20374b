"""`lstm2d config` on the command line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lstm2d.config import load_preset, load_toml


def test_show_gives_the_preset(lstm2d: Callable, tmp_path: Path) -> None:
    ran = lstm2d("config", "show", "lstm2d-5x5")
    assert (ran.code, ran.err) == (0, "")
    (tmp_path / "mine.toml").write_text(ran.out)
    assert load_toml(tmp_path / "mine.toml") == load_preset("lstm2d-5x5")
    ran = lstm2d("config", "show", tmp_path / "mine.toml", "--set", "train.epochs=3", "--json")
    assert ran.json["config"]["train"]["epochs"] == 3
    assert "epochs = 3" in ran.err


def test_a_wrong_value(lstm2d: Callable) -> None:
    ran = lstm2d("config", "show", "lstm2d-5x5", "--set", "train.epochs=none")
    assert (ran.code, ran.out) == (2, "")
    assert "train.epochs = 'none' (--set): expected an integer >= 1" in ran.err


def test_diff(lstm2d: Callable, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('preset = "lstm2d-5x5"\n[train]\nepochs = 3\n')
    ran = lstm2d("config", "diff", "lstm2d-5x5", tmp_path / "mine.toml", "--json")
    assert ran.code == 0
    assert ran.json["differences"] == {"train.epochs": ["100", "3"]}
    ran = lstm2d("config", "diff", "lstm2d-5x5", tmp_path / "mine.toml")
    assert [line.split() for line in ran.out.splitlines()] == [
        ["key", "lstm2d-5x5", str(tmp_path / "mine.toml")],
        ["train.epochs", "100", "3"],
    ]
    ran = lstm2d("config", "diff", "lstm2d-5x5", "lstm2d-5x5")
    assert (ran.code, ran.out) == (0, "no value differs\n")
    assert lstm2d("config", "diff", "lstm2d-5x5", "lstm2d-5x4").code == 2


def test_schema(lstm2d: Callable) -> None:
    ran = lstm2d("config", "schema", "--json", "--quiet")
    assert (ran.code, ran.err) == (0, "")
    assert ran.json["properties"]["train"]
    ran = lstm2d("config", "schema")
    assert max(map(len, ran.out.splitlines())) <= 80
    assert "train.epochs\n  value    an integer >= 1\n  default  100\n" in ran.out


@pytest.mark.slow
def test_a_copied_preset_trains_as_it_is(lstm2d: Callable, tmp_path: Path, rng: np.random.Generator) -> None:
    root = tmp_path / "data"
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    for number in range(4):
        labels = rng.integers(0, 2, (10, 15), dtype=np.uint8)
        Image.fromarray(labels * 120).convert("RGB").save(root / "images" / f"{number}.png")
        Image.fromarray(labels).save(root / "masks" / f"{number}.png")
    (tmp_path / "mine.toml").write_text(lstm2d("config", "show", "lstm2d-5x5").out)
    files = []
    for name, source in (("a", "lstm2d-5x5"), ("b", tmp_path / "mine.toml")):
        words = ["--data", root, "-o", tmp_path / name, "--set", "train.steps=2"]
        ran = lstm2d("train", source, *words)
        assert ran.code == 0, ran.err
        files.append([(tmp_path / name / file).read_bytes() for file in ("config.toml", "model.safetensors")])
    assert files[0] == files[1]
