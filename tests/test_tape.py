"""Gradients of leaves belong to them alone."""

import numpy as np
import pytest

from lstm2d import Tensor, backward, ops
from lstm2d.errors import ShapeError
from lstm2d.kernels import arena
from lstm2d.tape import record

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
