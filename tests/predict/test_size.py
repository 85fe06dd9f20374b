"""Photographs of any size get the labels that they have at the size of the training images."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lstm2d
from lstm2d.data.synth import draw_scene
from lstm2d.errors import ConfigError, DataError, ImageWarning
from lstm2d.io.model_file import load_model
from lstm2d.kernels.taps import bilinear_taps
from lstm2d.predict import Predictor, bundled_models, load, predictor


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    """Return a drawn scene of the size of the bundled models' training images."""
    return draw_scene(0, 0, height=240, width=320)[0]


def enlarged(pixels: np.ndarray, factor: float) -> np.ndarray:
    height, width = pixels.shape[:2]
    size = (round(width * factor), round(height * factor))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


@pytest.mark.parametrize("name", ["outdoor", "outdoor-renet"])
def test_a_large_photograph_gets_the_labels_of_the_small_one(
    scene: np.ndarray, name: str, rng: np.random.Generator
) -> None:
    model, factor = load(name), 6
    small = np.repeat(np.repeat(model.predict(scene), factor, axis=0), factor, axis=1)
    large = enlarged(scene, factor)
    assert (model.predict(large) == small).mean() > 0.9  # borders lie between the pixels of the small one
    noisy = np.clip(large.astype(int) + rng.integers(-40, 41, large.shape), 0, 255).astype(np.uint8)
    assert (model.predict(noisy) == small).mean() > 0.88
    assert (model.predict(large, size="native") == small).mean() < 0.8


def test_a_small_photograph_too(scene: np.ndarray) -> None:
    model = load("outdoor")
    small = enlarged(scene, 0.25)
    expected = model.predict(scene)[2::4, 2::4]
    brought, native = ((model.predict(small, size=size) == expected).mean() for size in ("auto", "native"))
    assert brought > native + 0.05


def test_probabilities_are_those_at_the_small_size_interpolated(scene: np.ndarray) -> None:
    model = load("outdoor")
    large = enlarged(scene, 2)
    rows, columns = model.preprocessing.network_size(480, 640)
    assert (rows, columns) == (240, 320)
    small = model.predict_proba(model.preprocessing.resized(large), size="native")
    full = model.predict_proba(large)
    assert full.shape == (480, 640, 8)
    start, index, weight = bilinear_taps(240, 480)
    k = 101
    between = sum(
        w * small[i] for i, w in zip(index[start[k] : start[k + 1]], weight[start[k] :], strict=False)
    )
    np.testing.assert_allclose(full[k, 0], between[0], atol=1e-6)
    np.testing.assert_allclose(full.sum(axis=2), 1, atol=1e-5)
    clear = np.diff(np.sort(full, axis=2)[..., -2:], axis=2)[..., 0] > 1e-4
    labels, again = model.labels_and_probabilities(large)
    np.testing.assert_array_equal(again, full)
    np.testing.assert_array_equal(labels, model.predict(large))
    np.testing.assert_array_equal(labels[clear], full.argmax(axis=2)[clear])


def test_a_number_is_taken_whatever_the_size(scene: np.ndarray) -> None:
    model = load("outdoor")
    asked = model.predict(scene, size=200)
    small = model.preprocessing.resized(scene, 200.0)
    assert small.shape[:2] == (173, 231)
    at_that_size = model.predict(small, size="native")
    rows, columns = (np.arange(n) * m // n for n, m in ((240, 173), (320, 231)))
    assert (asked == at_that_size[np.ix_(rows, columns)]).mean() > 0.97
    with pytest.raises(ConfigError, match="size 'huge'"):
        model.predict(scene, size="huge")  # type: ignore[arg-type]


def test_a_crf_runs_at_the_size_of_the_network(scene: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    from lstm2d.pipeline import crf

    seen = []
    real = crf.refine
    monkeypatch.setattr(crf, "refine", lambda p, image, s: seen.append(image.shape) or real(p, image, s))
    assert load("outdoor", crf="outdoor").predict(enlarged(scene, 2)).shape == (480, 640)
    assert seen == [(240, 320, 3)]


def test_every_bundled_model_knows_the_size_of_its_training_images() -> None:
    sizes = {name: load_model(path).typical_size for name, path in bundled_models().items()}
    assert sizes == pytest.approx(
        {name: (320 * 240) ** 0.5 for name in ("outdoor", "outdoor-renet", "outdoor-rcnn")}
        | {"street": (480 * 360) ** 0.5}
    )


def test_an_unknown_size_is_native_and_a_warning_for_large_photographs(
    brightness_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(brightness_model)
    assert model.size_is_unknown
    image = np.zeros((40, 50, 3), np.uint8)
    image[:, 20:] = 255
    model.predict(image)  # small: no warning
    monkeypatch.setattr(predictor, "LARGE", 1999)
    with pytest.warns(ImageWarning, match="does not say the size"):
        labels = model.predict(image)
    np.testing.assert_array_equal(labels, image[..., 0] > 127)
    model.predict(image, size="native")  # what is asked for needs no warning
    native = Predictor(replace(model.model, native=True))
    assert not native.size_is_unknown
    native.predict(image)


def test_weights_that_overflow_are_an_error_that_says_where(scene: np.ndarray) -> None:
    model = load_model(bundled_models()["outdoor"])
    wrong = dict(model.state)
    wrong["lstm.1.weight"] = np.full_like(wrong["lstm.1.weight"], np.inf)  # times inputs of both signs
    broken = Predictor(replace(model, state=wrong), source="some.safetensors")
    with pytest.raises(DataError, match="not finite, first in layer lstm2") as caught:
        broken.predict(scene)
    assert caught.value.where == "some.safetensors"


def test_a_deviation_that_overflows_is_an_error_that_says_where(scene: np.ndarray) -> None:
    model = load_model(bundled_models()["outdoor"])
    broken = Predictor(replace(model, std=(60.0, 1e-300, 60.0)), source="some.safetensors")
    for call in (broken.predict, broken.predict_proba):
        with pytest.raises(DataError, match="channel mean and deviation are out of range"):
            call(scene)


def test_the_size_is_part_of_lstm2d_load() -> None:
    assert lstm2d.load("outdoor").preprocessing.typical_size == pytest.approx(277.128, abs=1e-3)
