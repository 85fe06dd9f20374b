"""The presets: sizes of the papers, and every value with its source."""

from pathlib import Path
from typing import Any

import pytest

from lstm2d.config import (
    load_preset,
    preset_names,
)


def test_presets() -> None:
    sizes = {name: load_preset(name).model for name in preset_names()}
    windows = {name: size["window"] for name, size in sizes.items() if size["kind"] == "lstm2d"}
    paper = {"lstm2d-3x3-paper": 3, "lstm2d-5x5-paper": 5}
    assert windows == {"lstm2d-1x1": 1, "lstm2d-3x3": 3, "lstm2d-5x5": 5, **paper}
    for end in ("", "-paper"):
        wide, fine = sizes[f"lstm2d-5x5{end}"], sizes[f"lstm2d-3x3{end}"]
        assert (wide["units"], wide["features"]) == ([10, 20, 50], [12, 30])
        assert (fine["units"], fine["features"]) == ([4, 20, 50], [10, 30])


@pytest.mark.parametrize(
    ("name", "units", "patches", "features"),
    [
        ("reseg", [100, 100], [1, 1], "conv3_3"),
        ("reseg-paper", [100, 100], [2, 1], "conv3_3"),
        ("reseg-raw", [100, 100], [2, 1], "image"),
        ("n-renet", [40, 60, 80], [2, 1, 1], []),
        ("n-renet-ref", [40, 60, 60], [3, 1, 1], [80, 120]),
    ],
)
def test_presets_of_renet_layers(name: str, units: list[int], patches: list[int], features: Any) -> None:
    model = load_preset(name).model
    assert (model["units"], model["patches"], model["features"]) == (units, patches, features)


@pytest.mark.parametrize(
    ("name", "sources", "units", "normalisation", "steps"),
    [
        ("fcn-largefov", ["conv7"], [], "none", 12000),
        ("h-renet", ["conv7", "pool5", "pool4"], [120], "batch", 40000),
    ],
)
def test_presets_of_the_dilated_network(
    name: str, sources: list[str], units: list[int], normalisation: str, steps: int
) -> None:
    config = load_preset(name)
    model, train = config.model, config.train
    assert (model["sources"], model["units"], model["normalisation"]) == (sources, units, normalisation)
    assert (model["width"], model["conv7_kernel"]) == (1.0, 3)
    # from the authors' code
    assert (model["dropout"], model["norm_order"]) == (0.5, "norm-relu")
    assert (train.new_rate, train.bias_rate, train.clip_norm) == (10.0, 2.0, 0.0)
    assert (train.steps, train.batch, train.crop) == (steps, 10, [400, 500])
    assert (train.learning_rate, train.schedule, train.step_at) == (0.001, "step", [0.5])
    assert train.epochs >= train.steps  # so `steps` ends the run, even one on a single minibatch


@pytest.mark.parametrize(
    ("name", "section", "batch", "examples"),
    [
        ("clarifai", {"architecture": "clarifai", "patch": 235, "weights": "zf"}, 64, "superpixels"),
        ("overfeat", {"architecture": "overfeat", "patch": 231, "weights": "overfeat"}, 64, "superpixels"),
        ("fcn-32s", {"finest": 32, "weights": "vgg16"}, 10, "images"),
        ("fcn-16s", {"finest": 16, "weights": "vgg16"}, 10, "images"),
    ],
)
def test_presets_of_the_baselines_of_label_hierarchies(
    name: str, section: dict[str, Any], batch: int, examples: str
) -> None:
    config = load_preset(name)
    train = config.train
    assert section.items() <= config.model.items()
    assert (config.model["dropout"], config.model["width"], config.model["loss"]) == (0.5, 1.0, "mean")
    assert (train.batch, train.examples, train.learning_rate, train.momentum) == (batch, examples, 0.001, 0.9)
    assert (train.schedule, train.step_factor, train.step_every) == ("step", 10.0, 20000)
    assert (train.flip, train.scale_jitter, train.rotation) == (True, 0.1, 8.0)
    assert (config.data.mean, config.data.std) == ([123.68, 116.779, 103.939], [1.0, 1.0, 1.0])


@pytest.mark.parametrize("name", preset_names())
def test_every_value_of_a_preset_is_in_its_file_with_a_comment(name: str) -> None:
    import lstm2d.config.load as load

    text = (Path(load.__file__).parents[1] / "presets" / f"{name}.toml").read_text()
    config = load_preset(name).model_dump()
    for section in ("model", "train", "data", *(["crf"] if "crf" in config else [])):
        part = text.partition(f"\n[{section}]")[2].partition("\n[")[0]
        for key in config[section]:
            if key == "kind":
                continue
            lines = [line for line in part.splitlines() if line.startswith(f"{key} = ")]
            assert len(lines) == 1, key
            assert "#" in lines[0], key


@pytest.mark.parametrize("window", [3, 5])
def test_the_papers_own_run(window: int) -> None:
    paper, usual = load_preset(f"lstm2d-{window}x{window}-paper"), load_preset(f"lstm2d-{window}x{window}")
    model = {"feedforward": "shared", "peepholes": True, "cell_scale": 1.0, "leaky": False}
    model |= {"gate_clip": 1.0, "init": 0.1, "forget_bias": [0.0, 0.0]}
    assert paper.model == {**usual.model, **model}
    train = {"learning_rate": 1e-6, "momentum": 0.9, "batch": 1, "weight_decay": 0.0, "clip_norm": 0.0}
    train |= {"schedule": "constant", "warmup_steps": 0, "flip": False, "scale_jitter": 0.0}
    train |= {"brightness_jitter": 0.0, "crop": [], "class_weights": "none", "epochs": 10000}
    assert paper.train.model_dump() == {**usual.train.model_dump(), **train}
    assert paper.data == usual.data
