"""Every preset and every bundled model as an ONNX file, in onnxruntime."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from lstm2d.config.load import preset_names
from lstm2d.export.check import (
    SIZES,
    compare,
    draw,
    in_float64,
    largest_difference,
    open_session,
    probabilities,
    run,
)
from lstm2d.export.onnx_file import metadata, to_bytes
from lstm2d.predict import Predictor
from lstm2d.predict.zoo import bundled_models
from tests.export.networks import predictor, small
from tests.predict.test_callers import load  # noqa: F401  a fixture

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

TINY = [(1, 1), (2, 3), (5, 4), (17, 33), (9, 50)]
EXPECTED = 5e-5


def file_of(made: Predictor) -> bytes:
    return to_bytes(made.network, made.preprocessing, metadata(made))


def check_sizes(made: Predictor, sizes: Sequence[tuple[int, int]]) -> None:
    session = open_session(file_of(made))
    for rows, columns in sizes:
        images = draw(2, rows, columns)
        with in_float64(made):
            exact = probabilities(made, images, np.float64)
        assert largest_difference(run(session, images), exact) < EXPECTED, (rows, columns)


@pytest.mark.slow
@pytest.mark.parametrize("preset", preset_names())
def test_every_preset(preset: str, rng: np.random.Generator) -> None:
    made = predictor(small(preset), rng)
    images = draw(1, *SIZES[0])
    assert probabilities(made, images).max() > 0.5  # else all are near 1 / 4, and errors are not seen
    found = compare(made, file_of(made), preset)
    assert {(one.batch, one.rows, one.columns) for one in found} == {(b, *s) for b in (1, 3) for s in SIZES}
    assert max(one.difference for one in found) < EXPECTED


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(bundled_models()))
def test_every_bundled_model(name: str, load: Callable[..., Predictor]) -> None:  # noqa: F811
    made = load(name)
    data = file_of(made)
    domains = {node.domain for node in onnx.load_from_string(data).graph.node}
    assert domains == {""}  # standard operators
    assert max(one.difference for one in compare(made, data, name)) < 1e-4


@pytest.mark.parametrize(
    ("preset", "resolution"),
    [("rcnn2", 2), ("rcnn2", 8), ("rcnn1", 4), ("cnn-133", 16), ("clarifai", 32), ("overfeat", 4)],
)
def test_every_resolution_of_any_image(preset: str, resolution: int, rng: np.random.Generator) -> None:
    check_sizes(predictor(small(preset), rng, resolution=resolution), TINY)


@pytest.mark.parametrize("instances", [1, 2])
def test_instances(instances: int, rng: np.random.Generator) -> None:
    check_sizes(predictor(small("rcnn2"), rng, instances=instances), TINY)


@pytest.mark.parametrize("preset", ["fcn-16s", "h-renet", "n-renet", "lstm2d-5x5"])
def test_images_of_any_size(preset: str, rng: np.random.Generator) -> None:
    check_sizes(predictor(small(preset), rng), TINY)


@pytest.mark.parametrize("contrast", ["image", "local"])
def test_contrast(contrast: str, rng: np.random.Generator) -> None:
    made = predictor(small("lstm2d-3x3"), rng, config={"data": {"contrast": contrast}})
    check_sizes(made, [*TINY, (40, 60)])
    session, plain = open_session(file_of(made)), np.full((1, 7, 9, 3), 77, np.float32)
    assert largest_difference(run(session, plain), probabilities(made, plain)) < EXPECTED


OPTIONS: list[dict[str, Any]] = [
    {"normalisation": "batch"},
    {"normalisation": "l2", "norm_order": "norm-relu", "sources": ["pool4", "conv7"]},
    {"align_corners": True, "unit": "irnn", "sources": ["pool5"]},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_options_of_h_renet(options: dict[str, Any], rng: np.random.Generator) -> None:
    section = small("h-renet") | {"units": [3], "patches": [2]} | options
    check_sizes(predictor(section, rng), [(17, 33), (40, 21)])
