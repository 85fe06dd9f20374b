"""The one data type of the library: an array that may carry a gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from numpy.typing import DTypeLike

from lstm2d.kernels import arrays

FloatArray = arrays.FloatArray
Backward = Callable[[FloatArray], tuple[FloatArray | None, ...]]


class Tensor:
    """An array and, after `lstm2d.backward`, the gradient of the loss with respect to it.

    Parameters
    ----------
    data : ndarray of float32 or float64
        Kept as it is, not copied.
    requires_grad : bool, default False
        Whether `lstm2d.backward` shall fill `grad`.

    Attributes
    ----------
    data : ndarray
        The values.
    grad : ndarray or None
        Same shape as `data`. `lstm2d.backward` adds to it.
    requires_grad : bool
        True for a leaf that asks for it and for everything computed from one.
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
    """One recorded operation: its name, its inputs, and how a gradient goes through it."""

    op: str
    inputs: tuple[Tensor, ...]
    backward: Backward
