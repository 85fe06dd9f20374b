"""H-ReNet and FCN-LargeFOV: what each option computes, and their sizes."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from lstm2d import Tensor, ops
from lstm2d.config import load_preset
from lstm2d.errors import ConfigError
from lstm2d.models import HReNetConfig, build, parameter_count
from lstm2d.tensor import FloatArray
from tests.models.base import ModelTests, training_loss

TINY = {"kind": "h-renet", "width": 1 / 64}


class TestFCNLargeFOV(ModelTests):
    rate, steps, grid = 0.003, 60, (2, 3, 4)

    def section(self) -> dict[str, Any]:
        return {**TINY, "units": [], "patches": []}


class HReNetTests(ModelTests):
    test_overfits_two_images = None  # type: ignore[assignment]  # takes long, and FCN-LargeFOV shows it

    def test_training_lowers_the_loss(self) -> None:
        net = self.build()
        x, labels = self.batch(2, 2, 3)
        losses = self.train(net, x, labels, 10)
        assert min(losses[-3:]) < 0.97 * losses[0]
        assert np.isfinite(net.probabilities(Tensor(x))).all()


class TestOneSource(HReNetTests):
    def section(self) -> dict[str, Any]:
        return {**TINY, "units": [6]}


class TestBatchNormalisation(HReNetTests):
    def section(self) -> dict[str, Any]:
        return {**TINY, "units": [5], "sources": ["conv7", "pool5", "pool4"], "normalisation": "batch"}


class TestL2Normalisation(HReNetTests):
    def section(self) -> dict[str, Any]:
        options = {"normalisation": "l2", "l2_scale": 100.0, "conv7_kernel": 1, "unit": "gru"}
        return {**TINY, "units": [5], "sources": ["pool5", "conv7"], **options}


class TestPool4AndPatchesAndRandomStart(HReNetTests):
    def section(self) -> dict[str, Any]:
        options = {"patches": [2], "unit": "tanh", "weights": "", "loss": "sum"}
        return {**TINY, "units": [6], "sources": ["pool4"], **options}


class TestIRNN(HReNetTests):
    def section(self) -> dict[str, Any]:
        return {**TINY, "units": [5], "unit": "irnn", "sources": ["pool5"]}


# by hand: (9 * in + 1) * out of conv3, conv4, conv5, conv6 and conv7
CONVOLUTIONS = 295_168 + 2 * 590_080 + 1_180_160 + 5 * 2_359_808 + 4_719_616 + 9_438_208


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("fcn-largefov", CONVOLUTIONS + 1025 * 21),
        # two statistics of 2048 channels, four LSTMs of 4 gates and 120 units, scores of 21 classes
        ("h-renet", CONVOLUTIONS + 2 * 2048 + 2 * 480 * (2048 + 121) + 2 * 480 * (240 + 121) + 241 * 21),
    ],
)
def test_the_sizes_of_the_presets(name: str, values: int) -> None:
    assert parameter_count(load_preset(name).model, 21) == values


def test_316_rectified_units_have_as_many_values_as_120_lstm_units() -> None:
    lstm = parameter_count(HReNetConfig(), 21)
    irnn = parameter_count(HReNetConfig(units=(316,), unit="irnn"), 21)
    without = parameter_count(HReNetConfig(units=(), patches=()), 21) - 1025 * 21
    assert lstm - without == pytest.approx(irnn - without, rel=0.01)


def normalised(x: FloatArray, kind: str) -> FloatArray:
    """Normalise by the statistics of these images, or each image to the norm 50."""
    if kind == "batch":
        return (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 1e-5)
    if kind == "l2":
        return 50 * x / np.sqrt((x**2).sum((1, 2, 3), keepdims=True))
    return x


@pytest.mark.parametrize("normalisation", ["none", "batch", "l2"])
@pytest.mark.parametrize("kernel", [3, 1])
def test_put_together_by_hand(normalisation: str, kernel: int, rng: np.random.Generator) -> None:
    options = {"normalisation": normalisation, "l2_scale": 50.0, "conv7_kernel": kernel}
    sources = ["pool5", "conv7", "pool4"]
    section = {**TINY, "units": [3], "sources": sources, **options}
    net: Any = build(section, 4, rng, dtype=np.float64)
    z = Tensor(rng.standard_normal((2, 6, 8, 128)))
    pool4 = net.backbone(z, after="pool2", last="pool4")
    pool5 = net.backbone(pool4, after="pool4")
    six = ops.relu(ops.conv2d(pool5, net.conv6.weight, net.conv6.bias, padding=12, dilation=12))
    seven = ops.relu(ops.conv2d(six, net.conv7.weight, net.conv7.bias, padding=kernel // 2))
    assert net.conv7.weight.shape == (kernel, kernel, 16, 16)
    parts = [normalised(t.data, normalisation) for t in (pool5, seven, pool4)]
    sweeps = net.renet[0].vertical, net.renet[0].horizontal
    x = Tensor(np.concatenate(parts, axis=-1))
    for axis, sweep in enumerate(sweeps, start=1):
        x = ops.lstm_sweep(x, sweep.weight, sweep.recurrent, sweep.bias, axis=axis)
    small = x.data @ net.conv8.weight.data + net.conv8.bias.data
    scores = ops.bilinear_resize(Tensor(small), 24, 32)
    labels = rng.integers(0, 4, (2, 24, 32))
    expected = float(ops.cross_entropy(scores, labels).data)
    assert float(training_loss(net, z, labels).data) == pytest.approx(expected, rel=1e-9)
    if normalisation != "batch":
        np.testing.assert_allclose(net.scores(z).data, scores.data, rtol=1e-9, atol=1e-12)


def test_prediction_uses_the_running_statistics(rng: np.random.Generator) -> None:
    section = {**TINY, "units": [], "patches": [], "sources": ["pool4", "pool5"], "normalisation": "batch"}
    net: Any = build(section, 4, rng, dtype=np.float64)
    z = Tensor(rng.standard_normal((2, 4, 4, 128)))
    pool4 = net.backbone(z, after="pool2", last="pool4")
    maps = [pool4.data, net.backbone(pool4, after="pool4").data]
    before = net.scores(z).data
    np.testing.assert_array_equal(net.scores(z).data, before)  # prediction changes nothing
    training_loss(net, z, rng.integers(0, 4, (2, 16, 16)))
    for norm, x in zip(net.norms, maps, strict=True):
        np.testing.assert_allclose(norm.mean, 0.1 * x.mean((0, 1, 2)), rtol=1e-9)
        np.testing.assert_allclose(norm.var, 0.9 + 0.1 * x.var((0, 1, 2), ddof=1), rtol=1e-9)
        x -= norm.mean
        x /= np.sqrt(norm.var + 1e-5)
    small = np.concatenate(maps, axis=-1) @ net.conv8.weight.data + net.conv8.bias.data
    np.testing.assert_allclose(net.scores(z).data, ops.bilinear_resize(Tensor(small), 16, 16).data, rtol=1e-9)
    assert np.abs(net.scores(z).data - before).max() > 1e-3


@pytest.mark.parametrize(
    ("sources", "layers"),
    [(["pool4"], ["pool4"]), (["pool5"], ["pool5"]), (["pool5", "conv7"], ["pool5", "conv6", "conv7"])],
)
def test_layers_that_no_source_needs_are_left_out(
    sources: list[str], layers: list[str], rng: np.random.Generator
) -> None:
    net = build({**TINY, "units": [2], "sources": sources}, 4, rng)
    maps = net.feature_maps(Tensor(np.zeros((1, 8, 8, 3), np.float32)))
    assert list(maps)[-3 - len(layers) :] == [*layers, "renet1(V)", "renet1(H)", "scores"]
    assert maps["renet1(H)"].shape == (1, 1, 1, 4)


def test_first_values(rng: np.random.Generator) -> None:
    net: Any = build({"kind": "h-renet", "width": 0.125, "units": [40]}, 21, rng)
    for layer in (net.conv6, net.conv7, net.conv8):
        assert layer.weight.data.std() == pytest.approx(0.1, rel=0.05)
        assert abs(layer.weight.data).max() > 0.25  # normal, not uniform
        assert not layer.bias.data.any()
    for sweep in (net.renet[0].vertical, net.renet[0].horizontal):
        for p in (sweep.weight, sweep.recurrent):
            assert 0.199 < abs(p.data).max() <= 0.2
            assert p.data.std() == pytest.approx(0.4 / np.sqrt(12), rel=0.05)
        assert sweep.bias.data.reshape(2, 4, 40)[:, :, 0].tolist() == [[0, 2, 0, 0]] * 2


def test_a_wrong_config_names_everything() -> None:
    with pytest.raises(ConfigError) as error:
        HReNetConfig(
            sources=("pool4", "pool4"),
            units=(0,),
            patches=(1, 1),
            unit="rnn",  # type: ignore[arg-type]
            forget_bias=np.inf,
            normalisation="layer",  # type: ignore[arg-type]
            l2_scale=0.0,
            conv7_kernel=2,
            width=5.0,
            loss="max",  # type: ignore[arg-type]
        )
    for word in (
        "('pool4', 'pool4')",
        "(0,)",
        "(1, 1)",
        "'rnn'",
        "inf",
        "'layer'",
        "0.0",
        "= 2",
        "5.0",
        "'max'",
    ):
        assert word in str(error.value)


MEASURE = """
import resource
import numpy as np
from lstm2d import Tensor
from lstm2d.models import build
options = {"sources": ["conv7", "pool5", "pool4"], "normalisation": "batch", "weights": ""}
net = build({"kind": "h-renet", **options}, 21, np.random.default_rng(0))
p = net.probabilities(Tensor(np.ones((1, 400, 504, 3), np.float32)))
assert p.shape == (1, 400, 504, 21) and np.isfinite(p).all()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 2**10)  # Linux counts in KiB
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
def test_one_image_of_500x400_at_full_width_needs_less_than_4_gb() -> None:
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 4e9
