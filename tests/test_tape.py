"""Gradients of leaves share no memory; a backward pass frees what was kept for it."""

import weakref

import numpy as np
import pytest

from lstm2d import Tensor, backward, no_grad, ops
from lstm2d.errors import GraphError, ShapeError
from lstm2d.kernels import arena
from lstm2d.tape import record, trace

LARGE = (300, 300)  # in memory of the arena


def leaf(shape: tuple[int, ...], rng: np.random.Generator) -> Tensor:
    return Tensor(rng.standard_normal(shape), requires_grad=True)


def test_gradients_are_added(rng: np.random.Generator) -> None:
    x = leaf((3, 2), rng)
    backward(ops.add(x, x), np.full((3, 2), 2.0))
    assert (x.grad == 4).all()
    backward(ops.relu(ops.add(x, x)), np.ones((3, 2)))
    assert (x.grad == 4 + 2 * (x.data > 0)).all()


@pytest.mark.parametrize("shape", [(2, 3), LARGE])
def test_a_gradient_that_somebody_holds_is_copied(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    x, given = leaf(shape, rng), rng.standard_normal(shape)
    backward(x, given)
    assert not np.shares_memory(x.grad, given)
    x.grad = None
    y = ops.reshape(x, (-1,))
    flat = given.reshape(-1)
    backward(y, flat)
    assert not np.shares_memory(x.grad, given)
    np.testing.assert_array_equal(x.grad, given)


def test_two_leaves_do_not_share(rng: np.random.Generator) -> None:
    a, b = leaf(LARGE, rng), leaf(LARGE, rng)

    def twice(grad_y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        g = arena.empty(grad_y.shape, grad_y.dtype)
        g[...] = grad_y
        return g, g

    backward(record("twice", {"a": a, "b": b}, a.data + b.data, twice), np.ones(LARGE))
    assert not np.shares_memory(a.grad, b.grad)
    a.grad += 1
    assert (b.grad == 1).all()


def test_a_gradient_that_nobody_else_holds_is_not_copied(rng: np.random.Generator) -> None:
    x = leaf(LARGE, rng)
    places = []

    def rule(grad_y: np.ndarray) -> tuple[np.ndarray]:
        g = arena.empty(grad_y.shape, grad_y.dtype)
        g[...] = grad_y
        places.append(g.ctypes.data)
        return (g,)

    backward(record("rule", {"x": x}, x.data + 0, rule), np.ones(LARGE))
    assert x.grad is not None
    assert [x.grad.ctypes.data] == places
    (again,) = [arena.empty(LARGE, np.float64)]
    assert not np.shares_memory(again, x.grad)


def test_wrong_shape_of_a_rule(rng: np.random.Generator) -> None:
    x = leaf((2, 3), rng)
    with pytest.raises(ShapeError, match=r"odd: gradient \(3,\) for input \(2, 3\)"):
        backward(record("odd", {"x": x}, x.data + 0, lambda g: (g[0],)), np.ones((2, 3)))
    with pytest.raises(ShapeError, match=r"from shape \(2, 3\) needs grad_y"):
        backward(ops.relu(x))
    with pytest.raises(ShapeError, match="does not fit loss"):
        backward(ops.relu(x), np.ones(3))


def test_what_later_operations_kept_is_freed_before_an_earlier_one_runs(rng: np.random.Generator) -> None:
    x = leaf(LARGE, rng)
    alive: list[list[bool]] = []
    kept: list[weakref.ref[np.ndarray]] = []

    def step(t: Tensor) -> Tensor:
        own = arena.empty(LARGE, np.float64)  # only the rule holds it
        kept.append(weakref.ref(own))

        def rule(grad_y: np.ndarray) -> tuple[np.ndarray]:
            assert own.shape == LARGE
            alive.append([r() is not None for r in kept + outputs])
            return (grad_y + 0,)

        return record("step", {"t": t}, t.data + 1, rule)

    y = step(x)
    outputs = [weakref.ref(y.data)]
    y = step(y)
    outputs.append(weakref.ref(y.data))
    loss = step(y)
    del y
    result = loss.data
    backward(loss, np.ones(LARGE))
    # what the three steps kept, and the outputs of the first and the second one
    assert alive == [
        [True, True, True, True, True],
        [True, True, False, True, False],
        [True, False, False, False, False],
    ]
    assert [r() for r in kept] == [None] * 3
    np.testing.assert_array_equal(loss.data, x.data + 1 + 1 + 1)  # the caller holds it
    assert loss.data is result
    assert (x.grad == 1).all()


@pytest.mark.parametrize("again", ["loss", "shared"])
def test_a_second_backward_pass_is_an_error_that_changes_nothing(
    again: str, rng: np.random.Generator
) -> None:
    x = leaf((2, 3), rng)
    shared = ops.tanh(x)
    first, other = ops.relu(shared), ops.sigmoid(ops.add(shared, x))
    backward(first, np.ones((2, 3)))
    assert x.grad is not None
    before = x.grad.copy()
    op = {"loss": "relu", "shared": "tanh"}[again]
    with pytest.raises(GraphError, match=f"^{op}: an earlier backward pass has freed the graph\n"):
        backward(first if again == "loss" else other, np.ones((2, 3)))
    np.testing.assert_array_equal(x.grad, before)
    assert first.node is not None
    assert (first.node.op, first.node.is_freed, dict(first.node.inputs)) == ("relu", True, {})
    with pytest.raises(RuntimeError, match="a second backward pass"):
        first.node.backward(np.ones((2, 3)))


def test_a_branch_without_a_gradient_is_freed_too(rng: np.random.Generator) -> None:
    x = leaf((2, 3), rng)
    branch = ops.tanh(x)
    y = record("half", {"a": x, "b": branch}, x.data + 0, lambda g: (g, None))
    backward(y, np.ones((2, 3)))
    assert branch.node is not None
    assert branch.node.is_freed
    assert (x.grad == 1).all()


@pytest.mark.parametrize("held", [False, True])
def test_gradients_are_added_in_place_only_where_nobody_sees_it(held: bool, rng: np.random.Generator) -> None:
    """The first of two gradients is the rule's own array, or one that the rule also keeps."""
    x = leaf(LARGE, rng)
    h = ops.relu(x)
    kept, places = rng.standard_normal(LARGE), []
    values = kept.copy()

    def to_keep(grad_y: np.ndarray) -> tuple[np.ndarray]:
        g = kept if held else kept + 0
        places.append(g.ctypes.data)
        return (g,)

    def to_see(grad_y: np.ndarray) -> tuple[np.ndarray]:
        places.append(grad_y.ctypes.data)
        return (grad_y + 0,)

    z = record("see", {"x": h}, h.data + 0, to_see)
    first = record("keep", {"z": z}, z.data + 0, to_keep)  # its rule runs first
    y = ops.add(first, record("two", {"z": z}, z.data + 0, lambda g: (g * 2,)))
    backward(y, np.ones(LARGE))
    np.testing.assert_array_equal(kept, values)
    np.testing.assert_array_equal(x.grad, (kept + 2) * (x.data > 0))
    assert (places[0] == places[1]) == (not held)


def test_a_trace_sees_what_no_grad_hides(rng: np.random.Generator) -> None:
    x = leaf((2, 3), rng)
    with trace(), no_grad():
        y = ops.tanh(x)
        alone = ops.tanh(Tensor(x.data))
    assert y.node is not None
    assert y.node.op == "tanh"
    assert alone.node is None  # needs no gradient
    with no_grad():
        assert ops.tanh(x).node is None
    assert ops.tanh(x).node is not None
