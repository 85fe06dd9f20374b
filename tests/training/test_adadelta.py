"""Adadelta against values worked out by hand and a plain loop."""

import math

import numpy as np
import pytest

from lstm2d.tensor import Tensor
from lstm2d.training.adadelta import Adadelta


def make(dtype: type = np.float64, **options: float) -> tuple[Adadelta, dict[str, Tensor]]:
    """Return an optimizer of two parameters, (1, 2) and ((3,),)."""
    parameters = {
        "a": Tensor(np.array([1.0, 2.0], dtype), requires_grad=True),
        "b": Tensor(np.array([[3.0]], dtype), requires_grad=True),
    }
    return Adadelta(parameters, **options), parameters


def apply(optimizer: Adadelta, a: list[float], b: float, rate: float = 1.0, time: int = 0) -> None:
    """Do a step with the given gradients."""
    dtype = optimizer.parameters["a"].data.dtype
    optimizer.zero_grad()
    optimizer.parameters["a"].grad = np.array(a, dtype)
    optimizer.parameters["b"].grad = np.array([[b]], dtype)
    optimizer.step(rate, optimizer.gradient_norm(), time)


def test_first_steps_by_hand() -> None:
    # step 1: s = 0.5 4^2 = 8, c = 4 sqrt(1) / sqrt(8 + 1) = 4/3, d = 0.5 16/9 = 8/9
    # step 2: s = 4, c = 0, d = 4/9; step 3: s = 2 + 18 = 20, c = 6 sqrt(13/9) / sqrt(21)
    optimizer, p = make(rho=0.5, eps=1.0)
    apply(optimizer, [4.0, 0.0], -4.0, rate=0.5)
    np.testing.assert_allclose(p["a"].data, [1 - 2 / 3, 2], rtol=1e-15)
    np.testing.assert_allclose(p["b"].data, [[3 + 2 / 3]], rtol=1e-15)
    apply(optimizer, [0.0, 0.0], 0.0)
    np.testing.assert_allclose(p["b"].data, [[3 + 2 / 3]], rtol=1e-15)
    apply(optimizer, [6.0, 0.0], 0.0)
    np.testing.assert_allclose(p["a"].data[0], 1 / 3 - 6 * math.sqrt(13 / 9 / 21), rtol=1e-14)
    state = optimizer.state_dict()
    np.testing.assert_allclose(state["square.a"], [20, 0], rtol=1e-15)
    np.testing.assert_allclose(state["change.b"], [[2 / 9]], rtol=1e-15)  # 8/9 halved twice


def test_biases_do_not_decay() -> None:
    p = {name: Tensor(np.array([8.0]), requires_grad=True) for name in ("conv.bias", "conv.weight")}
    optimizer = Adadelta(p, rho=0.5, eps=1.0, weight_decay=0.25)
    for t in p.values():
        t.grad = np.array([2.0])
    optimizer.step(1.0, optimizer.gradient_norm(), 0)
    # weight: g = 2 + 0.25 * 8 = 4, s = 8, c = 4 / sqrt(9); bias: g = 2, s = 2, c = 2 / sqrt(3)
    np.testing.assert_allclose(p["conv.weight"].data, [8 - 4 / 3], rtol=1e-15)
    np.testing.assert_allclose(p["conv.bias"].data, [8 - 2 / math.sqrt(3)], rtol=1e-15)
    state = optimizer.state_dict()
    assert (state["square.conv.weight"][0], state["square.conv.bias"][0]) == (8.0, 2.0)


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 1e-5), (np.float64, 1e-12)])
def test_equals_a_plain_loop(dtype: type, rtol: float, rng: np.random.Generator) -> None:
    optimizer, p = make(dtype, weight_decay=0.01, clip_norm=2.0)
    w, s, d = np.array([1.0, 2.0, 3.0]), np.zeros(3), np.zeros(3)
    for time in range(50):
        g = rng.normal(size=3).astype(np.float32).astype(np.float64)
        apply(optimizer, g[:2].tolist(), float(g[2]), rate=0.7, time=time)
        g *= min(1, 2 / np.linalg.norm(g))
        g += 0.01 * w
        s = 0.95 * s + 0.05 * g**2
        c = g * np.sqrt(d + 1e-6) / np.sqrt(s + 1e-6)
        d = 0.95 * d + 0.05 * c**2
        w -= 0.7 * c
    np.testing.assert_allclose([*p["a"].data, p["b"].data[0, 0]], w, rtol=rtol)


def test_state_continues_to_the_same_bits(rng: np.random.Generator) -> None:
    steps = [(rng.normal(size=2).tolist(), float(rng.normal())) for _ in range(6)]
    options = {"average": 0.99, "weight_decay": 0.1}
    straight, p = make(np.float32, **options)
    first, _ = make(np.float32, **options)
    second, q = make(np.float32, **options)
    for time, (a, b) in enumerate(steps):
        apply(straight, a, b, time=time)
    for time, (a, b) in enumerate(steps[:3]):
        apply(first, a, b, time=time)
    second.load_state_dict(first.state_dict())
    for time, (a, b) in enumerate(steps[3:], start=3):
        apply(second, a, b, time=time)
    for name in p:
        assert p[name].data.tobytes() == q[name].data.tobytes()
    assert sorted(straight.state_dict()) == [
        f"{kind}.{name}" for kind in ("average", "change", "square", "weight") for name in "ab"
    ]
    for name, array in straight.state_dict().items():
        assert array.tobytes() == second.state_dict()[name].tobytes()


def test_a_square_that_overflows_is_seen() -> None:
    optimizer, p = make(np.float32)
    apply(optimizer, [1e25, 0.0], 0.0)
    assert p["a"].data.tolist() == [1.0, 2.0]  # otherwise it would never change again
    assert not optimizer.is_finite()
