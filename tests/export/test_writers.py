"""Every operation of the tape in onnxruntime, compared with the operation itself."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm2d import Tensor, ops
from lstm2d.errors import ConfigError
from lstm2d.export.check import largest_difference, open_session, run
from lstm2d.export.graph import Graph
from lstm2d.export.onnx_file import to_bytes
from lstm2d.export.trace import Operation
from lstm2d.export.writers import WRITERS, write
from lstm2d.models import Network, Step
from lstm2d.models.network import Maps
from lstm2d.pipeline.preprocess import Preprocessing
from lstm2d.tape import inputs_first, no_grad

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

CHANNELS = 3
LOSSES = {"cross_entropy", "soft_cross_entropy", "dropout"}  # in training alone
Run = Callable[[Tensor, "Draw"], Tensor]


class Draw:
    """Parameters of an operation; the same for the same shapes."""

    def __init__(self) -> None:
        self._drawn: dict[tuple[Any, ...], Tensor] = {}

    def __call__(self, *shape: int, scale: float = 0.5) -> Tensor:
        if (key := (*shape, scale)) not in self._drawn:
            values = np.random.default_rng(len(self._drawn)).standard_normal(shape, np.float32)
            self._drawn[key] = Tensor(np.asarray(values * np.float32(scale)), requires_grad=True)
        return self._drawn[key]


class Alone(Network):
    """An operation as a network."""

    def __init__(self, op: Run, classes: int, stride: int) -> None:
        self.op, self.draw, self.n_classes, self.stride = op, Draw(), classes, stride

    def layers(self, z: Tensor, step: Step, maps: Maps | None = None) -> Tensor:
        raise NotImplementedError

    def class_probabilities(self, z: Tensor) -> Tensor:
        return self.op(z, self.draw)


def wide(x: Tensor, draw: Draw, channels: int = 6) -> Tensor:
    """Return more channels, with the channels first in ONNX."""
    return ops.conv2d(x, draw(1, 1, CHANNELS, channels))


def scan(x: Tensor, draw: Draw, *, peepholes: bool = False, units: int = 2, **options: Any) -> Tensor:
    g = 5 * units
    peep = draw(4, 5, units) if peepholes else None
    return ops.lstm2d_layer(x, draw(4, CHANNELS, g), draw(4, 2 * units, g), draw(4, g), peep, **options)


def sweep(op: str, gates: int, axis: int, **options: Any) -> Run:
    def call(x: Tensor, draw: Draw) -> Tensor:
        g = 2 * gates
        return getattr(ops, op)(x, draw(2, CHANNELS, g), draw(2, 2, g), draw(2, g), axis=axis, **options)

    return call


def planes(x: Tensor, draw: Draw) -> Tensor:
    """Run a transposed convolution on each channel by itself, as `lstm2d.nn.Upsample`."""
    n, rows, columns, channels = x.shape
    each = ops.reshape(ops.transpose(x, (0, 3, 1, 2)), (n * channels, rows, columns, 1))
    y = ops.conv_transpose2d(each, draw(4, 4, 1, 1), stride=2, padding=1)
    return ops.transpose(ops.reshape(y, (n, channels, *y.shape[1:3])), (0, 2, 3, 1))


def norm(x: Tensor, draw: Draw) -> Tensor:
    mean, var = np.array([0.5, -1, 2]), np.array([0.25, 1, 4])
    return ops.batch_norm(x, mean, var, draw(3, scale=1.0), draw(3), training=False, eps=0.5)


# name: the operation, channels of its result, and of what its image's sides are multiples
CASES: dict[str, tuple[Run, int, int]] = {
    "add": (lambda x, d: ops.add(ops.tanh(x), x), 3, 1),
    "add, channels first": (lambda x, d: ops.add(wide(x, d), ops.relu(wide(x, d))), 6, 1),
    "add a parameter": (lambda x, d: ops.add(x, d(3)), 3, 1),
    "avg_pool2d": (lambda x, d: ops.avg_pool2d(x, 2), 3, 2),
    "avg_pool2d, padded": (lambda x, d: ops.avg_pool2d(x, (3, 2), stride=(1, 2), padding=1), 3, 1),
    "batch_norm": (norm, 3, 1),
    "batch_norm, channels first": (lambda x, d: norm(ops.avg_pool2d(x, 1), d), 3, 1),
    "bilinear_resize": (lambda x, d: ops.bilinear_resize(x, 4 * x.shape[1], 2 * x.shape[2] + 1), 3, 1),
    "bilinear_resize, smaller": (
        lambda x, d: ops.bilinear_resize(ops.bilinear_resize(x, 7, 5), *x.shape[1:3]),
        3,
        1,
    ),
    "bilinear_resize, corners": (
        lambda x, d: ops.bilinear_resize(x, 3 * x.shape[1], x.shape[2], align_corners=True),
        3,
        1,
    ),
    "clip_normalise": (lambda x, d: ops.clip_normalise(x), 3, 1),
    "concatenate": (lambda x, d: ops.concatenate([x, ops.relu(x), x]), 9, 1),
    "concatenate, channels first": (lambda x, d: ops.concatenate([wide(x, d), wide(x, d, 2)]), 8, 1),
    "conv2d": (
        lambda x, d: ops.conv2d(x, d(3, 2, 3, 5), d(5), stride=(2, 1), padding=(2, 3), dilation=(1, 3)),
        5,
        1,
    ),
    "conv2d, relu": (lambda x, d: ops.conv2d(x, d(3, 3, 3, 4), padding=1, activation="relu"), 4, 1),
    "conv_transpose2d": (lambda x, d: ops.conv_transpose2d(x, d(3, 4, 3, 5), d(5), stride=(2, 3)), 5, 1),
    "conv_transpose2d, padded": (
        lambda x, d: ops.conv_transpose2d(x, d(4, 4, 3, 2), stride=(2, 1), padding=(1, 0), activation="tanh"),
        2,
        1,
    ),
    "conv_transpose2d, planes": (planes, 3, 1),
    "crop": (lambda x, d: ops.crop(x, top=1, left=0, height=x.shape[1] - 1, width=x.shape[2] - 1), 3, 2),
    "crop, channels first": (
        lambda x, d: ops.crop(wide(x, d), top=0, left=1, height=x.shape[1] - 1, width=x.shape[2] - 1),
        6,
        2,
    ),
    "cubic_resize": (lambda x, d: ops.cubic_resize(x, 3 * x.shape[1], 2 * x.shape[2]), 3, 1),
    "cubic_resize, smaller": (lambda x, d: ops.cubic_resize(ops.cubic_resize(x, 7, 5), *x.shape[1:3]), 3, 1),
    "direction_sum": (lambda x, d: ops.direction_sum(ops.linear(x, d(3, 8))), 2, 1),
    "gru_sweep": (sweep("gru_sweep", 3, 1), 4, 1),
    "gru_sweep, rows": (sweep("gru_sweep", 3, 2), 4, 1),
    "l2_normalise": (lambda x, d: ops.l2_normalise(x, 50.0), 3, 1),
    "l2_normalise, zeros": (lambda x, d: ops.l2_normalise(ops.scale(x, 0.0)), 3, 1),
    "linear": (lambda x, d: ops.linear(x, d(3, 5), d(5)), 5, 1),
    "linear, channels first": (lambda x, d: ops.linear(wide(x, d), d(6, 2), d(2)), 2, 1),
    "local_response_norm": (lambda x, d: ops.local_response_norm(wide(x, d), 5, alpha=0.5, k=2.0), 6, 1),
    "local_response_norm, even": (
        lambda x, d: ops.local_response_norm(wide(x, d), 4, alpha=0.5, beta=0.6),
        6,
        1,
    ),
    "lstm2d_layer": (scan, 8, 1),
    "lstm2d_layer, peepholes": (lambda x, d: scan(x, d, peepholes=True, cell_scale=0.5), 8, 1),
    "lstm2d_layer, leaky": (lambda x, d: scan(x, d, peepholes=True, leaky=True, gate_clip=1.0), 8, 1),
    "lstm2d_layer, leaky without peepholes": (lambda x, d: scan(x, d, leaky=True, cell_scale=0.75), 8, 1),
    "lstm_sweep": (sweep("lstm_sweep", 4, 1), 4, 1),
    "lstm_sweep, rows": (sweep("lstm_sweep", 4, 2), 4, 1),
    "max_pool2d": (lambda x, d: ops.max_pool2d(x, 2), 3, 2),
    "max_pool2d, padded": (lambda x, d: ops.max_pool2d(x, 3, stride=1, padding=1), 3, 1),
    "max_pool2d, dilated": (lambda x, d: ops.max_pool2d(x, 2, stride=1, dilation=(1, 3)), 3, 4),
    "pad2d": (lambda x, d: ops.pad2d(x, (1, 0, 2, 3)), 3, 1),
    "pad2d, channels first": (lambda x, d: ops.pad2d(wide(x, d), (1, 0, 2, 3)), 6, 1),
    "pad2d, reflected": (lambda x, d: ops.pad2d(x, (5, 1, 0, 4), mode="reflect"), 3, 1),
    "relu": (lambda x, d: ops.relu(x), 3, 1),
    "repeat_cells": (lambda x, d: ops.repeat_cells(x, 4, 3 * x.shape[1], 4 * x.shape[2] + 3), 3, 1),
    "reshape": (lambda x, d: ops.reshape(wide(x, d), (x.shape[0], 2 * x.shape[1], -1, 3)), 3, 1),
    "rnn_sweep": (sweep("rnn_sweep", 1, 1), 4, 1),
    "rnn_sweep, relu": (sweep("rnn_sweep", 1, 2, activation="relu"), 4, 1),
    "scale": (lambda x, d: ops.scale(x, -2.5), 3, 1),
    "scale, channels first": (lambda x, d: ops.scale(wide(x, d), 0.5), 6, 1),
    "sigmoid": (lambda x, d: ops.sigmoid(x), 3, 1),
    "softmax": (lambda x, d: ops.softmax(ops.scale(x, 4.0)), 3, 1),
    "softmax, channels first": (lambda x, d: ops.softmax(wide(x, d)), 6, 1),
    "tanh": (lambda x, d: ops.tanh(x), 3, 1),
    "transpose": (lambda x, d: ops.transpose(ops.relu(x), (0, 2, 1, 3)), 3, 1),
    "window_gather": (lambda x, d: ops.window_gather(x, 3), 27, 3),
}


@pytest.mark.parametrize("name", CASES)
def test_an_operation(name: str) -> None:
    op, classes, stride = CASES[name]
    network = Alone(op, classes, stride)
    x = Tensor(np.ones((1, stride, 2 * stride, CHANNELS), np.float32), requires_grad=True)
    session = open_session(
        to_bytes(network, Preprocessing((0.0,) * CHANNELS, (1.0,) * CHANNELS), {}), threads=1
    )

    @settings(max_examples=10)
    @given(st.integers(1, 3), st.integers(1, 11), st.integers(1, 11), st.integers(0, 99))
    def check(n: int, rows: int, columns: int, seed: int) -> None:
        shape = (n, rows * stride, columns * stride, CHANNELS)
        images = np.random.default_rng(seed).standard_normal(shape, np.float32)
        with no_grad():
            expected = network.class_probabilities(Tensor(images)).data
        assert largest_difference(run(session, images), expected) <= 1e-5 * max(1, abs(expected).max())

    check()
    assert name.partition(",")[0].split()[0] in node_names(network, x)


def node_names(network: Alone, x: Tensor) -> set[str]:
    return {t.node.op for t in inputs_first(network.class_probabilities(x)) if t.node is not None}


def test_every_operation_has_a_writer() -> None:
    assert set(WRITERS) | LOSSES == set(ops.__all__)
    assert {name.partition(",")[0].split()[0] for name in CASES} == set(WRITERS)


def test_an_operation_without_a_writer() -> None:
    network = Alone(lambda x, d: ops.dropout(x, 0.5, seed=0, epoch=0, samples=range(x.shape[0])), 3, 1)
    with pytest.raises(ConfigError, match="dropout"):
        to_bytes(network, Preprocessing((0.0,) * 3, (1.0,) * 3), {})
    with pytest.raises(ConfigError, match="the operation cross_entropy has no ONNX form"):
        write(Graph(), Operation("cross_entropy", {}, {}, 0), [])


def test_an_argument_that_depends_on_the_size_otherwise() -> None:
    odd = Alone(lambda x, d: ops.crop(x, top=0, left=0, height=x.shape[1] ** 2 // 50 + 1, width=1), 3, 1)
    with pytest.raises(ConfigError, match="crop: bottom depends on the size of the image"):
        to_bytes(odd, Preprocessing((0.0,) * 3, (1.0,) * 3), {})
    other = Alone(lambda x, d: ops.relu(x) if x.shape[1] > 10 else ops.tanh(x), 3, 1)
    with pytest.raises(ConfigError, match="other operations for another size"):
        to_bytes(other, Preprocessing((0.0,) * 3, (1.0,) * 3), {})
    scaled = Alone(lambda x, d: ops.scale(x, 1 / x.shape[1]), 3, 1)
    with pytest.raises(ConfigError, match="scale: factor depends on the size"):
        to_bytes(scaled, Preprocessing((0.0,) * 3, (1.0,) * 3), {})
    constant = Alone(lambda x, d: ops.add(x, Tensor(np.full(3, x.shape[1], np.float32))), 3, 1)
    with pytest.raises(ConfigError, match="add: an argument without a gradient depends on the image"):
        to_bytes(constant, Preprocessing((0.0,) * 3, (1.0,) * 3), {})
