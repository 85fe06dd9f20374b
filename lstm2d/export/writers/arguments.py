"""The arguments of an operation of the tape, for the function that writes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from lstm2d.errors import ConfigError
from lstm2d.export.graph import Graph, Value
from lstm2d.export.trace import Operation, Written


class Arguments:
    """Inputs and attributes of an operation.

    Parameters
    ----------
    g : Graph
        The graph.
    operation : Operation
        From the trace.
    values : sequence of Value
        The values before it.
    """

    def __init__(self, g: Graph, operation: Operation, values: Sequence[Value]) -> None:
        self._graph, self._operation, self._values = g, operation, values

    @property
    def op(self) -> str:
        """Name of the operation."""
        return self._operation.op

    @property
    def rank(self) -> int:
        """Axes of the result."""
        return self._operation.rank

    @property
    def names(self) -> list[str]:
        """Names of the inputs."""
        return [*self._operation.inputs]

    def has(self, name: str) -> bool:
        """Return whether an input was given."""
        return name in self._operation.inputs

    def value(self, name: str = "x") -> Value:
        """Return an input; a parameter of the network becomes a constant."""
        given = self._operation.inputs[name]
        return (
            self._values[given] if isinstance(given, int) else Value(self._graph, self._graph.constant(given))
        )

    def parameter(self, name: str) -> NDArray[Any]:
        """Return an input that is a parameter of the network."""
        given = self._operation.inputs[name]
        if isinstance(given, int):
            raise ConfigError(f"{self.op}: {name} depends on the image, which has no ONNX form here")
        return given

    def optional(self, name: str) -> NDArray[Any] | None:
        """Return a parameter of the network, None if it was left out."""
        return self.parameter(name) if self.has(name) else None

    def attribute(self, name: str) -> Written:
        """Return an attribute; numbers that depend on the size of the image are `Size`."""
        return self._operation.attributes[name]

    def fixed(self, name: str) -> Any:
        """Return an attribute that is the same for every size of the image."""
        found = self.attribute(name)
        if not isinstance(found, bool | int | float | str | tuple | None):
            raise ConfigError(f"{self.op}: {name} depends on the size of the image")
        return found

    def pair(self, name: str) -> list[int]:
        """Return an attribute of two numbers."""
        first, second = self.fixed(name)
        return [int(first), int(second)]

    def number(self, name: str) -> str:
        """Return the name of a number, an int64 tensor of shape (1,)."""
        return self._graph.number(self.attribute(name), self._values)

    def numbers(self, name: str) -> list[str]:
        """Return the names of the numbers of a tuple."""
        found = self.attribute(name)
        assert isinstance(found, tuple)
        return [self._graph.number(item, self._values) for item in found]
