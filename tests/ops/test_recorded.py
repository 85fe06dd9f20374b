"""Nodes of the tape record the arguments of their op, so that the output can be recomputed."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lstm2d import Tensor, no_grad, ops
from lstm2d.tensor import Attribute, Node

IMAGE, PLANE = (2, 6, 8, 4), (2, 3, 4, 5)
Make = Callable[[np.random.Generator], dict[str, Any]]


def tensors(**shapes: tuple[int, ...]) -> Make:
    """Return a function that draws tensors with gradients."""
    return lambda rng: {
        name: Tensor(rng.standard_normal(shape), requires_grad=True) for name, shape in shapes.items()
    }


def sweep(gates: int) -> Make:
    return tensors(x=PLANE, weight=(2, 5, 3 * gates), recurrent=(2, 3, 3 * gates), bias=(2, 3 * gates))


X = tensors(x=IMAGE)
LSTM = tensors(x=PLANE, weight=(4, 5, 15), recurrent=(4, 6, 15), bias=(4, 15))
PEEPHOLES = tensors(x=PLANE, weight=(4, 5, 15), recurrent=(4, 6, 15), bias=(4, 15), peepholes=(4, 5, 3))
# op, tensors, other arguments: no default values where there are others
CASES: list[tuple[str, Make, dict[str, Any]]] = [
    ("add", tensors(x=IMAGE, y=(8, 1)), {}),
    ("avg_pool2d", X, {"size": 2}),
    ("avg_pool2d", X, {"size": (3, 2), "stride": (1, 2), "padding": 1}),
    ("batch_norm", X, {"mean": np.arange(4.0), "var": np.arange(1.0, 5), "training": False, "eps": 0.5}),
    (
        "batch_norm",
        tensors(x=IMAGE, scale=(4,), shift=(4,)),
        {"mean": np.zeros(4), "var": np.ones(4), "training": True, "momentum": 0.25},
    ),
    ("bilinear_resize", X, {"height": 9, "width": 3, "align_corners": True}),
    ("clip_normalise", X, {}),
    ("concatenate", lambda rng: {"tensors": [X(rng)["x"], tensors(x=(2, 6, 8, 1))(rng)["x"]]}, {}),
    ("conv2d", tensors(x=IMAGE, weight=(3, 2, 4, 5)), {"stride": (2, 1), "padding": (0, 1), "dilation": 2}),
    ("conv2d", tensors(x=IMAGE, weight=(3, 3, 4, 5), bias=(5,)), {"activation": "relu"}),
    ("conv_transpose2d", tensors(x=IMAGE, weight=(3, 3, 4, 5)), {"stride": 2, "padding": (0, 1)}),
    ("conv_transpose2d", tensors(x=IMAGE, weight=(2, 2, 4, 5), bias=(5,)), {"activation": "tanh"}),
    ("crop", X, {"top": 1, "left": 2, "height": 3, "width": 4}),
    (
        "cross_entropy",
        tensors(scores=PLANE),
        {"labels": np.arange(24).reshape(2, 3, 4) % 5, "ignore_index": 3, "reduction": "sum"},
    ),
    (
        "cross_entropy",
        tensors(scores=PLANE),
        {"labels": np.full((2, 3, 4), 2), "class_weights": np.arange(1.0, 6)},
    ),
    ("cubic_resize", X, {"height": 9, "width": 3}),
    ("direction_sum", X, {}),
    ("dropout", X, {"rate": 0.5, "seed": 3, "epoch": 2, "samples": np.array([7, 1]), "layer": 1}),
    ("gru_sweep", sweep(3), {"axis": 2}),
    ("l2_normalise", X, {"scale": 3.0}),
    ("linear", tensors(x=IMAGE, weight=(4, 3)), {}),
    ("linear", tensors(x=IMAGE, weight=(4, 3), bias=(3,)), {}),
    ("local_response_norm", X, {"size": 3, "alpha": 0.5, "beta": 0.5, "k": 2.0}),
    ("lstm2d_layer", LSTM, {"cell_scale": 0.5, "leaky": True, "gate_clip": 0.25}),
    ("lstm2d_layer", PEEPHOLES, {}),
    ("lstm_sweep", sweep(4), {"axis": 1}),
    ("max_pool2d", X, {"size": (2, 3)}),
    ("max_pool2d", X, {"size": 3, "stride": 1, "padding": (1, 0)}),
    ("max_pool2d", X, {"size": 2, "stride": 1, "dilation": (2, 3)}),
    ("pad2d", X, {"padding": 2}),
    ("pad2d", X, {"padding": [1, 0, 2, 3], "mode": "reflect"}),
    ("relu", X, {}),
    ("repeat_cells", X, {"spacing": 2, "height": 11, "width": 17}),
    ("reshape", X, {"shape": (-1, 4)}),
    ("rnn_sweep", sweep(1), {"axis": 1, "activation": "relu"}),
    ("scale", X, {"factor": np.float64(0.5)}),
    ("sigmoid", X, {}),
    (
        "soft_cross_entropy",
        tensors(scores=PLANE),
        {"targets": np.ones(PLANE), "weight": np.ones(PLANE[:-1]), "reduction": "mean"},
    ),
    ("softmax", X, {}),
    ("tanh", X, {}),
    ("transpose", X, {"axes": (0, 3, 1, 2)}),
    ("window_gather", X, {"window": np.int64(2)}),
]


def parameters(op: str, kind: str) -> set[str]:
    """Return the parameters of an op whose annotation contains a type."""
    signature = inspect.signature(getattr(ops, op))
    return {name for name, p in signature.parameters.items() if kind in str(p.annotation)}


def is_plain(value: Attribute) -> bool:
    if isinstance(value, tuple):
        return all(map(is_plain, value))
    return value is None or type(value) in (bool, int, float, str)


def arguments(node: Node) -> dict[str, Any]:
    """Return the arguments with which the op was called; members of a sequence are named "tensors[k]"."""
    single = {name: x for name, x in node.inputs.items() if "[" not in name}
    members = [x for name, x in node.inputs.items() if "[" in name]
    sequence = {"tensors": members} if members else {}
    return {**single, **sequence, **node.arrays, **node.attributes}


def test_every_op_is_here() -> None:
    assert {op for op, _, _ in CASES} == set(ops.__all__)


@pytest.mark.parametrize(("op", "make", "others"), CASES)
def test_a_node_knows_the_arguments_of_its_op(
    op: str, make: Make, others: dict[str, Any], rng: np.random.Generator
) -> None:
    inputs = make(rng)
    y = getattr(ops, op)(**inputs, **others)
    node = y.node
    assert node.op == op
    with_gradient, without = parameters(op, "Tensor"), parameters(op, "Array") | parameters(op, "NDArray")
    assert (
        set(node.attributes) == set(inspect.signature(getattr(ops, op)).parameters) - with_gradient - without
    )
    assert all(map(is_plain, node.attributes.values()))
    assert list(node.arrays) == [name for name in others if name in without]
    given = inputs.pop("tensors", None)
    assert list(node.inputs) == [f"tensors[{k}]" for k in range(len(given or ()))] + list(inputs)
    for x, wanted in zip(node.inputs.values(), given or inputs.values(), strict=True):
        assert x is wanted
    with pytest.raises(TypeError):
        node.attributes["stride"] = 2
    with no_grad():
        np.testing.assert_array_equal(getattr(ops, op)(**arguments(node)).data, y.data)


def test_pairs_and_defaults_are_filled_in(rng: np.random.Generator) -> None:
    y = ops.conv2d(**tensors(x=IMAGE, weight=(3, 2, 4, 5))(rng), stride=(2, 1), padding=(0, 1), dilation=2)
    assert y.node is not None
    assert dict(y.node.attributes) == {
        "stride": (2, 1),
        "padding": (0, 1),
        "dilation": (2, 2),
        "activation": None,
    }
    z = ops.pad2d(y, 1)
    assert z.node is not None
    assert dict(z.node.attributes) == {"padding": (1, 1, 1, 1), "mode": "zero"}
    pooled = ops.max_pool2d(z, 2)
    assert pooled.node is not None
    assert dict(pooled.node.attributes) == {
        "size": (2, 2),
        "stride": (2, 2),
        "padding": (0, 0),
        "dilation": (1, 1),
    }
