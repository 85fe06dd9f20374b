"""Groups of parameters, for every optimizer."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm2d import backward
from lstm2d.ops import add, linear
from lstm2d.tensor import Tensor
from lstm2d.training.adadelta import Adadelta
from lstm2d.training.optimizer import Group, Optimizer
from lstm2d.training.sgd import SGD

OPTIMIZERS = [SGD, Adadelta]
NAMES = ("conv1.weight", "conv1.bias", "conv10.weight", "top.conv10.weight")


def parameters() -> dict[str, Tensor]:
    return {name: Tensor(np.array([1.0, 2.0]), requires_grad=True) for name in NAMES}


def run(optimizer: Optimizer, steps: int = 3) -> dict[str, np.ndarray]:
    for time in range(steps):
        for p in optimizer.parameters.values():
            p.grad = np.array([3.0, -4.0])
        optimizer.step(0.1, optimizer.gradient_norm(), time)
    return {name: p.data for name, p in optimizer.parameters.items()}


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_factor_of_the_rate(kind: type[Optimizer]) -> None:
    plain = run(kind(parameters()))
    groups = {"conv1": Group(rate=10), "conv1.bias": Group(rate=2)}
    grouped = run(kind(parameters(), groups=groups))
    for name, factor in zip(NAMES, (10, 2, 1, 1), strict=True):
        expected = factor * (plain[name] - [1, 2])
        np.testing.assert_allclose(grouped[name] - [1, 2], expected, rtol=1e-12)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_frozen_parameters_stay_and_count_in_no_norm(kind: type[Optimizer]) -> None:
    p = parameters()
    optimizer = kind(p, weight_decay=0.5, average=0.9, groups={"conv1": Group(frozen=True)})
    assert [t.requires_grad for t in p.values()] == [False, False, True, True]
    for t in p.values():
        t.grad = np.array([3.0, 4.0])
    assert optimizer.gradient_norm() == pytest.approx(np.sqrt(50))
    after = run(optimizer)
    for name in NAMES:
        assert (after[name] == [1, 2]).all() == name.startswith("conv1.")
    state = optimizer.state_dict()
    for name, array in state.items():
        if name.endswith(("conv1.weight", "conv1.bias")):
            assert array.tolist() == ([1, 2] if name.startswith(("weight", "average")) else [0, 0])


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_no_gradient_is_computed_for_what_is_frozen(kind: type[Optimizer]) -> None:
    weight, bias = Tensor(np.eye(2), requires_grad=True), Tensor(np.ones(2), requires_grad=True)
    kind({"fixed.weight": weight, "bias": bias}, groups={"fixed": Group(frozen=True)})
    backward(add(linear(Tensor(np.ones((1, 2))), weight), bias), np.ones((1, 2)))
    assert weight.grad is None
    assert bias.grad is not None


def test_a_group_of_nothing() -> None:
    with pytest.raises(ValueError, match="conv2, conv"):
        SGD(parameters(), groups={"conv2": Group(), "conv": Group(), "top": Group()})


@given(st.permutations(NAMES), st.sampled_from(OPTIMIZERS))
def test_the_order_of_the_parameters_changes_no_bit(names: list[str], kind: type[Optimizer]) -> None:
    options: Any = {"weight_decay": 0.3, "average": 0.9, "groups": {"top": Group(rate=3)}}
    own = parameters()
    shuffled = kind({name: own[name] for name in names}, **options)
    usual = kind(parameters(), **options)
    run(shuffled)
    run(usual)
    assert list(shuffled.state_dict())[: len(names)] == [f"weight.{name}" for name in names]
    expected = usual.state_dict()
    assert {k: v.tobytes() for k, v in shuffled.state_dict().items()} == {
        k: v.tobytes() for k, v in expected.items()
    }


@pytest.mark.parametrize("names", [["a.weight"], ["a.bias"], ["a.bias", "b.bias_like", "biased.weight"]])
def test_only_a_parameter_called_bias_does_not_decay(names: list[str]) -> None:
    p = {name: Tensor(np.full(3, 2.0), requires_grad=True) for name in names}
    optimizer = SGD(p, momentum=0.0, weight_decay=0.5)
    optimizer.step(0.1, optimizer.gradient_norm(), 0)
    for name in names:  # 2 - 0.1 * 0.5 * 2
        assert p[name].data.tolist() == [2.0 if name == "a.bias" else 1.9] * 3


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_state_is_loaded_by_name_whatever_the_order(kind: type[Optimizer]) -> None:
    first = kind(parameters(), weight_decay=0.1, average=0.5)
    run(first)
    second = kind(dict(reversed(parameters().items())), weight_decay=0.1, average=0.5)
    second.load_state_dict(first.state_dict())
    expected, found = run(first), run(second)
    for name in NAMES:
        assert found[name].tobytes() == expected[name].tobytes()
