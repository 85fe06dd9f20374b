"""A new network needs one file, one row of the registry and one preset; everything else works with it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lstm2d
from lstm2d.cli.program import program
from lstm2d.io.model_file import load_model
from lstm2d.models import MODELS, ModelKind, build, parameter_count
from lstm2d.tensor import Tensor
from tests.models.mean_colour import MeanColourConfig, MeanColourNetwork
from tests.runner import runner

PRESET = """
[model]
kind = "mean-colour"
block = 2

[train]
learning_rate = 0.02
clip_norm = 50.0
schedule = "constant"
epochs = 40
"""
COLOURS = np.array([[40, 40, 40], [210, 60, 50], [60, 70, 200]])


def command(*words: object) -> str:
    done = runner().invoke(program, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, "mean-colour", ModelKind(MeanColourConfig, MeanColourNetwork))


@pytest.fixture
def data(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Return a dataset whose colours determine the class; its sides are not multiples of the block size."""
    for name in ("images", "masks"):
        (tmp_path / "data" / name).mkdir(parents=True)
    for k in range(8):
        labels = rng.integers(0, 3, (3, 4)).repeat(5, 0).repeat(5, 1).astype(np.uint8)
        image = np.clip(COLOURS[labels] + rng.normal(0, 8, (*labels.shape, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(image).save(tmp_path / "data" / "images" / f"{k}.png")
        Image.fromarray(labels).save(tmp_path / "data" / "masks" / f"{k}.png")
    return tmp_path / "data"


@pytest.mark.slow
def test_it_trains_saves_loads_predicts_resumes_and_shows_feature_maps(data: Path, tmp_path: Path) -> None:
    preset, run, straight = tmp_path / "mean.toml", tmp_path / "run", tmp_path / "straight"
    preset.write_text(PRESET)
    words = ["train", preset, "--data", data, "-q"]
    command(*words, "-o", straight)
    command(*words, "-o", run, "--epochs", 3)
    command(*words, "-o", run, "--epochs", 40, "--resume")
    found, expected = (load_model(folder / "model.safetensors").state for folder in (run, straight))
    assert found.keys() == {"hidden.weight", "hidden.bias", "classify.weight", "classify.bias"}
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)

    command("predict", run, data / "images", "-o", tmp_path / "out", "-q")
    labels = np.asarray(Image.open(tmp_path / "out" / "3.png"))
    truth = np.asarray(Image.open(data / "masks" / "3.png"))
    assert (labels == truth).mean() > 0.75
    model = lstm2d.load(run)
    np.testing.assert_array_equal(model.predict(data / "images" / "3.png"), labels)
    assert "mean-colour" in command("inspect", run)

    network = build({"kind": "mean-colour", "block": 2}, 3, np.random.default_rng(0))
    network.load_state_dict(found)
    x = np.linspace(-1, 1, 4 * 6 * 3, dtype=np.float32).reshape(1, 4, 6, 3)
    maps = network.feature_maps(Tensor(x))
    assert list(maps) == ["hidden", "scores"]
    means = x.reshape(1, 2, 2, 3, 2, 3).mean(axis=(2, 4))
    by_hand = np.tanh(means @ found["hidden.weight"] + found["hidden.bias"])
    np.testing.assert_allclose(maps["hidden"], by_hand, rtol=1e-5, atol=1e-6)


def test_its_options_are_checked_everywhere(data: Path, tmp_path: Path) -> None:
    assert parameter_count({"kind": "mean-colour", "block": 2, "units": 5}, 3) == 4 * 5 + 6 * 3
    (tmp_path / "mean.toml").write_text(PRESET.replace("block = 2", "block = 17"))
    words = ["train", tmp_path / "mean.toml", "--data", data, "-o", tmp_path / "run"]
    done = runner().invoke(program, [str(word) for word in words])
    assert done.exit_code == 2
    assert "model.block = 17" in done.stderr
    assert "<= 16" in done.stderr
