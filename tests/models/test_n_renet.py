"""N-ReNet: its layers computed by hand, its sizes, and its variants."""

from typing import Any

import numpy as np
import pytest

from lstm2d import Tensor, ops
from lstm2d.config import load_preset
from lstm2d.errors import ConfigError
from lstm2d.models import NReNetConfig, build, parameter_count
from tests.models.base import ModelTests, training_loss


class TestGroups(ModelTests):
    rate = 0.02

    def section(self) -> dict[str, Any]:
        return {"kind": "n-renet", "units": [8, 10], "patches": [2, 1]}


class TestFeaturesAndSum(ModelTests):
    rate = 0.02

    def section(self) -> dict[str, Any]:
        options = {"features": [7], "unit": "gru", "loss": "sum"}
        return {"kind": "n-renet", "units": [6, 8], "patches": [3, 1], **options}


class TestPixels(ModelTests):
    def section(self) -> dict[str, Any]:
        return {"kind": "n-renet", "units": [9], "patches": [1], "unit": "tanh"}


class TestRectified(ModelTests):
    def section(self) -> dict[str, Any]:
        return {"kind": "n-renet", "units": [8], "patches": [2], "unit": "irnn"}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        # 2 directions x 4 gates x units x (inputs + units + 1), vertical and horizontal; then 1 x 1 layers
        ("n-renet", 320 * (53 + 121) + 480 * (141 + 181) + 640 * (201 + 241) + 161 * 8),
        ("n-renet-ref", 320 * (68 + 121) + 81 * 80 + 480 * (141 + 181) + 121 * 120 + 480 * (181 + 181) + 968),
    ],
)
def test_the_sizes_of_the_presets(name: str, values: int, rng: np.random.Generator) -> None:
    model = load_preset(name).model
    assert parameter_count(model, 8) == values
    assert sum(p.data.size for p in build(model, 8, rng).parameters()) == values


@pytest.mark.parametrize("features", [(), (5,)])
def test_put_together_by_hand(features: tuple[int, ...], rng: np.random.Generator) -> None:
    config = NReNetConfig(units=(3, 4), patches=(2, 1), features=features)
    net: Any = build(config, 6, rng, dtype=np.float64)
    x = Tensor(rng.standard_normal((2, 4, 6, 3)))
    y = net.renet[0](x)
    assert net.renet[0].patch == 2
    if features:
        y = Tensor(np.tanh(y.data @ net.convs[0].weight.data + net.convs[0].bias.data))
    y = net.renet[1](y)
    small = Tensor(y.data @ net.classify.weight.data + net.classify.bias.data)
    assert small.shape == (2, 2, 3, 6)
    scores = ops.bilinear_resize(small, 4, 6)
    np.testing.assert_allclose(net.scores(x).data, scores.data, rtol=1e-10)
    labels = rng.integers(0, 6, (2, 4, 6))
    expected = float(ops.cross_entropy(scores, labels).data)
    assert float(training_loss(net, x, labels).data) == pytest.approx(expected, rel=1e-10)


def test_feature_maps_are_named_as_in_the_paper(rng: np.random.Generator) -> None:
    net: Any = build(NReNetConfig(units=(3, 4), patches=(2, 1), features=(5,)), 6, rng)
    x = Tensor(rng.standard_normal((1, 4, 6, 3)).astype(np.float32))
    maps = net.feature_maps(x)
    shapes = {"renet1(V)": 6, "renet1(H)": 6, "conv1": 5, "renet2(V)": 8, "renet2(H)": 8, "scores": 6}
    assert {name: m.shape[-1] for name, m in maps.items()} == shapes
    vertical, horizontal = net.renet[0].sweeps(x)
    np.testing.assert_array_equal(maps["renet1(V)"], vertical.data)
    np.testing.assert_array_equal(maps["renet1(H)"], horizontal.data)


def test_first_values(rng: np.random.Generator) -> None:
    net: Any = build(NReNetConfig(units=(30, 30), patches=(2, 1), features=(40,)), 50, rng)
    for layer in net.renet:
        for sweep in (layer.vertical, layer.horizontal):
            for p in (sweep.weight, sweep.recurrent):
                assert 0.199 < abs(p.data).max() <= 0.2
            assert sweep.bias.data.reshape(2, 4, 30)[:, :, 0].tolist() == [[0, 2, 0, 0]] * 2
    for matrix in (net.convs[0].weight.data, net.classify.weight.data):
        assert matrix.std() == pytest.approx(0.1, rel=0.05)
        assert abs(matrix).max() > 0.25  # normal, not uniform


def test_a_wrong_config_names_everything() -> None:
    with pytest.raises(ConfigError) as error:
        NReNetConfig(
            units=(0,),
            patches=(1, 1),
            features=(3,),
            unit="rnn",  # type: ignore[arg-type]
            forget_bias=np.nan,
            loss="max",  # type: ignore[arg-type]
        )
    for word in ("units = (0,)", "patches = (1, 1)", "features = (3,)", "'rnn'", "nan", "'max'"):
        assert word in str(error.value)
