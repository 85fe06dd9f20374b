"""SGD against values worked out by hand."""

import numpy as np
import pytest

from lstm2d.tensor import Tensor
from lstm2d.training.sgd import SGD


def make(**options: float) -> tuple[SGD, dict[str, Tensor]]:
    """Return an optimizer of two parameters, (1, 2) and ((3,),), in float64."""
    parameters = {
        "a": Tensor(np.array([1.0, 2.0]), requires_grad=True),
        "b": Tensor(np.array([[3.0]]), requires_grad=True),
    }
    return SGD(parameters, **options), parameters


def apply(optimizer: SGD, a: list[float], b: float, rate: float = 0.1, time: int = 0) -> float:
    """Do a step with the given gradients and return their norm."""
    optimizer.zero_grad()
    optimizer.parameters["a"].grad = np.array(a)
    optimizer.parameters["b"].grad = np.array([[b]])
    norm = optimizer.gradient_norm()
    optimizer.step(rate, norm, time)
    return norm


def test_momentum() -> None:
    optimizer, p = make(momentum=0.5)
    apply(optimizer, [10.0, 0.0], -10.0)
    assert p["a"].data.tolist() == [0.0, 2.0]  # 1 - 0.1 * 10
    assert p["b"].data.tolist() == [[4.0]]
    apply(optimizer, [0.0, 0.0], 20.0)
    assert p["a"].data.tolist() == [-0.5, 2.0]  # velocity -1 halved
    assert p["b"].data.tolist() == [[2.5]]  # 4 + 0.5 * 1 - 0.1 * 20


def test_norm_is_that_of_all_gradients_together_and_clipping_keeps_the_direction() -> None:
    optimizer, p = make(momentum=0.0, clip_norm=6.5)
    assert apply(optimizer, [3.0, 4.0], 12.0) == 13.0
    assert p["a"].data == pytest.approx([1 - 0.15, 2 - 0.2])  # halved
    assert p["b"].data == pytest.approx(np.array([[3 - 0.6]]))


def test_a_short_gradient_is_not_clipped() -> None:
    optimizer, p = make(momentum=0.0, clip_norm=13.0)
    apply(optimizer, [3.0, 4.0], 12.0)
    assert p["b"].data == pytest.approx(np.array([[1.8]]))


def test_weight_decay_comes_after_clipping() -> None:
    optimizer, p = make(momentum=0.0, clip_norm=6.5, weight_decay=0.5)
    apply(optimizer, [3.0, 4.0], 12.0)
    assert p["a"].data == pytest.approx([1 - 0.1 * (1.5 + 0.5), 2 - 0.1 * (2 + 1)])
    assert p["b"].data == pytest.approx(np.array([[3 - 0.1 * (6 + 1.5)]]))


def test_biases_do_not_decay() -> None:
    p = {name: Tensor(np.array([4.0]), requires_grad=True) for name in ("conv.bias", "conv.weight")}
    optimizer = SGD(p, momentum=0.5, weight_decay=0.25)
    for t in p.values():
        t.grad = np.array([1.0])
    optimizer.step(0.5, optimizer.gradient_norm(), 0)
    # velocities -0.5 (1 + 0.25 * 4) = -1 and -0.5 * 1
    assert (p["conv.weight"].data[0], p["conv.bias"].data[0]) == (3.0, 3.5)
    optimizer.step(0.5, optimizer.gradient_norm(), 1)
    # velocities 0.5 * -1 - 0.5 (1 + 0.25 * 3) = -1.375 and 0.5 * -0.5 - 0.5 = -0.75
    assert (p["conv.weight"].data[0], p["conv.bias"].data[0]) == (1.625, 2.75)


def test_running_mean_starts_fast_and_swapping_twice_changes_nothing() -> None:
    optimizer, p = make(momentum=0.0, average=0.9)
    apply(optimizer, [10.0, 0.0], 0.0, time=0)  # weight 0; decay min(0.9, 1/10)
    apply(optimizer, [10.0, 0.0], 0.0, time=1)  # weight -1; decay min(0.9, 2/11)
    first = 0.1 * 1 + 0.9 * 0
    second = 2 / 11 * first + 9 / 11 * -1
    optimizer.swap_average()
    assert p["a"].data[0] == pytest.approx(second, abs=1e-15)
    optimizer.swap_average()
    assert p["a"].data.tolist() == [-1.0, 2.0]


def test_running_mean_reaches_its_decay() -> None:
    optimizer, p = make(momentum=0.0, average=0.5)
    apply(optimizer, [10.0, 0.0], 0.0, time=1000)
    optimizer.swap_average()
    assert p["a"].data[0] == 0.5


def test_without_average_swapping_does_nothing() -> None:
    optimizer, p = make()
    optimizer.swap_average()
    assert p["a"].data.tolist() == [1.0, 2.0]


def test_a_parameter_without_gradient_counts_as_zero() -> None:
    optimizer, p = make(momentum=0.5)
    apply(optimizer, [10.0, 10.0], 5.0)
    optimizer.zero_grad()
    p["b"].grad = np.array([[1.0]])
    assert optimizer.gradient_norm() == 1.0
    assert [t.grad is None for t in p.values()] == [True, False]


def test_squares_that_overflow_float32_still_give_a_norm() -> None:
    p = {"a": Tensor(np.ones(2, np.float32), requires_grad=True)}
    optimizer = SGD(p)
    p["a"].grad = np.array([3e30, 4e30], np.float32)
    assert optimizer.gradient_norm() == pytest.approx(5e30)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite_is_seen_and_named(bad: float) -> None:
    optimizer, p = make()
    p["a"].grad = np.array([0.0, 1.0])
    p["b"].grad = np.array([[bad]])
    assert not np.isfinite(optimizer.gradient_norm())
    assert optimizer.not_finite() == ["b"]


def test_weights_that_overflow_are_seen() -> None:
    optimizer, _ = make()
    assert optimizer.is_finite()
    apply(optimizer, [1e150, 0.0], 0.0, rate=1e200)
    assert not optimizer.is_finite()


def test_state_continues_to_the_same_bits(rng: np.random.Generator) -> None:
    def gradients() -> tuple[list[float], float]:
        return rng.normal(size=2).tolist(), float(rng.normal())

    steps = [gradients() for _ in range(6)]
    straight, p = make(momentum=0.9, average=0.99, weight_decay=0.1)
    for time, (a, b) in enumerate(steps):
        apply(straight, a, b, time=time)
    first, _ = make(momentum=0.9, average=0.99, weight_decay=0.1)
    for time, (a, b) in enumerate(steps[:3]):
        apply(first, a, b, time=time)
    second, q = make(momentum=0.9, average=0.99, weight_decay=0.1)
    second.load_state_dict(first.state_dict())
    for time, (a, b) in enumerate(steps[3:], start=3):
        apply(second, a, b, time=time)
    for name in p:
        assert p[name].data.tobytes() == q[name].data.tobytes()
    for name, array in straight.state_dict().items():
        assert array.tobytes() == second.state_dict()[name].tobytes()


def test_state_is_a_copy() -> None:
    optimizer, _ = make()
    state = optimizer.state_dict()
    apply(optimizer, [10.0, 0.0], 0.0)
    assert state["weight.a"].tolist() == [1.0, 2.0]
    assert sorted(state) == ["velocity.a", "velocity.b", "weight.a", "weight.b"]


def test_a_mean_that_begins_later_begins_at_the_weights() -> None:
    plain, _ = make()
    apply(plain, [10.0, 0.0], 0.0)
    averaged, p = make(average=0.9)
    averaged.load_state_dict(plain.state_dict())
    averaged.swap_average()
    assert p["a"].data.tolist() == [0.0, 2.0]


def test_wrong_shape_in_a_state() -> None:
    optimizer, _ = make()
    state = optimizer.state_dict() | {"velocity.b": np.zeros(2)}
    with pytest.raises(ValueError, match=r"velocity.b has shape \(2,\), expected \(1, 1\)"):
        optimizer.load_state_dict(state)
