"""The 2D-LSTM network: the paper's sizes, its equations computed by hand, and its variants."""

from typing import Any

import numpy as np
import pytest
import scipy.special

from lstm2d import Tensor, ops
from lstm2d.errors import ConfigError
from lstm2d.models import LSTM2DConfig, build, parameter_count
from lstm2d.tape import no_grad
from tests.models.base import CLASSES, ModelTests, training_loss

PAPER: dict[int, dict[str, Any]] = {
    5: {"units": [10, 20, 50], "features": [12, 30]},
    3: {"units": [4, 20, 50], "features": [10, 30]},
}


class LSTM2DTests(ModelTests):
    def shape_of_scores(self, n: int, rows: int, columns: int) -> tuple[int, ...]:
        return (n, rows, columns, CLASSES)


class TestShared(LSTM2DTests):
    def section(self) -> dict[str, Any]:
        return {"kind": "lstm2d", "window": 3, "units": [4, 8], "features": [6], "peepholes": False}


class TestSeparate(LSTM2DTests):
    def section(self) -> dict[str, Any]:
        sizes = {"window": 1, "units": [4, 3, 8], "features": [6, 5]}
        return {"kind": "lstm2d", **sizes, "feedforward": "separate", "peepholes": True, "cell_scale": 0.5}


class TestLeakyAndClipped(LSTM2DTests):
    def section(self) -> dict[str, Any]:
        # far above any gradient of these tests: the slope of a clipped loss is not its gradient
        return {
            "kind": "lstm2d",
            "window": 2,
            "units": [10],
            "features": [],
            "leaky": True,
            "gate_clip": 100.0,
        }


@pytest.mark.parametrize(("window", "parameters"), [(5, 172_570), (3, 155_368)])
def test_the_papers_parameter_counts(window: int, parameters: int) -> None:
    section = {
        "kind": "lstm2d",
        "window": window,
        "feedforward": "shared",
        "peepholes": False,
        **PAPER[window],
    }
    net = build(section, 8, np.random.default_rng(0))
    assert sum(p.data.size for p in net.parameters()) == parameter_count(section, 8) == parameters


@pytest.mark.parametrize("feedforward", ["shared", "separate"])
def test_layers_put_together_by_hand(feedforward: str, rng: np.random.Generator) -> None:
    config = LSTM2DConfig(window=2, units=(3, 4), features=(5,), feedforward=feedforward)  # type: ignore[arg-type]
    net = build(config, 6, rng, dtype=np.float64)
    for p in net.parameters():
        p.data[...] = rng.standard_normal(p.shape)
    image = rng.standard_normal((1, 4, 6, 3))
    x = image.reshape(1, 2, 2, 3, 2, 3).transpose(0, 1, 3, 2, 4, 5).reshape(1, 2, 3, 12)
    for lstm, linear, last in zip(net.lstm, net.feedforward, [False, True], strict=True):
        hidden = ops.lstm2d_layer(Tensor(x), *lstm.parameters()).data
        units = hidden.shape[-1] // 4
        assert linear.bias is not None
        x = np.zeros((*hidden.shape[:3], len(linear.bias.data))) + linear.bias.data
        for d in range(4):  # sum over directions of V h_dir, V one matrix or four
            v = (
                linear.weight.data
                if feedforward == "shared"
                else linear.weight.data[d * units : (d + 1) * units]
            )
            x = x + hidden[..., d * units : (d + 1) * units] @ v
        x = x if last else np.tanh(x)
    np.testing.assert_allclose(net.scores(Tensor(image)).data, x, rtol=1e-12, atol=1e-12)

    labels = rng.integers(0, 6, (1, 4, 6)).astype(np.uint8)
    log_p = scipy.special.log_softmax(x, axis=-1).repeat(2, 1).repeat(2, 2)  # the same for its pixels
    per_pixel = -np.take_along_axis(log_p, labels[..., None].astype(np.int64), -1)
    assert float(training_loss(net, Tensor(image), labels).data) == pytest.approx(
        per_pixel.sum() / 4, rel=1e-6
    )


def test_probabilities_are_the_windows_resampled(rng: np.random.Generator) -> None:
    net = build(LSTM2DConfig(window=4, units=(3,), features=()), 5, rng, dtype=np.float64)
    net.feedforward[0].weight.data *= 100  # so that cubic convolution overshoots
    x = Tensor(rng.standard_normal((1, 12, 16, 3)))
    with no_grad():
        smooth = ops.cubic_resize(ops.softmax(net.scores(x)), 12, 16).data
    assert smooth.min() < 0
    expected = np.maximum(smooth, 0)
    expected /= expected.sum(-1, keepdims=True)
    np.testing.assert_allclose(net.probabilities(x), expected, rtol=1e-12)


def test_window_of_one_pixel_is_not_resampled(rng: np.random.Generator) -> None:
    net = build(LSTM2DConfig(window=1, units=(3,), features=()), 5, rng, dtype=np.float64)
    x = Tensor(rng.standard_normal((1, 4, 5, 3)))
    np.testing.assert_allclose(
        net.probabilities(x), scipy.special.softmax(net.scores(x).data, axis=-1), rtol=1e-12
    )


def test_feature_maps_of_every_layer(rng: np.random.Generator) -> None:
    net = build(LSTM2DConfig(window=2, units=(3, 4), features=(5,)), 6, rng)
    x = Tensor(rng.standard_normal((1, 4, 6, 3)).astype(np.float32))
    maps = net.feature_maps(x)
    shapes = {"lstm1": 12, "feedforward1": 5, "lstm2": 16, "scores": 6}
    assert {name: m.shape[-1] for name, m in maps.items()} == shapes
    first = net.lstm[0](ops.window_gather(x, 2))
    np.testing.assert_array_equal(maps["lstm1"], first.data)
    np.testing.assert_array_equal(
        maps["feedforward1"], ops.tanh(net.feedforward[0](ops.direction_sum(first))).data
    )


def test_other_channels(rng: np.random.Generator) -> None:
    net = build(LSTM2DConfig(window=2, units=(3,), features=()), 2, rng, channels=1)
    assert net.probabilities(Tensor(np.zeros((1, 4, 4, 1), np.float32))).shape == (1, 4, 4, 2)


def test_each_option_reaches_the_layers(rng: np.random.Generator) -> None:
    x = Tensor(rng.standard_normal((1, 6, 6, 3)).astype(np.float32))
    results = set()
    variants: list[dict[str, Any]] = [{}, {"cell_scale": 0.5}, {"leaky": True}, {"feedforward": "separate"}]
    for options in variants:
        config = LSTM2DConfig(window=2, units=(3,), features=(), **options)
        results.add(build(config, 2, np.random.default_rng(0)).scores(x).data.tobytes())
    assert len(results) == len(variants)
    clipped = build(LSTM2DConfig(window=2, units=(3,), features=(), gate_clip=0.5), 2, rng)
    assert clipped.lstm[0].gate_clip == 0.5
    assert build(LSTM2DConfig(window=2, units=(3,), features=()), 2, rng).lstm[0].gate_clip is None
    started = build(
        {"kind": "lstm2d", "window": 2, "units": [3], "features": [], "forget_bias": [1.0, 2.0]}, 2, rng
    )
    assert started.lstm[0].bias.data.reshape(4, 5, 3)[:, :, 0].tolist() == [[0.0, 1.0, 2.0, 0.0, 0.0]] * 4


def test_normal_first_values() -> None:
    options = {"units": (50, 20), "features": (30,), "forget_bias": (3.0, -2.0), "init": 0.1}
    net = build(LSTM2DConfig(window=5, **options), 8, np.random.default_rng(0))  # type: ignore[arg-type]
    for name, parameter in net.named_parameters():
        values = parameter.data
        if name.startswith("lstm") and name.endswith("bias"):
            gates = values.reshape(4, 5, -1)
            np.testing.assert_allclose(gates.mean(axis=(0, 2)), [0, 3, -2, 0, 0], atol=0.06)
            values = gates - np.array([0, 3, -2, 0, 0])[:, None]
        deviation = 0.1 / np.sqrt(2 * values.size)  # of the deviation of a sample
        assert abs(values.std() - 0.1) < 4 * deviation, name
        assert values.any(), name


def test_a_model_of_an_earlier_version(rng: np.random.Generator) -> None:
    section = {"kind": "lstm2d", "window": 2, "units": [3], "features": []}
    assert build({**section, "error_clip": 0.0}, 2, rng).config == build(section, 2, rng).config
    with pytest.raises(ConfigError, match=r"(?s)error_clip = 1.0 is no option.*0.0.*model.gate_clip"):
        build({**section, "error_clip": 1.0}, 2, rng)


def test_a_label_out_of_range_is_an_error(rng: np.random.Generator) -> None:
    net = build(LSTM2DConfig(window=2, units=(3,), features=()), 2, rng)
    with pytest.raises(ValueError, match=r"outside \[0, 2\)"):
        training_loss(net, Tensor(np.zeros((1, 2, 2, 3), np.float32)), np.full((1, 2, 2), 2, np.uint8))


def test_a_wrong_config_names_everything() -> None:
    with pytest.raises(ConfigError) as error:
        LSTM2DConfig(
            window=0,
            units=(),
            features=(3,),
            feedforward="both",
            cell_scale=2.0,
            gate_clip=-1.0,  # type: ignore[arg-type]
            init=-0.5,
            forget_bias=(np.nan, 0.0),
        )
    for word in (
        "window = 0",
        "units = ()",
        "features = (3,)",
        "'both'",
        "cell_scale = 2.0",
        "gate_clip = -1.0",
        "init = -0.5",
        "nan",
    ):
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ({"kind": "lstm3d", "window": 1, "units": [1], "features": []}, "'lstm3d'"),
        ({"window": 1, "units": [1], "features": []}, "model.kind is None"),
        ({"kind": "lstm2d", "window": 1, "units": [1], "features": [], "colour": 2}, "unknown colour"),
        ({"kind": "lstm2d", "units": [1]}, "no window, features"),
    ],
)
def test_a_wrong_section(section: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        build(section, 3, np.random.default_rng(0))


def test_no_classes() -> None:
    with pytest.raises(ConfigError, match="0 classes"):
        build(LSTM2DConfig(window=1, units=(1,), features=()), 0, np.random.default_rng(0))
