"""Record operations and run them backward."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from lstm2d import kernels
from lstm2d.errors import ShapeError
from lstm2d.tensor import Backward, FloatArray, Node, Tensor

_recording: ContextVar[bool] = ContextVar("recording", default=True)


@contextmanager
def no_grad() -> Iterator[None]:
    """Record nothing inside the block."""
    token = _recording.set(False)
    try:
        yield
    finally:
        _recording.reset(token)


def records(*inputs: Tensor) -> bool:
    """Tell whether an operation on `inputs` will be recorded, and so has to keep what its backward needs."""
    return _recording.get() and any(x.requires_grad for x in inputs)


def record(op: str, inputs: tuple[Tensor, ...], data: FloatArray, backward: Backward) -> Tensor:
    """Return the output of `op`, tied to its inputs when one of them needs a gradient.

    Parameters
    ----------
    op : str
        Name of the operation, for messages.
    inputs : tuple of Tensor
        What the operation read.
    data : ndarray
        What it computed.
    backward : callable
        Takes the gradient of the loss with respect to `data`, returns that with respect to each input;
        None for an input that has no gradient or needs none.

    Returns
    -------
    Tensor
        Holds `data`.
    """
    out = Tensor(data)
    if records(*inputs):
        out.requires_grad = True
        out.node = Node(op, inputs, backward)
    return out


def backward(loss: Tensor, grad_y: FloatArray | None = None) -> None:
    """Add the gradient of `loss` to the `grad` of every leaf it depends on.

    Parameters
    ----------
    loss : Tensor
        Where to start; any shape.
    grad_y : ndarray of the shape of `loss`, optional
        Gradient of the final quantity with respect to `loss`. May be left out when `loss` is one number.

    Raises
    ------
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
    pending: dict[int, FloatArray] = {id(loss): grad_y}
    for t in _outputs_first(loss):
        g = pending.pop(id(t), None)
        if g is None:  # every rule on the way returned None
            continue
        if t.node is not None:
            _pass_on(t.node, g, pending)
        elif t.grad is not None:
            t.grad = t.grad + g
        else:  # kept: a rule may have returned what it was given, or one array for two inputs
            t.grad = g if g.flags.c_contiguous and kernels.arena.is_sole(g) else _copy(g)


def _pass_on(node: Node, grad_y: FloatArray, pending: dict[int, FloatArray]) -> None:
    """Add the gradients of an operation's inputs to those that wait for their turn."""
    for x, g in zip(node.inputs, node.backward(grad_y), strict=True):
        if g is None or not x.requires_grad:
            continue
        if g.shape != x.data.shape:
            raise ShapeError(f"{node.op}: gradient {g.shape} for input {x.data.shape}")
        seen = pending.get(id(x))
        pending[id(x)] = g if seen is None else seen + g


def _copy(g: FloatArray) -> FloatArray:
    """Return a copy; memory of the arena is not fresh, whose pages cost more than what is written to them."""
    own: FloatArray = kernels.empty(g.shape, g.dtype, like=g)
    own[...] = g
    return own


def _outputs_first(root: Tensor) -> list[Tensor]:
    """Return the graph above `root` in reverse topological order, without recursion."""
    order: list[Tensor] = []
    done: set[int] = set()
    stack: list[tuple[Tensor, bool]] = [(root, False)]
    while stack:
        t, expanded = stack.pop()
        if expanded:
            order.append(t)
        elif id(t) not in done:
            done.add(id(t))
            stack.append((t, True))
            if t.node is not None:
                stack.extend((x, False) for x in t.node.inputs if x.requires_grad)
    return order[::-1]
