"""`lstm2d models` and `lstm2d inspect` on the command line."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lstm2d.io.model_file import load_model, save_model
from lstm2d.predict import zoo


@pytest.fixture
def small_zoo(tmp_path: Path, brightness_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace the bundled models by one called "mini"."""
    folder = tmp_path / "zoo"
    folder.mkdir()
    shutil.copy(brightness_model, folder / "mini.safetensors")
    monkeypatch.setattr(zoo, "ZOO", folder)
    return folder / "mini.safetensors"


def test_models_json(lstm2d: Callable, small_zoo: Path) -> None:
    ran = lstm2d("models", "--json")
    assert ran.code == 0
    state = load_model(small_zoo).state
    assert ran.json == {
        "models": [
            {
                "name": "mini",
                "path": str(small_zoo),
                "bytes": small_zoo.stat().st_size,
                "parameters": sum(v.size for v in state.values()),
                "preset": "lstm2d-1x1",
                "classes": ["dark", "bright", "never"],
                "trained_on": "nothing: weights set by hand",
                "terms": "free for all",
                "metrics": {"test": {"pixel_accuracy": 0.5, "class_accuracy": 0.25, "mean_iou": 0.125}},
                "imported": None,
            }
        ]
    }


@pytest.mark.usefixtures("small_zoo")
def test_models_for_people(lstm2d: Callable) -> None:
    ran = lstm2d("models")
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[0] == "mini"
    assert "  trained on     nothing: weights set by hand" in lines
    assert "  terms of use   free for all" in lines
    assert "  test accuracy  pixel 50.00 %, class 25.00 %, mean IoU 12.50 %" in lines
    assert "  classes        dark, bright, never" in lines
    assert max(map(len, lines)) <= 80


def test_no_models(lstm2d: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "ZOO", tmp_path / "nowhere")
    ran = lstm2d("models", "--json")
    assert ran.code == 0
    assert ran.json == {"models": []}
    assert "this installation has no models" in ran.err


def test_inspect_json(lstm2d: Callable, brightness_model: Path) -> None:
    ran = lstm2d("inspect", brightness_model, "--json")
    assert ran.code == 0
    model = load_model(brightness_model)
    assert ran.json["classes"][1] == {"name": "bright", "color": [200, 210, 220]}
    assert ran.json["mean"] == [127.5] * 3
    assert ran.json["std"] == [51.0] * 3
    assert ran.json["ignore"] == 255
    assert ran.json["seed"] == 7
    assert ran.json["config"] == model.config
    assert ran.json["metrics"] == model.metrics
    assert ran.json["terms"] == "free for all"
    assert ran.json["tensors"] == {
        name: {"shape": list(v.shape), "dtype": "float32"} for name, v in model.state.items()
    }
    assert ran.json["parameters"] == sum(v.size for v in model.state.values())


def test_inspect_for_people(lstm2d: Callable, small_zoo: Path) -> None:
    ran = lstm2d("inspect", "mini")
    assert ran.code == 0
    words = [line.split() for line in ran.out.splitlines()]
    assert ["1", "bright", "#c8d2dc"] in words
    assert ["model.window", "1"] in words
    assert ["lstm.0.recurrent", "4x2x5", "float32"] in words
    assert "checksum verified" in ran.out
    assert str(small_zoo) in ran.out


def test_class_weights_are_shown(lstm2d: Callable, brightness_model: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    from lstm2d.io.model_file import save_model

    model = load_model(brightness_model)
    for weights, shown in (({"dark": 0.25, "bright": 4}, "dark 0.25, bright 4"), ({"dark": "x"}, "-")):
        metrics = {**model.metrics, "class_weights": weights}
        save_model(tmp_path / "weights.safetensors", replace(model, metrics=metrics))
        ran = lstm2d("inspect", tmp_path / "weights.safetensors")
        (line,) = [line for line in ran.out.splitlines() if line.startswith("class weights")]
        assert line.removeprefix("class weights").strip() == shown


@pytest.mark.parametrize("position", [0, 4, 9, 60, -200, -1])
def test_a_flipped_bit_is_seen(
    lstm2d: Callable, brightness_model: Path, tmp_path: Path, position: int
) -> None:
    data = bytearray(brightness_model.read_bytes())
    data[position] ^= 4
    (tmp_path / "bad.safetensors").write_bytes(data)
    ran = lstm2d("inspect", tmp_path / "bad.safetensors", "--json")
    assert ran.code == 3
    assert ran.json["error"]["kind"] == "DataError"
    assert ran.err.count("Error: ") == 1
    assert "bad.safetensors" in ran.err


@pytest.mark.parametrize("name", ["nowhere.safetensors", "photo.png", "."])
def test_what_is_no_model(lstm2d: Callable, photos: Path, name: str) -> None:
    shutil.copy(photos / "a.png", photos / "photo.png")
    ran = lstm2d("inspect", photos / name)
    assert ran.code == 3
    assert str(photos) in ran.err


def test_texts_in_a_model_cannot_steer_the_terminal(
    lstm2d: Callable, brightness_model: Path, tmp_path: Path
) -> None:
    from dataclasses import replace

    from lstm2d.io.model_file import save_model

    model = load_model(brightness_model)
    save_model(tmp_path / "odd.safetensors", replace(model, trained_on="\x1b]0;title\a"))
    ran = lstm2d("inspect", tmp_path / "odd.safetensors")
    assert ran.code == 0
    assert "\x1b" not in ran.out
    assert "\\x1b]0;title\\x07" in ran.out


def test_what_a_model_leaves_out(
    lstm2d: Callable, small_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    import numpy as np

    from lstm2d.io.model_file import Imported, save_model
    from lstm2d.weights.store import store_weights, weights_digest

    monkeypatch.setenv("LSTM2D_DATA", str(tmp_path / "data"))
    layers = {"conv1_1": (np.ones((3, 3, 3, 64), np.float32), np.ones(64, np.float32))}
    imported = Imported(weights_digest(layers), ("conv1_1",), ("backbone.conv1_1.weight",))
    save_model(small_zoo, replace(load_model(small_zoo), imported=imported))
    assert "conv1_1 of VGG-16: lstm2d weights import FILE" in lstm2d("models").out
    assert lstm2d("models", "--json").json["models"][0]["imported"] == ["conv1_1"]
    ran = lstm2d("inspect", "mini")  # needs no weights
    assert ran.code == 0
    assert f"conv1_1 of VGG-16, digest {imported.digest[:16]}; not imported yet" in " ".join(ran.out.split())
    assert lstm2d("inspect", "mini", "--json").json["imported"]["path"] is None
    path = store_weights(layers, name="any", convention="rgb", source="f").path
    assert lstm2d("inspect", "mini", "--json").json["imported"] == {
        "digest": imported.digest,
        "layers": ["conv1_1"],
        "parameters": ["backbone.conv1_1.weight"],
        "path": str(path),
    }


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "the size of the training images is unknown"),
        ({"typical_size": 277.1}, "resized to 277x277 pixels in area"),
        ({"native": True}, "a pixel has a fixed scale"),
    ],
)
def test_the_size_of_photographs(
    lstm2d: Callable, brightness_model: Path, tmp_path: Path, changes: dict[str, Any], text: str
) -> None:
    path = tmp_path / "m.safetensors"
    save_model(path, replace(load_model(brightness_model), **changes))
    ran = lstm2d("inspect", path, "--json")
    assert ran.json["typical_size"] == changes.get("typical_size")
    assert ran.json["native"] == changes.get("native", False)
    assert text in ran.err
