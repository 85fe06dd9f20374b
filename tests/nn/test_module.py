"""Parameters of a module: their names, their values out and in."""

import numpy as np
import pytest

from lstm2d import Tensor
from lstm2d.errors import DataError
from lstm2d.nn import Module


class Leaf(Module):
    def __init__(self, value: float) -> None:
        self.weight = Tensor(np.full((2, 3), value, np.float32), requires_grad=True)
        self.bias: Tensor | None = None
        self.size = 3


class Tree(Module):
    def __init__(self) -> None:
        self.layers = [Leaf(1), Leaf(2)]
        self.scale = Tensor(np.array([3.0], np.float32))  # frozen: still a parameter
        self.head = Leaf(4)
        self.pair = (Leaf(5), "a name", 7)


NAMES = ["layers.0.weight", "layers.1.weight", "scale", "head.weight", "pair.0.weight"]


def test_names_and_order() -> None:
    tree = Tree()
    assert [name for name, _ in tree.named_parameters()] == NAMES
    assert [float(p.data.flat[0]) for p in tree.parameters()] == [1, 2, 3, 4, 5]
    assert tree.parameters()[0] is tree.layers[0].weight


def test_state_dict_is_a_copy() -> None:
    tree = Tree()
    state = tree.state_dict()
    assert list(state) == NAMES
    state["scale"][...] = 9
    assert tree.scale.data.tolist() == [3.0]


def test_load_sets_values_in_place() -> None:
    tree, source = Tree(), Tree()
    for p in source.parameters():
        p.data += 10
    held = tree.scale.data
    state = {name: values.astype(np.float64) for name, values in source.state_dict().items()}
    assert tree.load_state_dict(state) == ((), ())
    assert held is tree.scale.data
    assert held.dtype == np.float32
    assert {n: v.tolist() for n, v in tree.state_dict().items()} == {n: v.tolist() for n, v in state.items()}


def test_strict_load_names_everything_wrong_and_changes_nothing() -> None:
    tree = Tree()
    before = tree.state_dict()
    state = {**tree.state_dict(), "extra": np.zeros(1), "head.weight": np.zeros((3, 2))}
    del state["scale"]
    for values in state.values():
        values += 1
    with pytest.raises(DataError) as error:
        tree.load_state_dict(state)
    text = str(error.value)
    assert "head.weight has shape (3, 2), not (2, 3)" in text
    assert "scale is missing" in text
    assert "extra is unknown" in text
    assert {n: v.tolist() for n, v in tree.state_dict().items()} == {n: v.tolist() for n, v in before.items()}


def test_load_that_is_not_strict() -> None:
    tree = Tree()
    skipped = tree.load_state_dict({"scale": np.array([8.0]), "extra": np.zeros(1)}, strict=False)
    assert skipped.unexpected == ("extra",)
    assert skipped.missing == tuple(name for name in NAMES if name != "scale")
    assert tree.scale.data.tolist() == [8.0]
    assert tree.head.weight.data[0, 0] == 4
    with pytest.raises(DataError, match=r"scale has shape \(2,\)"):  # a wrong shape is never passed over
        tree.load_state_dict({"scale": np.zeros(2)}, strict=False)


class Counting(Module):
    def __init__(self) -> None:
        self.mean = np.zeros(2)
        self.head = Leaf(1)
        self.inner = [Leaf(2)]


def test_buffers_are_part_of_the_state_but_no_parameters() -> None:
    module, other = Counting(), Counting()
    assert [name for name, _ in module.named_parameters()] == ["head.weight", "inner.0.weight"]
    assert [(name, b is module.mean) for name, b in module.named_buffers()] == [("mean", True)]
    module.mean += 3
    state = module.state_dict()
    assert list(state) == ["head.weight", "inner.0.weight", "mean"]
    held = other.mean
    other.load_state_dict(state)
    assert held is other.mean
    assert held.tolist() == [3, 3]
    state["mean"][...] = 9  # a copy
    assert module.mean.tolist() == [3, 3]
    with pytest.raises(DataError, match=r"mean has shape \(3,\), not \(2,\)"):
        other.load_state_dict({**state, "mean": np.zeros(3)})
    del state["mean"]
    with pytest.raises(DataError, match="mean is missing"):
        other.load_state_dict(state)
