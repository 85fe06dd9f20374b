"""Parameters of a module: names, saving and loading, and containers that are not walked."""

from collections import deque
from collections.abc import Callable
from types import MappingProxyType

import numpy as np
import pytest

from lstm2d import Tensor
from lstm2d.errors import DataError, ModuleError
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
        self.scales = [Tensor(np.array([6.0], np.float32)), Leaf(7)]


NAMES = ["layers.0.weight", "layers.1.weight", "scale", "head.weight", "pair.0.weight", "scales.0"]
NAMES += ["scales.1.weight"]


def test_names_and_order() -> None:
    tree = Tree()
    assert [name for name, _ in tree.named_parameters()] == NAMES
    assert [float(p.data.flat[0]) for p in tree.parameters()] == [1, 2, 3, 4, 5, 6, 7]
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


HIDDEN: dict[str, Callable[[Module | Tensor], object]] = {
    "dict": lambda part: {"a": 1, "b": part},
    "key of a dict": lambda part: {part: 1},
    "mapping": lambda part: MappingProxyType({"b": part}),
    "set": lambda part: {part, 1},
    "frozenset": lambda part: frozenset([part]),
    "deque": lambda part: deque([part]),
    "nested list": lambda part: [[part]],
    "list in a tuple": lambda part: (1, [part]),
    "dict in a list": lambda part: [Leaf(1), {"b": part}],
    "deeply nested": lambda part: {"a": [(1, {"b": [part]})]},
}


@pytest.mark.parametrize("kind", HIDDEN)
@pytest.mark.parametrize("part", [Leaf(1), Tensor(np.zeros(1))], ids=["module", "tensor"])
def test_a_parameter_that_would_not_be_trained_is_an_error(kind: str, part: Module | Tensor) -> None:
    tree, outer = Tree(), Counting()
    tree.hidden = HIDDEN[kind](part)  # type: ignore[attr-defined]
    outer.inner.append(tree)  # type: ignore[arg-type]  # after it was set: a list can change
    uses: list[Callable[[], object]] = [
        lambda: list(outer.named_parameters()),
        lambda: list(outer.named_buffers()),
        outer.parameters,
        outer.state_dict,
        lambda: outer.load_state_dict({}, strict=False),
        lambda: outer.to("cpu"),
        outer.freeze,
    ]
    for use in uses:
        with pytest.raises(ModuleError, match=r"not found: hidden(\.\d)? of Tree\n.*a list or tuple of them"):
            use()


def test_containers_without_parameters_are_no_error() -> None:
    tree = Tree()
    tree.options = {"a": [1, {2}], "b": "text"}  # type: ignore[attr-defined]
    tree.constants = (np.zeros(2), [np.ones(3)])  # type: ignore[attr-defined]
    assert [name for name, _ in tree.named_parameters()] == NAMES
    assert list(tree.state_dict()) == NAMES


def test_tensors_in_a_list_are_moved_and_loaded() -> None:
    tree = Tree()
    (scale, _), (_, leaf) = tree.scales, tree.scales
    assert isinstance(scale, Tensor)
    scale.grad = np.ones(1, np.float32)
    assert tree.to("cpu") is tree
    assert scale.grad is None
    tree.load_state_dict({**tree.state_dict(), "scales.0": np.array([9.0])})
    assert scale.data.tolist() == [9]
    assert leaf is tree.scales[1]


def test_parts_are_found_and_replaced_by_name() -> None:
    tree, new = Tree(), Leaf(9)
    assert tree.get_submodule("layers.1") is tree.layers[1]
    assert tree.get_submodule("pair.0") is tree.pair[0]
    tree.set_submodule("layers.1", new)
    assert tree.layers[1] is new
    tree.set_submodule("head", new)
    assert tree.head is new
    outer = Counting()
    outer.head = tree  # type: ignore[assignment]
    outer.set_submodule("head.layers.0", new)
    assert tree.layers[0] is new
    outer.set_submodule("head.head", Leaf(3))
    assert float(outer.get_submodule("head.head").parameters()[0].data[0, 0]) == 3
    assert [name for name, _ in tree.named_parameters()] == NAMES
