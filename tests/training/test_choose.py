"""`train auto`: the choice for a dataset, an installation and a time."""

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lstm2d.config import resolve
from lstm2d.data.folder import DatasetFolder
from lstm2d.errors import DataError
from lstm2d.predict import bundled_models
from lstm2d.training.choose import Facts, choose, has_vgg16, look_at
from lstm2d.weights.store import store_weights
from lstm2d.weights.vgg16 import LAYERS

SMALL = {"images": 600, "classes": 5, "size": 277.0, "native": False, "vgg16": False, "seconds": 600.0}


def facts(**changes: object) -> Facts:
    return Facts(**(SMALL | changes))  # type: ignore[arg-type]


def test_without_vgg16_a_bundled_model_is_the_start() -> None:
    for seconds in (60.0, 600.0, 1e6, math.inf):
        choice = choose(facts(seconds=seconds))
        assert (choice.preset, choice.init_from) == ("lstm2d-5x5", "outdoor")
        assert choice.settings == (
            "train.init=matching",
            "train.learning_rate=1.25e-05",
            "train.warmup_steps=200",
            "train.select=mean_iou",
        )


def test_with_vgg16_and_the_time_for_its_features() -> None:
    choice = choose(facts(vgg16=True))
    assert (choice.preset, choice.init_from) == ("reseg-paper", None)
    assert choice.settings == ("train.warmup_steps=100", "train.schedule=cosine")
    assert choose(facts(vgg16=True, seconds=math.inf)).settings == ("train.warmup_steps=100",)


@pytest.mark.parametrize("vgg16", [False, True])
def test_two_classes_are_foreground_and_rest(vgg16: bool) -> None:
    for classes, expected in (
        (2, ["train.select=foreground_iou"]),
        (3, [] if vgg16 else ["train.select=mean_iou"]),
    ):
        choice = choose(facts(vgg16=vgg16, classes=classes))
        assert [item for item in choice.settings if item.startswith("train.select")] == expected


def test_the_time_for_the_features_depends_on_the_pixels() -> None:
    """0.8 s per image of 320x240 pixels: 480 s for 600 of them."""
    side = math.sqrt(320 * 240)
    for size, seconds in ((side, 480.0), (side / 2, 120.0), (1.5 * side, 1080.0)):
        assert choose(facts(vgg16=True, size=size, seconds=seconds + 0.1)).preset == "reseg-paper"
        short = choose(facts(vgg16=True, size=size, seconds=seconds - 0.1))
        assert short.preset == "lstm2d-5x5"
        assert any(why.startswith("the features of VGG-16 need about") for why in short.reasons)


@pytest.mark.parametrize("vgg16", [False, True])
def test_large_images_are_reduced_unless_their_scale_is_fixed(vgg16: bool) -> None:
    for size, native, expected in (
        (480.0, False, 0),
        (481.0, False, 1),
        (3464.0, False, 1),
        (3464.0, True, 0),
    ):
        choice = choose(facts(size=size, native=native, vgg16=vgg16))
        assert choice.settings.count("data.size=320") == expected


def test_the_time_is_that_of_reduced_images() -> None:
    assert choose(facts(vgg16=True, size=3464.0, seconds=900.0)).preset == "reseg-paper"
    assert choose(facts(vgg16=True, size=3464.0, seconds=900.0, native=True)).preset == "lstm2d-5x5"


@pytest.mark.parametrize("vgg16", [False, True])
@pytest.mark.parametrize("size", [100.0, 2000.0])
def test_every_choice_is_valid(vgg16: bool, size: float) -> None:
    choice = choose(facts(vgg16=vgg16, size=size, images=100))
    resolve(choice.preset, [(item, "auto") for item in choice.settings])
    assert choice.init_from is None or choice.init_from in bundled_models()
    assert choice.reasons


def test_the_facts_of_a_dataset(dataset: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LSTM2D_DATA", str(tmp_path / "user"))
    found = look_at(DatasetFolder(dataset), "train", 90.0)
    # of 9x12, 12x9, 10x10, 7x11 and 6x6 pixels, 10x10 is in the middle
    assert found == Facts(images=5, classes=3, size=10.0, native=False, vgg16=False, seconds=90.0)
    assert look_at(DatasetFolder(dataset), "val", 90.0).images == 2
    with pytest.raises(DataError, match="other"):
        look_at(DatasetFolder(dataset), "other", 90.0)


def test_no_image_is_noted_before_the_run_reads_it(dataset: Path) -> None:
    """The run reports what it converts; the choice must not use that up."""
    for path in (dataset / "images").iterdir():
        with Image.open(path) as image:
            gray = np.array(image.convert("L"))
        Image.fromarray(gray.astype(np.uint16) * 16).save(path)  # 12 bits in 16
    folder = DatasetFolder(dataset)
    look_at(folder, "train", 90.0)
    assert folder.notes.counts() == {}
    folder.load(folder.samples[0])
    assert folder.notes.counts() != {}


def test_whether_vgg16_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSTM2D_DATA", str(tmp_path / "user"))
    rng = np.random.default_rng(0)

    def keep(count: int, name: str = "vgg16") -> None:
        layers = {
            layer: (rng.standard_normal(shape).astype(np.float32), np.zeros(shape[3], np.float32))
            for layer, shape in list(LAYERS.items())[:count]
        }
        store_weights(layers, name=name, convention="caffe", source="test")

    assert not has_vgg16()
    keep(6)  # up to conv3_2
    keep(7, "other")
    assert not has_vgg16()
    keep(7)
    assert has_vgg16()
    keep(7)  # other values of the same name: ambiguous
    assert not has_vgg16()
