"""Modules with parameters on a device."""

import numpy as np

from lstm2d import Tensor, kernels
from lstm2d.nn import BatchNorm, Linear, Module


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
