"""Small networks of every kind, which score six subclasses of three classes."""

from typing import Any

import numpy as np
import pytest

from lstm2d.models import Network, RCNNNetwork, Step, build
from lstm2d.models.subclasses import score_subclasses
from lstm2d.tensor import FloatArray, Tensor

CLASSES = 3
PARENTS = np.array([0, 0, 0, 1, 2, 2])
TRAINING = Step(training=True, samples=(0,))
VGG = {"kind": "h-renet", "patches": [1], "units": [3], "weights": "", "width": 1 / 64}
SECTIONS: dict[str, dict[str, Any]] = {
    "lstm2d": {"kind": "lstm2d", "window": 3, "units": [3, 4], "features": [5]},
    "lstm2d-pixels": {"kind": "lstm2d", "window": 1, "units": [3], "features": [], "feedforward": "separate"},
    "n-renet": {"kind": "n-renet", "units": [4, 3], "patches": [2, 1], "features": [5]},
    "reseg": {"kind": "reseg", "features": "image", "units": [4], "patches": [2], "upsample_channels": 5},
    "h-renet": VGG,
    "h-renet-batch": {**VGG, "normalisation": "batch", "dropout": 0.25, "align_corners": True},
    "rcnn": {"kind": "rcnn", "kernels": [4, 3], "pools": [2, 1], "channels": [4, 5]},
    "rcnn-one": {"kind": "rcnn", "kernels": [4, 3], "pools": [2, 1], "channels": [4, 5], "instances": 1},
}

NAMES = [pytest.param(name, marks=[pytest.mark.slow] * name.startswith("h-renet")) for name in SECTIONS]


def network(name: str, dtype: type = np.float64) -> Network:
    """Return a network for classes, with biases that are not 0."""
    net = build(SECTIONS[name], CLASSES, np.random.default_rng(0), dtype=dtype)
    return with_biases(net)


def with_biases(net: Network) -> Network:
    rng = np.random.default_rng(1)
    for parameter_name, p in net.named_parameters():
        if parameter_name.endswith("bias"):
            p.data[...] = 0.2 * rng.standard_normal(p.shape)
    return net


def fine_network(name: str, dtype: type = np.float64, *, mixed: bool = False) -> Network:
    """Return a network for subclasses; `mixed` as if the membership had been trained."""
    net = network(name, dtype)
    score_subclasses(net, PARENTS, np.random.default_rng(2))
    if mixed:
        assert net.membership is not None
        weight = net.membership.weight.data
        weight += 0.3 * np.random.default_rng(3).standard_normal(weight.shape)
    return with_biases(net)


def training_input(net: Network, dtype: type = np.float64) -> tuple[Tensor, Any]:
    """Return the input of a training step and random labels of subclasses, some of them -1."""
    rng = np.random.default_rng(4)
    rows, columns = 2 * net.stride, 3 * net.stride
    size = (rows, columns)
    if isinstance(net, RCNNNetwork):  # two by three cells of the last instance
        field = net.fields[-1]
        size, rows, columns = (field.size + field.stride, field.size + 2 * field.stride), 2, 3
    x: FloatArray = rng.standard_normal((1, *size, 3)).astype(dtype)
    labels = rng.integers(-1, len(PARENTS), (1, rows, columns)).astype(np.int32)
    return net.frozen(Tensor(x)), labels


def image(net: Network, dtype: type = np.float64) -> Tensor:
    """Return the input of a prediction."""
    rng, side = np.random.default_rng(5), 2 * net.padding
    shape = (1, 4 * net.stride + side, 3 * net.stride + side, 3)
    return Tensor(rng.standard_normal(shape).astype(dtype))
