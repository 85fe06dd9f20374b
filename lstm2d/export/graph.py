"""A graph of ONNX operators while it is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lstm2d.export.packages import optional
from lstm2d.export.sizes import Size

TO_FIRST, TO_LAST = (0, 3, 1, 2), (0, 2, 3, 1)  # axes of images: channels before and after rows and columns


class Value:
    """A tensor in the graph.

    ONNX's operators on images have the channels first. A tensor of four axes has a name with the channels
    last, one with the channels first, or both: it is transposed where the other one is read for the first
    time, so that neighbouring operators on images need no transposition.

    Parameters
    ----------
    graph : Graph
        Where it is computed.
    last : str, optional
        Name with the channels last.
    first : str, optional
        Name with the channels first.
    """

    def __init__(self, graph: Graph, last: str | None = None, first: str | None = None) -> None:
        self._graph, self._last, self._first = graph, last, first

    @property
    def last(self) -> str:
        """Name with the channels last, as everywhere in lstm2d."""
        if self._last is None:
            self._last = self._graph.add("Transpose", self._first, perm=TO_LAST)
        return self._last

    @property
    def first(self) -> str:
        """Name with the channels first, as in ONNX."""
        if self._first is None:
            self._first = self._graph.add("Transpose", self._last, perm=TO_FIRST)
        return self._first

    @property
    def has_first(self) -> bool:
        """Whether it exists with the channels first."""
        return self._first is not None

    def size(self, axis: int) -> str:
        """Return the name of a dimension at run time, an int64 tensor of shape (1,); channels last."""
        if self._last is not None:
            return self._graph.size(self._last, axis)
        assert self._first is not None
        return self._graph.size(self._first, TO_LAST[axis])


class Graph:
    """Operators, constants and names.

    Parameters
    ----------
    prefix : str, default ""
        Of all names; a body of a loop has another one.

    Attributes
    ----------
    nodes : list
        The operators in order.
    initializers : list
        The constants.
    """

    def __init__(self, prefix: str = "") -> None:
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self._prefix, self._count = prefix, 0
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._sizes: dict[tuple[str, int], str] = {}
        self._helper, self._numpy = optional("onnx.helper"), optional("onnx.numpy_helper")

    def name(self, kind: str) -> str:
        """Return a new name."""
        self._count += 1
        return f"{self._prefix}{kind.lower()}_{self._count}"

    def add(self, op: str, *inputs: str | None, **attributes: Any) -> str:
        """Add an operator with one output; return its name. An input that is None is left out."""
        return self.add_several(op, 1, *inputs, **attributes)[0]

    def add_several(self, op: str, outputs: int, *inputs: str | None, **attributes: Any) -> list[str]:
        """Add an operator with several outputs; return their names."""
        names = [self.name(op) for _ in range(outputs)]
        given = [name or "" for name in inputs]
        self.nodes.append(self._helper.make_node(op, given, names, name=names[0], **attributes))
        return names

    def constant(self, values: ArrayLike, dtype: Any = np.float32) -> str:
        """Return the name of a constant; equal ones are stored once."""
        array = np.array(values, dtype, order="C")
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = self._constants[key] = self.name("constant")
            self.initializers.append(self._numpy.from_array(array, name))
        return self._constants[key]

    def integers(self, *values: int) -> str:
        """Return the name of a vector of int64."""
        return self.constant(values, np.int64)

    def size(self, name: str, axis: int) -> str:
        """Return the name of a dimension of a tensor at run time, an int64 tensor of shape (1,)."""
        key = (name, axis)
        if key not in self._sizes:
            self._sizes[key] = self.add("Shape", name, start=axis, end=axis + 1)
        return self._sizes[key]

    def number(self, value: int | Size | Any, values: Sequence[Value]) -> str:
        """Return the name of a number, an int64 tensor of shape (1,).

        Parameters
        ----------
        value : int or Size
            The number.
        values : sequence of Value
            The values of the trace so far, which a `Size` refers to.
        """
        if not isinstance(value, Size):
            return self.integers(int(value))
        name = values[value.value].size(value.axis)
        if value.factor != 1:
            name = self.add("Mul", name, self.integers(value.factor))
        if value.offset:
            name = self.add("Add", name, self.integers(value.offset))
        return name if value.limit is None else self.add("Min", name, self.integers(value.limit))

    def shape(self, *parts: str | int) -> str:
        """Return the name of a shape of numbers, each an int or the name of a tensor of shape (1,)."""
        if all(isinstance(part, int) for part in parts):
            return self.integers(*(int(part) for part in parts))
        return self.add("Concat", *(self.integers(p) if isinstance(p, int) else p for p in parts), axis=0)

    def slice(
        self, x: str, axes: Sequence[int], starts: Sequence[str | int], ends: Sequence[str | int]
    ) -> str:
        """Cut a tensor along some axes."""
        return self.add("Slice", x, self.shape(*starts), self.shape(*ends), self.integers(*axes))

    def flip(self, x: str, axes: Sequence[int]) -> str:
        """Reverse a tensor along some axes; return its own name if there is none."""
        if not axes:
            return x
        n = len(axes)
        ends = self.integers(*[-(2**62)] * n)
        return self.add(
            "Slice", x, self.integers(*[-1] * n), ends, self.integers(*axes), self.integers(*[-1] * n)
        )

    def body(self, name: str, inside: Graph, inputs: Mapping[str, int], outputs: Mapping[str, int]) -> Any:
        """Return the graph of a loop's body; inputs and outputs are float32, with their number of axes."""
        infos = [
            [
                self._helper.make_tensor_value_info(key, 1, [f"{key}_{axis}" for axis in range(rank)])
                for key, rank in given.items()
            ]
            for given in (inputs, outputs)
        ]
        return self._helper.make_graph(inside.nodes, name, *infos, initializer=inside.initializers)
