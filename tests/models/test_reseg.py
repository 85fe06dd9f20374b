"""ReSeg: its layers computed by hand, its sizes, and its variants."""

from typing import Any

import numpy as np
import pytest

from lstm2d import Tensor, ops
from lstm2d.config import load_preset
from lstm2d.errors import ConfigError
from lstm2d.models import ReSegConfig, build, model_config, parameter_count
from tests.models.base import ModelTests, training_loss

SMALL = {"kind": "reseg", "units": [6, 6], "upsample_channels": 6}


class TestVGG(ModelTests):
    def section(self) -> dict[str, Any]:
        return {**SMALL, "features": "conv2_1", "patches": [2, 1]}


class TestImage(ModelTests):
    def section(self) -> dict[str, Any]:
        return {**SMALL, "features": "image", "patches": [2, 1], "unit": "lstm", "loss": "mean"}


class TestBilinear(ModelTests):
    def section(self) -> dict[str, Any]:
        options = {"upsampling": "bilinear", "unit": "tanh", "weights": ""}
        return {**SMALL, "features": "conv1_1", "patches": [3, 1], **options}


class TestWithoutReNet(ModelTests):
    def section(self) -> dict[str, Any]:
        return {"kind": "reseg", "features": "conv2_2", "units": [], "patches": [], "upsample_channels": 12}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        # 2 directions x 3 gates x 100 units x (inputs + 100 + 1), four sweeps; enlargements, scores
        ("reseg", 600 * (357 + 3 * 301) + 801 * 50 + 201 * 50 + 51 * 11),
        ("reseg-paper", 600 * (1125 + 3 * 301) + 801 * 50 + 2 * 201 * 50 + 51 * 11),
        ("reseg-raw", 600 * (113 + 3 * 301) + 801 * 50 + 51 * 11),
    ],
)
def test_the_sizes_of_the_presets(name: str, values: int) -> None:
    config = model_config(load_preset(name).model)
    assert isinstance(config, ReSegConfig)
    assert parameter_count(config, 11) == values
    assert config.stride == {"reseg": 4, "reseg-paper": 8, "reseg-raw": 2}[name]


def test_put_together_by_hand(rng: np.random.Generator) -> None:
    config = ReSegConfig(features="conv2_1", units=(3, 4), patches=(2, 1), upsample_channels=5)
    net: Any = build(config, 6, rng, dtype=np.float64)
    x = Tensor(rng.standard_normal((2, 8, 4, 3)))
    z = net.frozen(x)
    np.testing.assert_array_equal(z.data, net.backbone(x).data)
    assert z.shape == (2, 4, 2, 128)
    y = net.renet[1](net.renet[0](z)).data
    assert (y.shape, len(net.upsample)) == ((2, 2, 1, 8), 2)
    for layer in net.upsample:  # each position becomes 2 x 2
        n, rows, columns, channels = y.shape
        large = np.einsum("nijc,rsco->nirjso", y, layer.weight.data).reshape(n, 2 * rows, 2 * columns, -1)
        y = np.maximum(large + layer.bias.data, 0)
        assert (channels, layer.weight.shape[3]) in ((8, 5), (5, 5))
    scores = y @ net.classify.weight.data + net.classify.bias.data
    np.testing.assert_allclose(net.scores(z).data, scores, rtol=1e-9, atol=1e-12)
    labels = rng.integers(0, 6, (2, 8, 4))
    expected = float(ops.cross_entropy(Tensor(scores), labels, reduction="sum").data)
    assert float(training_loss(net, z, labels).data) == pytest.approx(expected, rel=1e-10)


def test_scores_are_enlarged_where_that_is_asked_for(rng: np.random.Generator) -> None:
    config = ReSegConfig(features="conv2_1", units=(3,), patches=(3,), upsampling="bilinear")
    net: Any = build(config, 4, rng, dtype=np.float64)
    assert (net.stride, net.upsample) == (6, [])
    z = net.frozen(Tensor(rng.standard_normal((1, 6, 12, 3))))
    small = net.classify(net.renet[0](z))
    np.testing.assert_allclose(net.scores(z).data, ops.bilinear_resize(small, 6, 12).data, rtol=1e-12)


def test_feature_maps_of_every_layer(rng: np.random.Generator) -> None:
    config = ReSegConfig(features="conv1_2", units=(3,), patches=(2,), upsample_channels=5)
    net: Any = build(config, 4, rng)
    x = Tensor(rng.standard_normal((1, 4, 6, 3)).astype(np.float32))
    maps = net.feature_maps(x)
    shapes = {"conv1_1": 64, "conv1_2": 64, "renet1(V)": 6, "renet1(H)": 6, "upsample1": 5, "scores": 4}
    assert {name: m.shape[-1] for name, m in maps.items()} == shapes
    np.testing.assert_array_equal(maps["conv1_2"], net.frozen(x).data)


def test_first_values(rng: np.random.Generator) -> None:
    net: Any = build(ReSegConfig(features="conv1_1", units=(20,), patches=(2,)), 4, rng)
    for sweep in (net.renet[0].vertical, net.renet[0].horizontal):
        matrices = sweep.recurrent.data.reshape(2, 20, 3, 20).swapaxes(1, 2).reshape(-1, 20, 20)
        for matrix in matrices:
            np.testing.assert_allclose(matrix @ matrix.T, np.eye(20), atol=1e-5)
        assert sweep.weight.data.std() == pytest.approx(0.1, rel=0.05)
        assert not sweep.bias.data.any()
    limit = np.sqrt(6 / (4 * (40 + 50)))
    assert 0.99 * limit < abs(net.upsample[0].weight.data).max() <= limit


def test_a_wrong_config_names_everything() -> None:
    with pytest.raises(ConfigError) as error:
        ReSegConfig(
            features="conv6_1",
            units=(0,),
            patches=(1, 1),
            unit="rnn",  # type: ignore[arg-type]
            upsampling="cubic",  # type: ignore[arg-type]
            upsample_channels=0,
            loss="max",  # type: ignore[arg-type]
        )
    for word in ("'conv6_1'", "(0,)", "(1, 1)", "'rnn'", "'cubic'", "upsample_channels = 0", "'max'"):
        assert word in str(error.value)
    with pytest.raises(ConfigError, match="patches whose product is a power of 2"):
        ReSegConfig(features="conv1_1", units=(2,), patches=(3,))
