"""An array that may carry a gradient, and the record of the operation that computed it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from numpy.typing import DTypeLike, NDArray

from lstm2d.errors import GraphError
from lstm2d.kernels import arrays

FloatArray = arrays.FloatArray
Backward = Callable[[FloatArray], tuple[FloatArray | None, ...]]
Attribute = bool | int | float | str | tuple["Attribute", ...] | None


class Tensor:
    """An array and, after `lstm2d.backward`, the gradient of the loss with respect to it.

    Parameters
    ----------
    data : ndarray of float32 or float64
        The values; not copied.
    requires_grad : bool, default False
        Whether `lstm2d.backward` fills `grad`.

    Attributes
    ----------
    data : ndarray
        The values.
    grad : ndarray or None
        Gradient of the shape of `data`, for leaves only. `lstm2d.backward` adds to it.
    node : Node or None
        The operation that computed the tensor; None for a leaf, and where nothing was recorded.
    requires_grad : bool
        True for a leaf that asks for a gradient and for everything computed from one.
    """

    __slots__ = ("data", "grad", "node", "requires_grad")

    def __init__(self, data: FloatArray, *, requires_grad: bool = False) -> None:
        self.data = data
        self.grad: FloatArray | None = None
        self.node: Node | None = None
        self.requires_grad = requires_grad

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the values."""
        return self.data.shape

    @property
    def dtype(self) -> DTypeLike:
        """Data type of the values."""
        return self.data.dtype

    def __repr__(self) -> str:
        grad = ", requires_grad=True" if self.requires_grad else ""
        return f"Tensor(shape={self.data.shape}, dtype={self.data.dtype}{grad})"


@dataclass(frozen=True, slots=True)
class Node:
    """One recorded operation.

    Attributes, inputs and arrays are the arguments of the function in `lstm2d.ops`, by the name of the
    parameter: together they determine the output.

    Attributes
    ----------
    op : str
        Name of the function.
    inputs : mapping from str to Tensor
        The tensors, in the order of the signature. An argument that was left out is missing; the members of a
        sequence are "tensors[0]", "tensors[1]" and so on.
    backward : callable
        Takes the gradient of the output, returns that of each input; None for an input that needs none.
    attributes : mapping from str to Attribute
        The plain Python values, such as stride and padding, with defaults filled in.
    arrays : mapping from str to ndarray
        The arrays that are never differentiated, such as labels; those left out are missing.
    """

    op: str
    inputs: Mapping[str, Tensor]
    backward: Backward
    attributes: Mapping[str, Attribute]
    arrays: Mapping[str, NDArray[Any]]

    @property
    def is_freed(self) -> bool:
        """Whether a backward pass has run through the operation and released what it kept."""
        return self.backward is _freed

    def freed(self) -> Node:
        """Return the node without inputs, arrays and what was kept for the backward pass."""
        return Node(self.op, _NOTHING, _freed, self.attributes, _NOTHING)


_NOTHING: Mapping[str, Any] = MappingProxyType({})


def _freed(_: FloatArray) -> tuple[FloatArray | None, ...]:
    raise GraphError("a second backward pass through a graph", hint="compute the loss again")
