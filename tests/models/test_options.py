"""Whatever options a configuration has, the network is built, with the shapes and the size it should have."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm2d import Tensor
from lstm2d.config import from_dict
from lstm2d.models import build, parameter_count
from tests.models.base import training_loss

CLASSES = 3


@st.composite
def renet_sections(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a ``[model]`` section of a network of ReNet layers."""
    kind = draw(st.sampled_from(["reseg", "n-renet", "h-renet"]))
    layers = draw(st.integers(int(kind == "n-renet"), 3))
    section = {
        "kind": kind,
        "units": draw(st.lists(st.integers(1, 4), min_size=layers, max_size=layers)),
        "patches": draw(st.lists(st.integers(1, 3), min_size=layers, max_size=layers)),
        "unit": draw(st.sampled_from(["gru", "lstm", "tanh", "irnn"])),
        "loss": draw(st.sampled_from(["sum", "mean"])),
    }
    if kind == "n-renet":
        between = draw(st.sampled_from([0, layers - 1]))
        return {**section, "features": draw(st.lists(st.integers(1, 4), min_size=between, max_size=between))}
    section["weights"] = draw(st.sampled_from(["", "vgg16"]))
    if kind == "reseg":
        section["features"] = draw(st.sampled_from(["image", "conv1_1", "conv2_2", "conv3_1"]))
        section["upsample_channels"] = draw(st.integers(1, 3))
        doubles = np.prod(section["patches"]) in (1, 2, 4, 8)
        return {**section, "upsampling": "transposed" if doubles else "bilinear"}
    section["sources"] = draw(st.permutations(["pool4", "pool5", "conv7"]))[: draw(st.integers(1, 3))]
    section["normalisation"] = draw(st.sampled_from(["none", "batch", "l2"]))
    section["conv7_kernel"] = draw(st.sampled_from([1, 3]))
    return {**section, "width": draw(st.sampled_from([1 / 512, 1 / 64]))}


@settings(max_examples=12)
@given(section=renet_sections(), rows=st.integers(1, 2), columns=st.integers(1, 3))
def test_any_options_and_any_size(section: dict[str, Any], rows: int, columns: int) -> None:
    model = from_dict({"model": section}, "test").model  # what the configuration takes, the network takes
    net = build(model, CLASSES, np.random.default_rng(0))
    assert parameter_count(model, CLASSES) == sum(p.size for p in net.stored_arrays().values())
    x = np.random.default_rng(1).standard_normal((1, rows * net.stride, columns * net.stride, 3))
    p = net.probabilities(Tensor(x.astype(np.float32)))
    assert p.shape == (*x.shape[:3], CLASSES)
    np.testing.assert_allclose(p.sum(-1), 1, rtol=1e-5)
    labels = np.random.default_rng(2).integers(0, CLASSES, x.shape[:3])
    assert np.isfinite(float(training_loss(net, net.frozen(Tensor(x.astype(np.float32))), labels).data))
