"""H-ReNet and FCN-LargeFOV: what each option computes, and their sizes."""

import subprocess
import sys
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from lstm2d import Tensor, backward, ops
from lstm2d.config import load_preset, resolve
from lstm2d.errors import ConfigError
from lstm2d.models import HReNetConfig, Network, Step, build, model_config, parameter_count
from lstm2d.models.h_renet import Source
from lstm2d.nn import Unit
from lstm2d.tensor import FloatArray
from lstm2d.training.make_optimizer import make_optimizer, parameter_groups
from tests.models.base import ModelTests, training_loss

TINY = {"kind": "h-renet", "width": 1 / 64}


class TestFCNLargeFOV(ModelTests):
    rate, steps, grid = 0.003, 60, (2, 3, 4)

    def section(self) -> dict[str, Any]:
        return {**TINY, "units": [], "patches": []}

    def build(self, seed: int = 0, dtype: type = np.float32) -> Network:
        net: Any = super().build(seed, dtype)
        for layer in (net.conv6, net.conv7):  # as a 64th of the channels makes the sums an 8th
            layer.weight.data *= 8
        return cast(Network, net)


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


class TestCodesOrder(HReNetTests):
    def section(self) -> dict[str, Any]:
        options = {"normalisation": "batch", "norm_order": "norm-relu", "align_corners": True}
        return {**TINY, "units": [5], "sources": ["conv7", "pool5", "pool4"], **options}


class TestCodesOrderWithL2(HReNetTests):
    def section(self) -> dict[str, Any]:
        options = {"normalisation": "l2", "norm_order": "norm-relu", "align_corners": True}
        return {**TINY, "units": [3], "sources": ["pool5", "conv7"], **options}


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


@pytest.mark.parametrize(
    ("sources", "inputs", "units"),
    [(("conv7",), 1024, 316), (("conv7", "pool5"), 1536, 336), (("conv7", "pool5", "pool4"), 2048, 351)],
)
def test_rectified_units_with_as_many_values_as_120_lstm_units(
    sources: tuple[Source, ...], inputs: int, units: int
) -> None:
    def values(unit: Unit, number: int) -> int:
        """Return the values of the sweeps: those of the network without the convolutions."""
        config = HReNetConfig(sources=sources, units=(number,), unit=unit)
        rest = parameter_count(HReNetConfig(sources=sources, units=(), patches=()), 21) - (inputs + 1) * 21
        return parameter_count(config, 21) - rest - (2 * number + 1) * 21

    lstm = values("lstm", 120)
    assert lstm == 2 * 480 * (inputs + 121) + 2 * 480 * (240 + 121)  # by hand: 4 gates, 2 directions
    distances = {number: abs(values("irnn", number) - lstm) for number in (units - 1, units, units + 1)}
    assert min(distances, key=distances.__getitem__) == units
    assert distances[units] < 0.002 * lstm


def normalised(x: FloatArray, kind: str) -> FloatArray:
    """Normalise by the statistics of these images, or each image to the norm 50."""
    if kind == "batch":
        return (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 1e-5)
    if kind == "l2":
        return 50 * x / np.sqrt((x**2).sum((1, 2, 3), keepdims=True))
    return x


@pytest.mark.parametrize("order", ["relu-norm", "norm-relu"])
@pytest.mark.parametrize("normalisation", ["none", "batch", "l2"])
@pytest.mark.parametrize("kernel", [3, 1])
def test_put_together_by_hand(normalisation: str, order: str, kernel: int, rng: np.random.Generator) -> None:
    corners = kernel == 1
    options = {"normalisation": normalisation, "norm_order": order, "l2_scale": 50.0, "conv7_kernel": kernel}
    options["align_corners"] = corners
    sources = ["pool5", "conv7", "pool4"]
    section = {**TINY, "units": [3], "sources": sources, **options}
    net: Any = build(section, 4, rng, dtype=np.float64)
    z = Tensor(rng.standard_normal((2, 6, 8, 128)))
    pool4 = net.backbone(z, after="pool2", last="pool4")
    pool5 = net.backbone(pool4, after="pool4")
    six = ops.relu(ops.conv2d(pool5, net.conv6.weight, net.conv6.bias, padding=12, dilation=12))
    seven = ops.conv2d(six, net.conv7.weight, net.conv7.bias, padding=kernel // 2).data
    assert net.conv7.weight.shape == (kernel, kernel, 16, 16)
    assert (seven < 0).any()
    if order == "relu-norm":
        parts = [normalised(x, normalisation) for x in (pool5.data, np.maximum(seven, 0), pool4.data)]
    else:
        parts = [np.maximum(normalised(x, normalisation), 0) for x in (pool5.data, seven, pool4.data)]
    sweeps = net.renet[0].vertical, net.renet[0].horizontal
    x = Tensor(np.concatenate(parts, axis=-1))
    for axis, sweep in enumerate(sweeps, start=1):
        x = ops.lstm_sweep(x, sweep.weight, sweep.recurrent, sweep.bias, axis=axis)
    small = x.data @ net.conv8.weight.data + net.conv8.bias.data
    scores = ops.bilinear_resize(Tensor(small), 24, 32, align_corners=corners)
    labels = rng.integers(0, 4, (2, 24, 32))
    expected = float(ops.cross_entropy(scores, labels).data)
    assert float(training_loss(net, z, labels).data) == pytest.approx(expected, rel=1e-9)
    if normalisation != "batch":
        np.testing.assert_allclose(net.scores(z).data, scores.data, rtol=1e-9, atol=1e-12)
    if normalisation == "l2":  # the map is that after the ReLU, wherever this is
        maps: dict[str, FloatArray] = {}
        net.layers(z, Step(), maps)
        kept = np.maximum(seven, 0) if order == "relu-norm" else parts[1]
        np.testing.assert_allclose(maps["conv7"], kept, rtol=1e-9)
        assert list(maps)[-4:] == ["conv6", "conv7", "renet1(V)", "renet1(H)"]


@pytest.mark.parametrize("order", ["relu-norm", "norm-relu"])
def test_prediction_uses_the_running_statistics(order: str, rng: np.random.Generator) -> None:
    section = {**TINY, "units": [], "patches": [], "sources": ["pool4", "conv7"], "normalisation": "batch"}
    net: Any = build({**section, "norm_order": order}, 4, rng, dtype=np.float64)
    z = Tensor(rng.standard_normal((2, 4, 4, 128)))
    pool4 = net.backbone(z, after="pool2", last="pool4")
    six = ops.relu(net.conv6(net.backbone(pool4, after="pool4")))
    maps = [pool4.data, net.conv7(six).data]
    if order == "relu-norm":
        np.maximum(maps[1], 0, out=maps[1])
    before = net.scores(z).data
    np.testing.assert_array_equal(net.scores(z).data, before)  # prediction changes nothing
    training_loss(net, z, rng.integers(0, 4, (2, 16, 16)))
    for norm, x in zip(net.norms, maps, strict=True):
        np.testing.assert_allclose(norm.mean, 0.1 * x.mean((0, 1, 2)), rtol=1e-9)
        np.testing.assert_allclose(norm.var, 0.9 + 0.1 * x.var((0, 1, 2), ddof=1), rtol=1e-9)
        x -= norm.mean
        x /= np.sqrt(norm.var + 1e-5)
        if order == "norm-relu":
            np.maximum(x, 0, out=x)
    small = np.concatenate(maps, axis=-1) @ net.conv8.weight.data + net.conv8.bias.data
    np.testing.assert_allclose(net.scores(z).data, ops.bilinear_resize(Tensor(small), 16, 16).data, rtol=1e-9)
    assert np.abs(net.scores(z).data - before).max() > 0.02 * np.abs(before).max()


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
    for layer, deviation in ((net.conv6, 0.01), (net.conv7, 0.01), (net.conv8, 0.1)):
        assert layer.weight.data.std() == pytest.approx(deviation, rel=0.05)
        assert abs(layer.weight.data).max() > 2.5 * deviation  # normal, not uniform
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
            norm_order="relu",  # type: ignore[arg-type]
            dropout=1.0,
            align_corners=1,  # type: ignore[arg-type]
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
        "'relu'",
        "dropout = 1.0",
        "align_corners = 1",
        "0.0",
        "= 2",
        "5.0",
        "'max'",
    ):
        assert word in str(error.value)


def test_a_model_file_without_the_new_options_is_the_network_it_was() -> None:
    section = {**TINY, "units": [3], "normalisation": "batch"}
    config = model_config(section)
    assert isinstance(config, HReNetConfig)
    assert (config.norm_order, config.dropout, config.align_corners) == ("relu-norm", 0.0, False)


DROPPED = {**TINY, "units": [], "patches": [], "width": 1 / 16, "dropout": 0.25}


def dropped(step: Step, net: Any = None, images: int = 2) -> FloatArray:
    """Return what conv7 gets of conv6, divided by conv6."""
    net = net or build(DROPPED, 4, np.random.default_rng(0))
    net.conv6.weight.data[...] = 0
    net.conv6.bias.data[...] = 2  # so conv6 is 2 everywhere
    net.conv7.weight.data[...] = 0
    net.conv7.weight.data[1, 1] = np.eye(len(net.conv7.bias.data))  # conv7 is what it gets
    z = Tensor(np.zeros((images, 20, 24, 128), np.float32))
    return cast(FloatArray, net._conv7(net.backbone(z, after="pool2"), step, None).data / 2)


def test_dropout_of_conv6() -> None:
    step = Step(seed=3, epoch=1, samples=(7, 8), training=True)
    y = dropped(step)
    assert y.shape == (2, 10, 12, 64)
    assert set(np.unique(np.round(y, 5))) == {0.0, np.float32(1.33333)}
    assert (np.abs(y) < 1e-5).mean() == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / y.size))
    assert (y[0] != y[1]).any()
    np.testing.assert_array_equal(dropped(step), y)
    for other in (replace(step, seed=4), replace(step, epoch=2)):
        assert (dropped(other) != y).any()
    # alone, or after another image, an image has the same mask
    np.testing.assert_array_equal(dropped(replace(step, samples=(8,)), images=1)[0], y[1])
    np.testing.assert_array_equal(dropped(replace(step, samples=(8, 7)))[0], y[1])


def test_dropout_only_acts_in_training(rng: np.random.Generator) -> None:
    x = Tensor(rng.standard_normal((2, 16, 24, 3)).astype(np.float32))
    net, plain = (build({**DROPPED, "dropout": p}, 4, np.random.default_rng(0)) for p in (0.5, 0.0))
    assert net.probabilities(x).tobytes() == plain.probabilities(x).tobytes()
    maps, expected = net.feature_maps(x), plain.feature_maps(x)
    assert maps["conv7"].tobytes() == expected["conv7"].tobytes()
    z = net.frozen(x)
    training = net.scores(z, Step(samples=(0, 1), training=True)).data
    assert np.abs(training - net.scores(z).data).max() > 1e-6


@pytest.mark.slow
def test_gradient_with_dropout_and_all_other_options(rng: np.random.Generator) -> None:
    options = {"normalisation": "batch", "norm_order": "norm-relu", "align_corners": True, "dropout": 0.5}
    sources = ["conv7", "pool5", "pool4"]
    net: Any = build({**TINY, "units": [3], "sources": sources, **options}, 4, rng, dtype=np.float64)
    z = Tensor(rng.standard_normal((2, 4, 6, 128)))
    labels = rng.integers(0, 4, (2, 16, 24))
    step = Step(seed=1, epoch=2, samples=(5, 3), training=True)
    for name, p in net.named_parameters():
        if name.endswith("bias"):  # away from 0, where a ReLU is not differentiable
            p.data += 0.5 * rng.standard_normal(p.shape)

    def loss() -> Tensor:
        return cast(Tensor, net.compare(net.scores(z, step), labels))

    backward(loss())
    for name in ("backbone.conv5_1", "conv6", "conv7", "conv8", "renet.0.vertical"):
        p = net.get_submodule(name).weight
        slopes = []
        direction = rng.standard_normal(p.shape)
        direction /= np.linalg.norm(direction)
        for eps in (1e-5, 1e-6, 1e-7):  # a shorter one, if the first crossed a kink of a ReLU or maximum
            ends = []
            for sign in (1, -1):
                p.data += sign * eps * direction
                ends.append(float(loss().data))
                p.data -= sign * eps * direction
            slopes.append((ends[0] - ends[1]) / (2 * eps))
        exact = float((p.grad * direction).sum())
        assert min(abs(slope - exact) for slope in slopes) < 1e-5 * abs(exact) + 1e-9, name


@pytest.mark.slow
@pytest.mark.parametrize("name", ["h-renet", "fcn-largefov"])
def test_the_first_steps_of_a_preset_need_no_limit_of_the_gradient(
    name: str, rng: np.random.Generator
) -> None:
    values = ("model.width=0.125", "model.weights=", "train.weight_decay=0")
    config = resolve(name, [(item, "--set") for item in values])
    net: Any = build(config.model, 8, np.random.default_rng(0))
    classes = rng.integers(0, 8, (2, 8, 10)).repeat(8, 1).repeat(8, 2)
    x = rng.uniform(-100, 100, (8, 3))[classes] + rng.normal(0, 10, (*classes.shape, 3))
    z = net.frozen(Tensor(x.astype(np.float32)))
    trained = {name: p for name, p in net.named_parameters() if p.requires_grad}
    assert config.train.clip_norm == 0
    optimizer = make_optimizer(config.train, trained, parameter_groups(config.train, net))
    losses = []
    for time in range(4):
        optimizer.zero_grad()
        step = Step(seed=0, epoch=time, samples=(0, 1), training=True)
        loss = net.compare(net.scores(z, step), classes)
        losses.append(float(loss.data))
        backward(loss)
        optimizer.step(config.train.learning_rate, optimizer.gradient_norm(), time)
    assert losses[0] == pytest.approx(np.log(8), rel=0.2)
    assert max(losses) < 1.2 * np.log(8)


MEASURE = """
import re
from pathlib import Path
import numpy as np
from lstm2d import Tensor
from lstm2d.models import build
options = {"sources": ["conv7", "pool5", "pool4"], "normalisation": "batch", "weights": ""}
net = build({"kind": "h-renet", **options}, 21, np.random.default_rng(0))
p = net.probabilities(Tensor(np.ones((1, 400, 504, 3), np.float32)))
assert p.shape == (1, 400, 504, 21) and np.isfinite(p).all()
# ru_maxrss would be that of pytest, if it is larger: a new program inherits it
print(int(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 2**10)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc is of Linux")
def test_one_image_of_500x400_at_full_width_needs_less_than_4_gb() -> None:
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 4e9
