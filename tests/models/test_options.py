"""Options of the networks: invalid ones are refused everywhere, all others build a network."""

import subprocess
import sys
from dataclasses import dataclass, fields
from typing import Annotated, Any

import numpy as np
import pytest
from annotated_types import Interval, Len
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm2d import Tensor
from lstm2d.config import from_dict
from lstm2d.config.load import valid_keys
from lstm2d.errors import ConfigError
from lstm2d.models import MODELS, LSTM2DConfig, ModelKind, Network, Step, build, model_config, parameter_count
from lstm2d.models.network import Maps
from lstm2d.models.options import Check, ModelConfig
from lstm2d.nn import Linear
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
    section["norm_order"] = draw(st.sampled_from(["relu-norm", "norm-relu"]))
    section["align_corners"] = draw(st.booleans())
    section["conv7_kernel"] = draw(st.sampled_from([1, 3]))
    return {**section, "width": draw(st.sampled_from([1 / 512, 1 / 64]))}


@settings(max_examples=12)
@given(section=renet_sections(), rows=st.integers(1, 2), columns=st.integers(1, 3))
def test_any_options_and_any_size(section: dict[str, Any], rows: int, columns: int) -> None:
    model = from_dict({"model": section}, "test").model  # the network accepts what the configuration accepts
    net = build(model, CLASSES, np.random.default_rng(0))
    assert parameter_count(model, CLASSES) == sum(p.size for p in net.stored_arrays().values())
    x = np.random.default_rng(1).standard_normal((1, rows * net.stride, columns * net.stride, 3))
    p = net.probabilities(Tensor(x.astype(np.float32)))
    assert p.shape == (*x.shape[:3], CLASSES)
    np.testing.assert_allclose(p.sum(-1), 1, rtol=1e-5)
    labels = np.random.default_rng(2).integers(0, CLASSES, x.shape[:3])
    assert np.isfinite(float(training_loss(net, net.frozen(Tensor(x.astype(np.float32))), labels).data))


SMALL: dict[str, dict[str, Any]] = {
    "lstm2d": {"window": 2, "units": [3, 2], "features": [4]},
    "reseg": {"features": "conv1_1", "units": [3], "patches": [2]},
    "n-renet": {"units": [3, 2], "patches": [2, 1], "features": [4]},
    "h-renet": {"units": [3], "patches": [1]},
}
VALUES = st.one_of(
    st.sampled_from(
        [None, True, "", "image", "conv5_3", "conv6_1", "sum", "gru", "l2", "bilinear", "shared"]
    ),
    st.sampled_from(
        [0, 1, 3, 64, 65, 4096, 4097, -1, 2**60, 10**400, 0.0, 0.5, 1.0, 4.5, float("nan"), float("inf")]
    ),
    st.lists(
        st.sampled_from([0, 1, 2, 64, 4096, 4097, True, 1.5, float("nan"), "pool4", "conv7"]), max_size=9
    ),
    st.just({}),
    st.just([[1]]),
)


def refusal(check: Any, section: dict[str, Any]) -> str:
    """Return the error for a section; "" if it is valid."""
    try:
        check(section)
    except ConfigError as error:
        return str(error)
    return ""


@settings(max_examples=300)
@given(data=st.data(), kind=st.sampled_from(sorted(SMALL)))
def test_configuration_and_network_refuse_the_same(data: st.DataObject, kind: str) -> None:
    names = [field.name for field in fields(MODELS[kind].config)]
    changes = data.draw(st.dictionaries(st.sampled_from(names), VALUES, max_size=3))
    section = {"kind": kind, **SMALL[kind], **changes}
    in_config = refusal(lambda s: from_dict({"model": s}, "test"), section)
    in_model = refusal(model_config, section)
    assert bool(in_config) == bool(in_model), (in_config, in_model)
    if not in_config:
        complete = from_dict({"model": section}, "test").model
        assert model_config(complete) == model_config(section)


@pytest.mark.parametrize("kind", SMALL)
def test_a_missing_or_unknown_key_is_refused_by_both(kind: str) -> None:
    for section in ({"kind": kind, **SMALL[kind], "colour": 1}, {"kind": kind, **SMALL[kind], "units": None}):
        assert refusal(model_config, section)
        assert refusal(lambda s: from_dict({"model": s}, "test"), section)
    required = {"lstm2d": "window", "reseg": "features", "n-renet": "patches"}.get(kind)
    section = {name: value for name, value in SMALL[kind].items() if name != required}
    if required is not None:
        assert f"no {required}" in refusal(model_config, {"kind": kind, **section})
        text = refusal(lambda s: from_dict({"model": s}, "test"), {"kind": kind, **section})
        assert f"model.{required} is missing" in text


@pytest.mark.parametrize(
    ("kind", "changes", "expected"),
    [
        ("lstm2d", {"features": []}, "1 values: one after each of the 2 layers in units but the last"),
        ("lstm2d", {"units": [4097, 1]}, "a list of 1 to 8 values, each an integer >= 1 and <= 4096"),
        ("lstm2d", {"forget_bias": [1.0]}, "a list of 2 to 2 values, each a number"),
        ("reseg", {"features": "conv6_1"}, 'a layer of VGG-16: "conv1_1" to "conv5_3"'),
        ("reseg", {"features": 3}, '"image", or a layer of VGG-16'),
        ("reseg", {"patches": [3]}, '"bilinear", or patches whose product is a power of 2'),
        ("reseg", {"patches": [1, 1]}, "1 values: one for each of the layers in units"),
        ("n-renet", {"features": [1, 2]}, "no value, or 1: one after each of the 2 layers but the last"),
        ("n-renet", {"patches": [65, 1]}, "each an integer >= 1 and <= 64"),
        ("h-renet", {"sources": ["pool4", "pool4"]}, "each layer once"),
        ("h-renet", {"sources": []}, 'a list of 1 to 3 values, each "pool4" or "pool5" or "conv7"'),
        ("h-renet", {"width": 4.5}, "a number > 0 and <= 4"),
        ("h-renet", {"conv7_kernel": 2}, "3 or 1"),
        ("h-renet", {"dropout": 1.0}, "a number >= 0 and < 1"),
        ("h-renet", {"norm_order": "relu"}, '"relu-norm" or "norm-relu"'),
    ],
)
def test_both_say_what_is_expected(kind: str, changes: dict[str, Any], expected: str) -> None:
    section = {"kind": kind, **SMALL[kind], **changes}
    assert expected in refusal(model_config, section)
    assert expected in refusal(lambda s: from_dict({"model": s}, "test"), section)


def test_lists_and_ints_are_converted() -> None:
    config = model_config({"kind": "lstm2d", **SMALL["lstm2d"], "cell_scale": 1, "forget_bias": [1, 2]})
    assert isinstance(config, LSTM2DConfig)
    assert (config.units, config.forget_bias) == ((3, 2), (1.0, 2.0))
    assert [type(v) for v in (config.cell_scale, *config.forget_bias)] == [float] * 3


def _even(value: int, limit: int) -> str:
    return "" if value % 2 == 0 and value <= limit else f"an even number up to {limit}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ToyConfig(ModelConfig):
    limit: Annotated[int, Interval(ge=1, le=10)] = 4
    size: Annotated[int, Check(_even, ("limit",))]
    names: Annotated[tuple[str, ...], Len(1, 2)] = ("a",)


class Toy(Network):
    def __init__(self, config: ToyConfig, n_classes: int, rng: Any, *, channels: int, dtype: Any) -> None:
        self.config, self.n_classes, self.stride = config, n_classes, 1
        self.classify = Linear(channels, n_classes, rng=rng, dtype=dtype)

    def layers(self, z: Tensor, step: Step, maps: Maps | None = None) -> Tensor:
        return self.classify(z)


def test_one_row_registers_a_model(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    monkeypatch.setitem(MODELS, "toy", ModelKind(ToyConfig, Toy))
    model = from_dict({"model": {"kind": "toy", "size": 4}}, "test").model
    assert model == {"kind": "toy", "limit": 4, "size": 4, "names": ["a"]}
    net = build(model, 3, rng, channels=2)
    assert isinstance(net, Toy)
    assert net.config == ToyConfig(size=4)
    assert parameter_count(model, 3, channels=2) == 9
    assert "model.names" in valid_keys([MODELS["toy"]])
    wrong = {"kind": "toy", "limit": 2, "size": 4, "names": []}
    text = refusal(lambda s: from_dict({"model": s}, "test"), wrong)
    assert "model.size = 4 (test): expected an even number up to 2" in text
    assert "model.names = [] (test): expected a list of 1 to 2 values, each a text" in text
    with pytest.raises(
        ConfigError, match=r"size = 4, expected an even number up to 2; names = \(\), expected"
    ):
        build(wrong, 3, rng)


def test_an_incomplete_network_cannot_be_built(rng: np.random.Generator) -> None:
    class Incomplete(Network):
        pass

    with pytest.raises(TypeError, match="abstract method"):
        Incomplete()  # type: ignore[abstract]


def test_networks_are_built_without_pydantic() -> None:
    code = """
import sys
import numpy as np
from lstm2d.models import MODELS, build
build({"kind": "n-renet", "units": [3], "patches": [1]}, 3, np.random.default_rng(0))
print("pydantic" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
