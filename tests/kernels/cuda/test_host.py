"""What the library does with arrays on a device, outside of the kernels: modules, optimizers."""

import numpy as np
import pytest

from lstm2d import Tensor, kernels
from lstm2d.nn import BatchNorm, Linear, Module
from lstm2d.training.adadelta import Adadelta
from lstm2d.training.optimizer import Group, Optimizer
from lstm2d.training.sgd import SGD


class Tree(Module):
    """Parameters, one of them frozen, in lists and in parts, and buffers."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.layers = [Linear(3, 4, rng=rng), Linear(4, 2, rng=rng)]
        self.norms = (BatchNorm(4), "a name")
        self.scale = Tensor(np.array([3.0], np.float32))
        self.size = 3


def test_a_module_moves_and_comes_back(device: str, rng: np.random.Generator) -> None:
    tree = Tree(rng)
    before = tree.state_dict()
    assert tree.device == "cpu"
    tree.scale.grad = np.ones(1, np.float32)
    assert tree.to(device) is tree
    assert tree.device == device
    assert all(kernels.on_gpu(p.data) for p in tree.parameters())
    assert [name for name, _ in tree.named_buffers()] == ["norms.0.mean", "norms.0.var"]
    assert all(kernels.on_gpu(values) for _, values in tree.named_buffers())
    assert tree.scale.grad is None
    state = tree.state_dict()
    assert list(state) == list(before)
    for name, values in state.items():
        assert type(values) is np.ndarray
        np.testing.assert_array_equal(values, before[name])
    assert not any(kernels.on_gpu(p.data) for p in tree.to("cpu").parameters())


def test_values_from_the_host_are_loaded_in_place(device: str, rng: np.random.Generator) -> None:
    tree, other = Tree(rng).to(device), Tree(rng)
    held = tree.layers[0].weight.data
    state = {name: (values + 1).astype(np.float64) for name, values in other.state_dict().items()}
    tree.load_state_dict(state)
    assert held is tree.layers[0].weight.data
    for name, values in tree.state_dict().items():
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, state[name].astype(np.float32))


@pytest.mark.parametrize("kind", [SGD, Adadelta])
def test_an_optimizer_computes_where_its_weights_lie(
    device: str, kind: type[Optimizer], rng: np.random.Generator
) -> None:
    gradients = [rng.standard_normal((3, 4), np.float32) for _ in range(3)]
    first = rng.standard_normal((3, 4), np.float32)

    def trained(places: list[str]) -> dict[str, np.ndarray]:
        """Return what is left after a step in each place."""
        state = None
        for time, (place, gradient) in enumerate(zip(places, gradients, strict=True)):
            parameters = {
                name: Tensor(kernels.to_device(first, place), requires_grad=True) for name in ("a.w", "b.w")
            }
            groups = {"b": Group(rate=0.5)}
            optimizer = kind(parameters, weight_decay=0.1, clip_norm=1.0, average=0.9, groups=groups)
            if state is not None:
                optimizer.load_state_dict(state)
            for parameter in parameters.values():
                parameter.grad = kernels.to_device(gradient, place)
            optimizer.step(0.1, optimizer.gradient_norm(), time)
            assert optimizer.is_finite()
            assert all(kernels.device_of(p.data) == place for p in parameters.values())
            state = optimizer.state_dict()
            assert all(type(values) is np.ndarray for values in state.values())
        assert state is not None
        return state

    expected = trained(["cpu"] * 3)
    for places in ([device] * 3, ["cpu", device, "cpu"]):
        for name, values in trained(places).items():
            np.testing.assert_allclose(values, expected[name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_gradients_that_are_not_finite_are_named(device: str) -> None:
    parameters = {
        name: Tensor(kernels.to_device(np.ones(3, np.float32), device), requires_grad=True) for name in "ab"
    }
    optimizer = SGD(parameters)
    parameters["a"].grad = kernels.to_device(np.ones(3, np.float32), device)
    parameters["b"].grad = kernels.to_device(np.array([1, np.inf, 1], np.float32), device)
    assert optimizer.gradient_norm() == np.inf
    assert optimizer.not_finite() == ["b"]


def test_the_running_mean_changes_places_with_the_weights(device: str) -> None:
    parameters = {"a": Tensor(kernels.to_device(np.ones(3, np.float32), device), requires_grad=True)}
    optimizer = SGD(parameters, average=0.5)
    parameters["a"].grad = kernels.to_device(np.ones(3, np.float32), device)
    optimizer.step(1.0, optimizer.gradient_norm(), 100)
    moved = kernels.to_host(parameters["a"].data)
    optimizer.swap_average()
    np.testing.assert_allclose(kernels.to_host(parameters["a"].data), (moved + 1) / 2, rtol=1e-6)
    optimizer.swap_average()
    np.testing.assert_array_equal(kernels.to_host(parameters["a"].data), moved)
