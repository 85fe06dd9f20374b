"""Optimizers with parameters on a GPU, or the stand-in, give the same results as on the host."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from lstm2d import kernels
from lstm2d.tensor import Tensor
from lstm2d.training.adadelta import Adadelta
from lstm2d.training.optimizer import Group, Optimizer
from lstm2d.training.sgd import SGD

SHAPES = {"conv.weight": (5, 7, 3), "conv.bias": (3,), "top.weight": (40,)}
OPTIONS: list[dict[str, Any]] = [
    {},
    {"clip_norm": 2.0, "weight_decay": 0.1, "average": 0.9},
    {"weight_decay": 0.1, "groups": {"conv.weight": Group(frozen=True), "top": Group(rate=3.0)}},
]


def run(kind: type[Optimizer], cp: ModuleType | None, options: dict[str, Any], steps: int = 3) -> Optimizer:
    """Return an optimizer after some steps, on the device if one is given."""
    rng = np.random.default_rng(4)

    def draw(shape: tuple[int, ...]) -> Any:
        values = rng.standard_normal(shape)
        return values if cp is None else cp.asarray(values)

    parameters = {name: Tensor(draw(shape), requires_grad=True) for name, shape in SHAPES.items()}
    optimizer = kind(parameters, **options)
    for time in range(steps):
        optimizer.zero_grad()
        for name, p in parameters.items():
            p.grad = None if (name, time) == ("conv.bias", 1) else draw(p.shape)
        optimizer.step(0.1, optimizer.gradient_norm(), time)
    return optimizer


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("kind", [SGD, Adadelta])
def test_the_same_on_every_device(cp: ModuleType, kind: type[Optimizer], options: dict[str, Any]) -> None:
    device, host = run(kind, cp, options), run(kind, None, options)
    assert all(kernels.on_gpu(p.data) for p in device.parameters.values())
    for _ in range(2):  # of the weights, and of their mean
        state, expected = device.state_dict(), host.state_dict()
        assert list(state) == list(expected)
        for name, values in expected.items():
            np.testing.assert_allclose(state[name], values, rtol=1e-10, atol=1e-12, err_msg=name)
        device.swap_average()
        host.swap_average()


@pytest.mark.parametrize("kind", [SGD, Adadelta])
def test_a_state_goes_on_on_another_device(cp: ModuleType, kind: type[Optimizer]) -> None:
    host, fresh = run(kind, None, OPTIONS[1]), run(kind, cp, OPTIONS[1], steps=0)
    fresh.load_state_dict(host.state_dict())
    back = run(kind, None, OPTIONS[1], steps=0)
    back.load_state_dict(fresh.state_dict())
    for name, values in host.state_dict().items():
        assert fresh.state_dict()[name].tobytes() == back.state_dict()[name].tobytes() == values.tobytes()


@pytest.mark.parametrize("kind", [SGD, Adadelta])
def test_what_is_not_finite_is_seen_and_named(cp: ModuleType, kind: type[Optimizer]) -> None:
    optimizer = run(kind, cp, {})
    assert optimizer.is_finite()
    assert optimizer.not_finite() == []
    gradient = np.zeros(SHAPES["top.weight"])
    gradient[17] = np.nan
    optimizer.parameters["top.weight"].grad = cp.asarray(gradient)
    assert np.isnan(optimizer.gradient_norm())
    assert optimizer.not_finite() == ["top.weight"]
    optimizer.step(0.1, 1.0, 3)
    assert not optimizer.is_finite()
