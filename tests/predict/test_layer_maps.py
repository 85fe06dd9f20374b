"""Feature maps of a predictor: those of the network, without the padding."""

import warnings
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm2d.errors import ConfigError, DataError, ImageWarning
from lstm2d.models import build
from lstm2d.predict import Predictor, load
from lstm2d.tensor import Tensor
from tests.predict.test_predictor import SECTION, photo, random_model

RENET: dict[str, Any] = {"kind": "n-renet", "units": [3, 2], "patches": [2, 2], "features": [5]}


def padded_input(image: np.ndarray, predictor: Predictor, multiple: int) -> np.ndarray:
    """Return the normalised image, its edge repeated at the bottom and at the right."""
    height, width = image.shape[:2]
    rows = np.minimum(np.arange(-(-height // multiple) * multiple), height - 1)
    columns = np.minimum(np.arange(-(-width // multiple) * multiple), width - 1)
    x = (image[rows][:, columns].astype(np.float64) - predictor.model.mean) / predictor.model.std
    return x[None].astype(np.float32)


@given(height=st.integers(1, 9), width=st.integers(1, 9))
def test_maps_are_those_of_the_network_without_the_padding(height: int, width: int) -> None:
    rng = np.random.default_rng(height * 10 + width)
    model, image = random_model(rng), photo(rng, height, width)
    network = build(SECTION, 4, rng)
    network.load_state_dict(model.state)
    predictor = Predictor(model)
    expected = network.feature_maps(Tensor(padded_input(image, predictor, 3)))
    found = predictor.features(image)
    assert list(found) == ["lstm1", "feedforward1", "lstm2", "scores"]
    for name, values in found.items():
        assert values.dtype == np.float32
        # windows of 3x3 pixels; the last row and column may be cut
        np.testing.assert_allclose(values, expected[name][0], atol=1e-5)
        assert values.shape[:2] == (-(-height // 3), -(-width // 3))


def test_positions_in_the_padding_alone_are_left_out(rng: np.random.Generator) -> None:
    network = build(RENET, 2, rng)
    model = replace(random_model(rng), state=network.state_dict(), config={"model": RENET})
    predictor = Predictor(replace(model, classes=model.classes[:2]))
    image = photo(rng, 5, 6)  # padded to 8x8: 4x4 patches of 2 pixels, then 2x2 of 4
    layers = {layer.name: layer for layer in predictor.layers_of(image)}
    shapes = {name: (layer.values.shape, layer.stride) for name, layer in layers.items()}
    assert shapes == {
        "renet1(V)": ((3, 3, 6), 2),
        "renet1(H)": ((3, 3, 6), 2),
        "conv1": ((3, 3, 5), 2),
        "renet2(V)": ((2, 2, 4), 4),
        "renet2(H)": ((2, 2, 4), 4),
        "scores": ((5, 6, 2), 1),
    }
    expected = network.feature_maps(Tensor(padded_input(image, predictor, 4)))
    for name, layer in layers.items():
        rows, columns = layer.values.shape[:2]
        np.testing.assert_allclose(layer.values, expected[name][0, :rows, :columns], atol=1e-5)


def test_size_rule_and_warnings_are_those_of_predict(rng: np.random.Generator) -> None:
    predictor = Predictor(random_model(rng, typical_size=12.0))
    image = photo(rng, 24, 54)  # 36 on average: reduced to 8x18
    assert predictor.features(image)["scores"].shape == (3, 6, 4)
    assert predictor.features(image, size="native")["scores"].shape == (8, 18, 4)
    with pytest.raises(ConfigError, match="size 'huge'"):
        predictor.features(image, size="huge")  # type: ignore[arg-type]
    with pytest.warns(ImageWarning, match="channels come first"):
        predictor.features(image.transpose(2, 0, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predictor.features(image)


def test_values_that_are_not_finite_name_their_layer(rng: np.random.Generator) -> None:
    model = random_model(rng)
    state = {name: values.copy() for name, values in model.state.items()}
    state["feedforward.0.bias"][1] = np.nan
    with pytest.raises(DataError, match="not finite, first in layer feedforward1"):
        Predictor(replace(model, state=state)).features(photo(rng))


def test_a_device_gives_the_maps_of_the_cpu(
    brightness_model: Path, rng: np.random.Generator, device: str, cupy_module: ModuleType
) -> None:
    image = photo(rng, 7, 5)
    found = load(brightness_model, device=device).features(image)
    expected = load(brightness_model).features(image)
    assert list(found) == list(expected) == ["lstm1", "scores"]
    for name, values in found.items():
        assert isinstance(values, np.ndarray)
        np.testing.assert_allclose(values, expected[name], atol=1e-5)
