"""Small networks of all presets, and models of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lstm2d.config.load import load_preset
from lstm2d.io.classes import ClassInfo
from lstm2d.io.model_file import ModelFile
from lstm2d.models import Network, build
from lstm2d.predict import Predictor
from lstm2d.tape import no_grad
from lstm2d.tensor import Tensor
from tests.predict.test_predictor import random_model

CLASSES = 4
SHARP = 4.0  # standard deviation of class scores, so that probabilities differ
RCNN = ("rcnn1", "rcnn2", "cnn-133")


def small(preset: str) -> dict[str, Any]:
    """Return the section ``[model]`` of a preset with fewer channels, and no imported weights."""
    section = dict(load_preset(preset).model)
    if "width" in section:
        section["width"] = 0.03125
    if "weights" in section:
        section["weights"] = ""
    if section.get("features") == "conv3_3":
        section |= {"units": [5] * len(section["units"]), "upsample_channels": 6}
    if preset in RCNN:
        section["channels"] = [4, 5]
    return section


def sharpen(network: Network, rng: np.random.Generator) -> None:
    """Draw biases and statistics, and let the head's scores of random images differ by several units."""
    heads = network.heads()
    for name, p in network.named_parameters():
        if name.endswith("bias") and name.removesuffix(".bias") not in heads:
            p.data[...] = 0.2 * rng.standard_normal(p.shape)
    for name, values in network.arrays().items():
        if name.endswith(("mean", "var")):
            values[...] = rng.uniform(0.5, 1.5, values.shape)
    for head in heads.values():
        if not head.weight.data.any():  # scores of pool4 start at 0
            head.weight.data[...] = 0.1 * rng.standard_normal(head.weight.shape)
    side = 3 * network.stride + 2 * network.padding
    with no_grad():
        x = Tensor(rng.standard_normal((1, side, side, 3)).astype(np.float32))
        spread = network.scores(network.frozen(x)).data.std()
    for head in heads.values():
        head.weight.data *= np.float32(SHARP / max(spread, 1e-9))


def model(section: dict[str, Any], rng: np.random.Generator, **config: Any) -> ModelFile:
    """Return a model with random weights."""
    network = build(section, CLASSES, rng)
    sharpen(network, rng)
    state: Mapping[str, Any] = network.state_dict()
    classes = tuple(ClassInfo(f"class {k}", (k, 2 * k, 3 * k)) for k in range(CLASSES))
    return random_model(rng, state=state, classes=classes, config={"model": section, **config})


def predictor(section: dict[str, Any], rng: np.random.Generator, **options: Any) -> Predictor:
    """Return a predictor with random weights, without a CRF."""
    config = options.pop("config", {})
    return Predictor(model(section, rng, **config), crf=False, **options)
