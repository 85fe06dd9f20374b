"""Networks in strips of rows against the whole image, with borders everywhere."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import Generator

from lstm2d import Tensor, kernels, ops
from lstm2d.errors import ConfigError, OutputError
from lstm2d.io import scratch
from lstm2d.models import Network, build
from lstm2d.ops import softmax
from lstm2d.strips.graph import Compute, steps_of, traced
from lstm2d.strips.plan import Plan
from lstm2d.strips.run import run
from lstm2d.tape import no_grad

BACKENDS = [
    *(name for name in kernels.available("lstm2d") if name != "_numba"),
    pytest.param("_numba", marks=pytest.mark.slow),  # compiles
]
BOUND = {"float32": 1e-5, "float64": 1e-12}


class Image:
    """An array by rows; it keeps the largest number of rows that were asked for."""

    def __init__(self, x: np.ndarray) -> None:
        self.x, self.most = x, 0

    def rows(self, first: int, last: int) -> np.ndarray:
        assert 0 <= first < last <= self.x.shape[1]
        self.most = max(self.most, last - first)
        return self.x[:, first:last]


def in_strips(plan: Plan, x: np.ndarray, strips: int, folder: Path) -> np.ndarray:
    pieces = 1 + strips % 3
    return np.concatenate([*run(plan, Image(x), strips=strips, pieces=pieces, folder=folder)], axis=1)


def network_steps(network: Network) -> Compute:
    def compute(x: Tensor) -> Tensor:
        z = network.frozen(x)
        return network.at_pixels(softmax(network.scores(z)), z)

    return compute


def drawn(config: dict[str, Any], rng: Generator, dtype: str) -> Network:
    network = build(config, 3, rng, dtype=dtype)
    for p in network.parameters():  # biases and peepholes start at 0
        p.data[...] += rng.normal(0, 0.1, p.data.shape)
    return network


LSTM = {"kind": "lstm2d", "window": 1, "units": [3, 2], "features": [4], "forget_bias": [1.0, 0.0]}
RENET = {"kind": "n-renet", "units": [3, 2], "patches": [2, 1], "features": [4]}
NETWORKS: dict[str, dict[str, Any]] = {
    "2D-LSTM": LSTM | {"leaky": True},
    "2D-LSTM, windows": LSTM | {"window": 3, "leaky": True, "units": [3, 4, 2], "features": [4, 4]},
    "2D-LSTM, sum of cells": LSTM | {"cell_scale": 0.5},
    "2D-LSTM, no peepholes": LSTM | {"peepholes": False, "leaky": True},
    "2D-LSTM, separate": LSTM | {"feedforward": "separate", "leaky": True},
    **{f"N-ReNet, {unit}": RENET | {"unit": unit} for unit in ("lstm", "gru", "tanh", "irnn")},
    "ReSeg": {
        "kind": "reseg", "features": "image", "units": [3, 2], "patches": [2, 1], "upsample_channels": 4,
    },
    "ReSeg, bilinear": {
        "kind": "reseg", "features": "image", "units": [3], "patches": [3], "upsampling": "bilinear",
    },
    "H-ReNet": {
        "kind": "h-renet", "units": [2], "weights": "", "width": 0.05, "normalisation": "batch",
        "sources": ["pool4", "conv7"], "align_corners": True,
    },
    "FCN-LargeFOV": {
        "kind": "h-renet", "units": [], "patches": [], "weights": "", "width": 0.05, "sources": ["conv7"],
    },
    "ReSeg, VGG": {
        "kind": "reseg", "features": "conv2_1", "weights": "", "units": [2], "patches": [2], "unit": "tanh",
        "upsample_channels": 4,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_equals_the_whole_image(name: str, dtype: str, rng: Generator, tmp_path: Path) -> None:
    network = drawn(NETWORKS[name], rng, dtype)
    stride = network.stride
    size = -(-61 // stride) * stride, -(-47 // stride) * stride
    x = rng.normal(0, 1, (1, *size, 3)).astype(dtype)
    whole = network.probabilities(Tensor(x))
    plan = Plan(steps_of(network_steps(network), size, stride=stride, channels=3, dtype=dtype), dtype)
    for strips in (1, 2, size[0] // stride):
        found = network.corrected(Tensor(in_strips(plan, x, strips, tmp_path))).data
        assert found.dtype == whole.dtype
        np.testing.assert_allclose(found, whole, rtol=0, atol=BOUND[dtype])
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["2D-LSTM, windows", "N-ReNet, gru"])
def test_backends(name: str, backend: str, rng: Generator, tmp_path: Path) -> None:
    if backend == "_numba":
        pytest.importorskip("numba")
    network = drawn(NETWORKS[name], rng, "float64")
    size = (7 * network.stride, 5 * network.stride)
    x = rng.normal(0, 1, (1, *size, 3))
    with kernels.use(backend):
        whole = network.probabilities(Tensor(x))
        steps = steps_of(network_steps(network), size, stride=network.stride, channels=3, dtype="float64")
        found = network.corrected(Tensor(in_strips(Plan(steps, "float64"), x, 4, tmp_path))).data
    np.testing.assert_allclose(found, whole, rtol=0, atol=1e-12)


def test_a_strip_needs_a_strip_of_the_image(rng: Generator, tmp_path: Path) -> None:
    network = drawn(NETWORKS["2D-LSTM"], rng, "float32")
    image = Image(rng.normal(0, 1, (1, 60, 9, 3)).astype(np.float32))
    plan = Plan(steps_of(network_steps(network), (60, 9), stride=1, channels=3))
    assert plan.passes == 3
    assert len([*run(plan, image, strips=12, folder=tmp_path)]) == 12
    assert image.most == 5


pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))
strip_counts = st.integers(1, 23)


def compare(compute: Compute, shape: tuple[int, int, int], strips: int, folder: Path, seed: int) -> None:
    x = np.random.default_rng(seed).normal(0, 1, (1, *shape))
    with no_grad():
        whole = compute(Tensor(x)).data
    found = in_strips(Plan(traced(compute, shape, "float64"), "float64"), x, strips, folder)
    np.testing.assert_allclose(found, whole, rtol=0, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(pairs, pairs, st.tuples(st.integers(0, 4), st.integers(0, 4)), pairs, strip_counts, st.booleans())
def test_conv2d(kernel: Any, stride: Any, padding: Any, dilation: Any, strips: int, activation: bool) -> None:
    rng = np.random.default_rng(sum(kernel))
    weight, bias = Tensor(rng.normal(0, 1, (*kernel, 2, 3))), Tensor(rng.normal(0, 1, 3))
    kind = "tanh" if activation else None

    def compute(x: Tensor) -> Tensor:
        return ops.conv2d(x, weight, bias, stride=stride, padding=padding, dilation=dilation, activation=kind)

    compare(compute, (23, 19, 2), strips, Path(tempfile.gettempdir()), 0)


@settings(max_examples=60, deadline=None)
@given(pairs, pairs, st.tuples(st.integers(0, 2), st.integers(0, 2)), strip_counts)
def test_conv_transpose2d(kernel: Any, stride: Any, padding: Any, strips: int) -> None:
    rng = np.random.default_rng(sum(kernel))
    weight, bias = Tensor(rng.normal(0, 1, (*kernel, 2, 3))), Tensor(rng.normal(0, 1, 3))
    compare(
        lambda x: ops.conv_transpose2d(x, weight, bias, stride=stride, padding=padding),
        (11, 9, 2),
        strips,
        Path(tempfile.gettempdir()),
        1,
    )


@settings(max_examples=60, deadline=None)
@given(pairs, pairs, st.data(), st.sampled_from(["max", "avg"]), strip_counts)
def test_pooling(size: Any, stride: Any, data: Any, kind: str, strips: int) -> None:
    padding = tuple(data.draw(st.integers(0, s // 2)) for s in size)

    def compute(x: Tensor) -> Tensor:
        pool = ops.max_pool2d if kind == "max" else ops.avg_pool2d
        return pool(x, size, stride=stride, padding=padding)

    compare(compute, (23, 19, 2), strips, Path(tempfile.gettempdir()), 2)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 70), st.integers(1, 40), st.sampled_from(["cubic", "corners", "edges"]), strip_counts)
def test_resampling(height: int, width: int, kind: str, strips: int) -> None:
    def compute(x: Tensor) -> Tensor:
        if kind == "cubic":
            return ops.cubic_resize(x, height, width)
        return ops.bilinear_resize(x, height, width, align_corners=kind == "corners")

    compare(compute, (17, 9, 2), strips, Path(tempfile.gettempdir()), 3)


def test_two_ways_that_meet(rng: Generator, tmp_path: Path) -> None:
    """A map is needed in a later pass, and by two steps with different windows."""
    weight = Tensor(rng.normal(0, 0.3, (3, 3, 2, 2)))
    layer = [Tensor(rng.normal(0, 0.3, shape)) for shape in ((2, 2, 2), (2, 2, 2), (2, 2))]

    def compute(x: Tensor) -> Tensor:
        z = ops.relu(x)
        near = ops.conv2d(z, weight, padding=1)
        swept = ops.rnn_sweep(near, *layer, axis=1)
        both = ops.concatenate(
            [swept, z, ops.crop(ops.conv2d(z, weight, padding=2), top=1, left=1, height=19, width=7)]
        )
        return ops.add(both, ops.tanh(both))

    for strips in (1, 3, 19):
        compare(compute, (19, 7, 2), strips, tmp_path, 4)


def test_what_needs_the_whole_image_is_refused() -> None:
    with pytest.raises(ConfigError, match="`l2_normalise` needs the whole image"):
        Plan(traced(lambda x: ops.l2_normalise(ops.relu(x)), (4, 4, 2)))


def test_the_disk_is_checked_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    steps = traced(lambda x: ops.relu(x), (4, 4, 2))
    assert Plan(steps).disk_bytes() == 0
    with pytest.raises(OutputError, match="of disk space"):
        scratch.check_space(tmp_path, 1 << 62)


def test_a_full_disk(rng: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = drawn(NETWORKS["N-ReNet, tanh"], rng, "float32")
    steps = steps_of(network_steps(network), (8, 8), stride=2, channels=3)

    def full(self: object, first: int, values: np.ndarray) -> None:
        raise OutputError("cannot write (No space left on device)")

    monkeypatch.setattr(scratch.ScratchRows, "write", full)
    with pytest.raises(OutputError, match="No space left"):
        in_strips(Plan(steps), np.zeros((1, 8, 8, 3), np.float32), 2, tmp_path)
    assert not [*tmp_path.iterdir()]


def test_disk_bytes_by_hand(rng: Generator) -> None:
    network = drawn(RENET | {"unit": "lstm", "features": [4]}, rng, "float32")
    plan = Plan(steps_of(network_steps(network), (8, 12), stride=2, channels=3))
    # 4x6 positions: half of the first sweep (3); in the next pass also the map after tanh (4) and half of the
    # second one (2); then these two
    assert plan.disk_bytes() == 4 * 24 * (3 + 4 + 2)
