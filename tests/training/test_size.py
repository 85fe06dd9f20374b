"""The size of training images: reduced as they are read, stored in the model, used in validation."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lstm2d.config import resolve
from lstm2d.data.folder import DatasetFolder
from lstm2d.errors import ConfigError
from lstm2d.io.model_file import load_model
from lstm2d.pipeline.resize import resize_photo
from lstm2d.predict import load
from lstm2d.predict.evaluate import evaluate
from lstm2d.training import assemble
from lstm2d.training.loop import train
from lstm2d.training.samples import TrainingData
from tests.training.runs import Configure, Stopper


@pytest.fixture
def large(dataset: Path) -> Path:
    """Return the dataset with every image and mask 8 times as large."""
    for path in [*dataset.glob("images/*.png"), *dataset.glob("masks/*.png")]:
        image = Image.open(path)
        kind = Image.Resampling.BICUBIC if path.parent.name == "images" else Image.Resampling.NEAREST
        image.resize((image.width * 8, image.height * 8), kind).save(path)
    return dataset


def test_images_and_masks_are_reduced_as_they_are_read(large: Path, configure: Configure) -> None:
    data = TrainingData(configure("data.size=10", "train.flip=false"), DatasetFolder(large), 3)
    sizes = [data.dataset.load(sample)[1].shape for sample in data.training]
    assert sizes == [(9, 12), (12, 9), (10, 10), (8, 13), (10, 10)]  # all brought down to about 100 pixels
    image, labels = data.dataset.load(data.training[0])
    full, mask = DatasetFolder(large).load(data.training[0])
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, np.rint(resize_photo(full, 9, 12)))
    np.testing.assert_array_equal(labels, mask[4::8, 4::8])
    assert data.preprocessing.typical_size == pytest.approx(10, abs=0.6)
    native = TrainingData(configure(), DatasetFolder(large), 3)
    assert native.preprocessing.typical_size == 80  # the median of 82.9, 82.9, 80, 70.2 and 48


def test_a_validation_has_the_figures_of_an_evaluation_at_full_size(
    large: Path, tmp_path: Path, configure: Configure
) -> None:
    result = train(configure("data.size=10", "train.epochs=4"), large, tmp_path / "run")
    model = load(result.model)
    assert model.model.typical_size == pytest.approx(10, abs=0.6)
    folder = DatasetFolder(large)
    found = evaluate(model, folder, folder.split("val"))
    assert found.confusion.matrix.sum() == 104 * 64 - 64 + 24 * 40 - 64  # masks as they are, a corner ignored
    for name, value in result.best.items():
        assert found.figures[name] == value
    assert found.figures["size"] == {"asked": "auto", "model": model.model.typical_size, "resized": 2}


def test_a_resumed_run_has_the_same_bits(large: Path, tmp_path: Path, configure: Configure) -> None:
    config = configure("data.size=10")
    whole = train(config, large, tmp_path / "whole")
    with pytest.raises(Exception, match="stopped after step 7"):
        train(config, large, tmp_path / "parts", report=Stopper(7))
    parts = train(config, large, tmp_path / "parts", resume=True)
    first, second = (load_model(r.model).state for r in (whole, parts))
    assert {k: v.tobytes() for k, v in first.items()} == {k: v.tobytes() for k, v in second.items()}


def test_large_images_are_warned_about(
    large: Path, tmp_path: Path, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assemble, "LARGE", 80 * 80 - 1)
    for size, warned in (("native", True), ("40", False)):
        heard = Stopper()
        train(configure("train.epochs=1", f"data.size={size}"), large, tmp_path / size, report=heard)
        texts = [e.values["text"] for e in heard.events if e.kind == "warning"]
        assert bool(texts) == warned
        if warned:
            assert "data.size=320" in texts[0]


def test_pixels_of_a_fixed_scale(large: Path, tmp_path: Path, configure: Configure) -> None:
    toml = large / "dataset.toml"
    toml.write_text('scale = "native"\n' + toml.read_text())
    result = train(configure("train.epochs=1"), large, tmp_path / "run")
    model = load(result.model)
    assert model.model.native
    assert model.preprocessing.network_size(4000, 3000) == (4000, 3000)


def test_a_channel_that_hardly_varies_keeps_its_scale(
    dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    """The blue channel is 40 everywhere but in a few pixels: its deviation is far below a gray level."""
    for path in dataset.glob("images/*.png"):
        image = np.array(Image.open(path))
        image[..., 2] = 40
        image[0, 0, 2] = 41
        Image.fromarray(image).save(path)
    heard = Stopper()
    result = train(configure("train.epochs=1"), dataset, tmp_path / "run", report=heard)
    model = load_model(result.model)
    assert model.std[2] == 1
    assert model.std[0] > 30
    notes = [e.values["text"] for e in heard.events if e.kind == "note"]
    assert any("channel 2 hardly varies" in text for text in notes)
    given = configure("train.epochs=1", "data.std=[50, 50, 0.5]")
    heard = Stopper()
    train(given, dataset, tmp_path / "given", report=heard)
    assert not any("hardly varies" in e.values.get("text", "") for e in heard.events)


@pytest.mark.parametrize(
    "wrong",
    ["data.size=0", "data.size=big", "data.bits=17", "data.background=[0, 0]", "data.background=[0, 0, 256]"],
)
def test_wrong_values(wrong: str) -> None:
    with pytest.raises(ConfigError, match=wrong.partition("=")[0]):
        resolve("lstm2d-5x5", [(wrong, "--set")])
