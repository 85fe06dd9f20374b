"""Record operations and run them backward."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d import kernels
from lstm2d.errors import GraphError, ShapeError
from lstm2d.tensor import Attribute, Backward, FloatArray, Node, Tensor

_recording: ContextVar[bool] = ContextVar("recording", default=True)
_tracing: ContextVar[bool] = ContextVar("tracing", default=False)


@contextmanager
def no_grad() -> Iterator[None]:
    """Record nothing inside the block."""
    token = _recording.set(False)
    try:
        yield
    finally:
        _recording.reset(token)


@contextmanager
def trace() -> Iterator[None]:
    """Record every operation inside the block, also inside of `no_grad`: to see what a network computes."""
    token = _tracing.set(True)
    try:
        yield
    finally:
        _tracing.reset(token)


def records(*inputs: Tensor) -> bool:
    """Return whether an operation on `inputs` will be recorded, and must keep what its backward needs."""
    return (_tracing.get() or _recording.get()) and any(x.requires_grad for x in inputs)


def record(
    op: str,
    inputs: Mapping[str, Tensor | None],
    data: FloatArray,
    backward: Backward,
    arrays: Mapping[str, NDArray[Any] | None] | None = None,
    /,
    **attributes: Attribute,
) -> Tensor:
    """Return the output of an operation, tied to its inputs if one of them needs a gradient.

    Parameters
    ----------
    op : str
        Name of the operation.
    inputs : mapping from str to Tensor or None
        Its tensors by parameter name, in the order of its signature; None for one that was left out.
    data : ndarray
        The output.
    backward : callable
        Takes the gradient of the loss with respect to `data`, and may keep it or change it only if
        `lstm2d.kernels.arena.is_sole` holds for it. Returns the gradient with respect to each input that is
        not None in `inputs`; None for one that has no gradient or needs none.
    arrays : mapping from str to ndarray or None, optional
        Its arguments that are arrays without a gradient.
    **attributes : Attribute
        All its other arguments, with defaults filled in. NumPy scalars become Python numbers.

    Returns
    -------
    Tensor
        Holds `data`.
    """
    out = Tensor(data)
    given = {name: x for name, x in inputs.items() if x is not None}
    if records(*given.values()):
        out.requires_grad = True
        out.node = Node(
            op,
            MappingProxyType(given),
            backward,
            MappingProxyType({name: _plain(value) for name, value in attributes.items()}),
            MappingProxyType({name: a for name, a in (arrays or {}).items() if a is not None}),
        )
    return out


def backward(loss: Tensor, grad_y: FloatArray | None = None) -> None:
    """Add the gradient of `loss` to the `grad` of every leaf it depends on, and free the graph.

    An operation's output, and everything that was kept for its backward, is released as soon as its gradient
    has been passed on, except for what the caller holds. So a graph can be run backward once.

    Parameters
    ----------
    loss : Tensor
        Where to start; any shape.
    grad_y : ndarray of the shape of `loss`, optional
        Gradient of the final quantity with respect to `loss`. May be left out if `loss` is a single number.

    Raises
    ------
    GraphError
        If an earlier call has freed a part of the graph. No gradient is changed.
    ShapeError
        If `grad_y` does not fit, or is missing and `loss` holds more than one number, or a rule returns a
        gradient of another shape than its input.
    """
    if grad_y is None:
        if loss.data.size != 1:
            raise ShapeError(f"backward from shape {loss.data.shape} needs grad_y")
        grad_y = _copy(loss.data)
        grad_y[...] = 1
    if grad_y.shape != loss.data.shape:
        raise ShapeError(f"gradient {grad_y.shape} does not fit loss {loss.data.shape}")
    if not loss.requires_grad:
        return
    pending = {id(loss): grad_y}  # of tensors that `order` still holds, so that no id is taken twice
    order = inputs_first(loss)
    del grad_y
    while order:
        t = order.pop()
        key, node = id(t), t.node
        if node is not None:
            t.node = node.freed()
            del t  # the rule runs without its output, unless that was kept
            if key in pending:  # else every rule on the way returned None
                _pass_on(node, node.backward(pending.pop(key)), pending)
        elif key in pending:
            _keep(t, pending.pop(key))


def inputs_first(root: Tensor) -> list[Tensor]:
    """Return the tensors with a gradient that `root` was computed from, and `root`, in topological order.

    Parameters
    ----------
    root : Tensor
        The output of a computation.

    Returns
    -------
    list of Tensor
        Each once, after those it was computed from; `root` comes last.

    Raises
    ------
    GraphError
        If a backward pass has freed a part of the graph.
    """
    order: list[Tensor] = []
    done: set[int] = set()
    stack: list[tuple[Tensor, bool]] = [(root, False)]
    while stack:  # without recursion: a graph may be deeper than Python's stack
        t, expanded = stack.pop()
        if expanded:
            order.append(t)
        elif id(t) not in done:
            done.add(id(t))
            stack.append((t, True))
            if t.node is None:
                continue
            if t.node.is_freed:
                raise GraphError(
                    f"{t.node.op}: an earlier backward pass has freed the graph",
                    hint="compute the loss again for each backward pass",
                )
            stack.extend((x, False) for x in t.node.inputs.values() if x.requires_grad)
    return order


def _pass_on(node: Node, grads: tuple[FloatArray | None, ...], pending: dict[int, FloatArray]) -> None:
    """Add the gradients of an operation's inputs to those that wait for their turn."""
    for x, g in zip(node.inputs.values(), grads, strict=True):
        if g is None or not x.requires_grad:
            continue
        if g.shape != x.data.shape:
            raise ShapeError(f"{node.op}: gradient {g.shape} for input {x.data.shape}")
        key = id(x)
        pending[key] = _sum(pending.pop(key), g) if key in pending else g


def _keep(leaf: Tensor, g: FloatArray) -> None:
    """Add a gradient to that of a leaf, which owns it alone."""
    if leaf.grad is not None:
        leaf.grad = leaf.grad + g
    elif g.flags.c_contiguous and kernels.arena.is_sole(g):
        leaf.grad = g
    else:  # a rule may have returned what it was given, or one array for two inputs
        leaf.grad = _copy(g)


def _sum(total: FloatArray, g: FloatArray) -> FloatArray:
    """Return ``total + g``, in the memory of `total` if the caller's is the only reference to it."""
    if total.dtype != g.dtype or not kernels.arena.is_sole(total):
        return total + g
    total += g
    return total


def _copy(g: FloatArray) -> FloatArray:
    """Return a copy; memory of the arena is not fresh, whose pages cost more than what is written to them."""
    own: FloatArray = kernels.empty(g.shape, g.dtype, like=g)
    own[...] = g
    return own


def _plain(value: Attribute) -> Attribute:
    plain: Attribute = value.item() if isinstance(value, np.generic) else value
    return plain
