"""Predictors: normalisation, padding, cropping, and invalid files."""

import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import lstm2d
from lstm2d.data.contrast import with_contrast
from lstm2d.data.transforms import normalise
from lstm2d.errors import DataError, ShapeError
from lstm2d.io.model_file import ClassInfo, ModelFile, load_model
from lstm2d.models import build
from lstm2d.predict import Predictor, load
from lstm2d.tensor import Tensor

SECTION: dict[str, Any] = {
    "kind": "lstm2d",
    "window": 3,
    "units": [2, 3],
    "features": [4],
    "feedforward": "separate",
    "peepholes": True,
}


def random_model(rng: np.random.Generator, **changes: Any) -> ModelFile:
    """Return a small model with random weights."""
    network = build(SECTION, 4, rng)
    model = ModelFile(
        state=network.state_dict(),
        preset="none",
        config={"model": SECTION},
        classes=tuple(ClassInfo(name, (k, k, k)) for k, name in enumerate("abcd")),
        mean=(100.0, 110.0, 120.0),
        std=(50.0, 60.0, 70.0),
        ignore=255,
        library_version="0",
        seed=0,
        metrics={},
        trained_on="",
        terms="",
    )
    return replace(model, **changes)


def photo(rng: np.random.Generator, height: int = 8, width: int = 10) -> np.ndarray:
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_contrast_of_the_configuration(rng: np.random.Generator) -> None:
    image, model = photo(rng, 9, 9), random_model(rng)
    local = replace(model, config={**model.config, "data": {"contrast": "local"}})
    plain = Predictor(model)
    assert plain.predict_proba(image).tobytes() != Predictor(local).predict_proba(image).tobytes()
    x = normalise(with_contrast(image, "local"), model.mean, model.std)
    expected = build(SECTION, 4, rng)
    expected.load_state_dict(model.state)
    np.testing.assert_array_equal(
        Predictor(local).predict_proba(image), expected.probabilities(Tensor(x[None]))[0]
    )
    for data in ({"contrast": "global"}, {"contrast": ["local"]}, 4):
        with pytest.raises(DataError, match=r"unknown data\.contrast"):
            Predictor(replace(model, config={**model.config, "data": data}))


def test_probabilities_of_a_constant_model_by_hand(rng: np.random.Generator) -> None:
    model = random_model(rng)
    state = {name: np.zeros_like(values) for name, values in model.state.items()}
    state["feedforward.1.bias"][:] = np.log([0.1, 0.2, 0.4, 0.3])
    predictor = Predictor(replace(model, state=state))
    found = predictor.predict_proba(photo(rng, 7, 5))
    assert found.shape == (7, 5, 4)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.broadcast_to([0.1, 0.2, 0.4, 0.3], (7, 5, 4)), rtol=1e-6)
    labels = predictor.predict(photo(rng, 7, 5))
    assert labels.dtype == np.uint8
    assert (labels == 2).all()


def test_labels_of_the_brightness_model(brightness_model: Path, rng: np.random.Generator) -> None:
    image = photo(rng, 13, 17)
    np.testing.assert_array_equal(load(brightness_model).predict(image), image[:, :, 0] > 127)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 3), (8, 10), (9, 4), (2, 30)])
def test_equals_the_network_on_a_normalised_and_padded_image(
    rng: np.random.Generator, height: int, width: int
) -> None:
    model, image = random_model(rng), photo(rng, height, width)
    network = build(SECTION, 4, rng)
    network.load_state_dict(model.state)
    rows = np.minimum(np.arange(-(-height // 3) * 3), height - 1)
    columns = np.minimum(np.arange(-(-width // 3) * 3), width - 1)
    x = (image[rows][:, columns].astype(np.float64) - model.mean) / model.std
    expected = network.probabilities(Tensor(x[None].astype(np.float32)))[0, :height, :width]
    found = Predictor(model).predict_proba(image)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=2), 1, atol=1e-6)


def test_one_image_has_the_same_bits_whatever_the_threads_and_whatever_came_before(
    rng: np.random.Generator,
) -> None:
    predictor, image = Predictor(random_model(rng)), photo(rng, 40, 31)
    expected = predictor.predict_proba(image)
    before = lstm2d.get_num_threads()
    try:
        for threads in (1, 2, 3):
            lstm2d.set_num_threads(threads)
            predictor.predict_proba(photo(rng, 50, 29))
            assert predictor.predict_proba(image).tobytes() == expected.tobytes()
    finally:
        lstm2d.set_num_threads(before)


def test_every_form_of_one_image_gives_the_same_labels(rng: np.random.Generator, tmp_path: Path) -> None:
    predictor = Predictor(random_model(rng))
    gray = rng.integers(0, 256, (9, 11), dtype=np.uint8)
    Image.fromarray(gray).save(tmp_path / "gray.png")
    image = np.repeat(gray[:, :, None], 3, axis=2)
    expected = predictor.predict_proba(image)
    forms = [
        gray,
        gray[:, :, None],
        gray.astype(np.uint16) * np.uint16(257),
        gray.astype(np.int64),
        gray / 255,
        gray.astype(np.float32),
        image[::-1][::-1],
        np.asfortranarray(image),
        tmp_path / "gray.png",
        str(tmp_path / "gray.png"),
    ]
    for form in forms:
        np.testing.assert_allclose(predictor.predict_proba(form), expected, atol=2e-5)
    black_and_white = gray > 127
    np.testing.assert_array_equal(
        predictor.predict(black_and_white), predictor.predict(black_and_white.astype(np.uint8) * 255)
    )


def test_the_image_stays_as_it_was(rng: np.random.Generator) -> None:
    image = photo(rng)
    image.flags.writeable = False
    before = image.tobytes()
    Predictor(random_model(rng)).predict(image)
    assert image.tobytes() == before


@pytest.mark.parametrize("shape", [(4,), (4, 4, 2), (4, 4, 5), (2, 4, 4, 2), (0, 4, 3), (4, 0, 3)])
def test_wrong_shape(rng: np.random.Generator, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="image to label"):
        Predictor(random_model(rng)).predict(np.zeros(shape, np.uint8))


@pytest.mark.parametrize(
    "value", [np.nan, np.inf, -0.6, 140_000.0, np.int32(-1), np.int64(70_000), np.complex64(1)]
)
def test_wrong_values(rng: np.random.Generator, value: Any) -> None:
    image = np.full((4, 4, 3), value)
    image[0, 0, 0] = 0
    with pytest.raises(DataError, match="image"):
        Predictor(random_model(rng)).predict(image)


def test_a_missing_image_is_named(rng: np.random.Generator, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.png"):
        Predictor(random_model(rng)).predict(tmp_path / "nowhere.png")


def test_parameters_are_counted(rng: np.random.Generator) -> None:
    model = random_model(rng)
    assert Predictor(model).parameters == sum(v.size for v in model.state.values())


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"units": [2, 30_000_000]}, "units = "),
        ({"units": [2, 200]}, "parameters"),
        ({"window": 0}, "window = 0"),
        ({"window": "3"}, "window = '3'"),
        ({"window": True}, "window = True"),
        ({"units": 3}, "units = 3, expected a list of 1 to 8 values"),
        ({"units": [2, {}]}, "units = "),
        ({"cell_scale": 10**400}, "cell_scale"),
        ({"units": [3, 2]}, "parameters"),
        ({"features": []}, "cannot be built"),
        ({"kind": "__import__"}, "kind"),
        ({"peepholes": False}, "parameters"),
        ({"more": 1}, "unknown more"),
        ({"cell_scale": "x"}, "cannot be built"),
        ({"cell_scale": 5}, "cell_scale"),
    ],
)
def test_a_wrong_configuration_is_one_error(
    rng: np.random.Generator, changes: dict[str, Any], part: str
) -> None:
    model = random_model(rng, config={"model": SECTION | changes})
    with pytest.raises(DataError, match=part) as caught:
        Predictor(model, source="some.safetensors")
    assert caught.value.where == "some.safetensors"


LARGE = {"units": [4096] * 8, "patches": [64] * 8}


@pytest.mark.parametrize(
    "section",
    [
        {"kind": "lstm2d", "window": 64, "units": [4096] * 8, "features": [4096] * 7},
        {"kind": "n-renet", **LARGE},
        {"kind": "reseg", **LARGE, "features": "conv5_3", "weights": "", "upsample_channels": 4096},
        {"kind": "h-renet", **LARGE, "width": 4.0, "weights": "", "normalisation": "batch"},
    ],
)
def test_the_largest_sizes_in_a_file_take_no_memory(
    rng: np.random.Generator, section: dict[str, Any]
) -> None:
    model = random_model(rng, config={"model": section})
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"its sizes need \d{10,} parameters"):
            Predictor(model)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_missing_configuration_is_one_error(rng: np.random.Generator) -> None:
    with pytest.raises(DataError, match="model"):
        Predictor(random_model(rng, config={}))


def test_wrong_parameters_are_one_error(rng: np.random.Generator) -> None:
    model = random_model(rng)
    state = {("x" + k if k == "lstm.0.bias" else k): v for k, v in model.state.items()}
    with pytest.raises(DataError, match="xlstm"):
        Predictor(replace(model, state=state))


def test_other_channels_are_refused(rng: np.random.Generator) -> None:
    with pytest.raises(DataError, match="1 channels"):
        Predictor(random_model(rng, mean=(1.0,), std=(1.0,)))


def test_loaded_is_what_was_saved(brightness_model: Path, rng: np.random.Generator) -> None:
    image = photo(rng)
    direct = Predictor(load_model(brightness_model)).predict_proba(image)
    assert lstm2d.load(brightness_model).predict_proba(image).tobytes() == direct.tobytes()
