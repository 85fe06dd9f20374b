"""The operations of a prediction, read from the tape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import ConfigError
from lstm2d.export.sizes import Size, find
from lstm2d.models import Network
from lstm2d.tape import inputs_first, trace
from lstm2d.tensor import Node, Tensor

# batch, rows and columns of the images that are traced: for networks of stride 1 in pixels, else in strides.
# Rows and columns are no linear functions of each other, so that none is taken for the other. Two sides are
# larger than the offset of the first label at the lowest resolution, 16 pixels, which smaller images limit.
PIXELS = ((1, 1, 7), (2, 2, 40), (1, 33, 2), (1, 7, 35), (2, 40, 1))
STRIDES = ((1, 1, 3), (2, 2, 1), (1, 3, 5), (1, 5, 2))
BOX = ("top", "left", "height", "width")  # of a crop: what lies below and right of it follows from the size

Number = int | Size
Written = bool | float | str | None | Size | tuple["Written", ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of a prediction.

    Parameters
    ----------
    op : str
        Name of the function in `lstm2d.ops`.
    inputs : mapping from str to int or ndarray
        The values it reads, by number, and parameters of the network, by the name of the argument.
    attributes : mapping from str to object
        Its other arguments; numbers that depend on the size of the image are `Size`. A crop has ``bottom``
        and ``right``, the row and column after the rectangle, in place of its height and width.
    rank : int
        Axes of the result.
    """

    op: str
    inputs: Mapping[str, int | NDArray[Any]]
    attributes: Mapping[str, Written]
    rank: int


def operations_of(network: Network, channels: int) -> list[Operation]:
    """Return the operations from the normalised image to the class probabilities.

    Parameters
    ----------
    network : Network
        The network.
    channels : int
        Channels of the images.

    Returns
    -------
    list of Operation
        In order; operation k computes value k + 1, and value 0 is the input of the network.

    Raises
    ------
    ConfigError
        If the operations are others for another size of the image, or an argument depends on the size in a
        way that cannot be written.
    """
    stride, padding = network.stride, 2 * network.padding
    traces = []
    for n, rows, columns in PIXELS if stride == 1 else STRIDES:
        shape = (n, rows * stride + padding, columns * stride + padding, channels)
        x = Tensor(np.zeros(shape, np.float32), requires_grad=True)
        with trace():
            traces.append(_Trace(x, network.class_probabilities(network.frozen(x))))
    first = traces[0]
    if any(other.ops != first.ops or other.places != first.places for other in traces):
        raise ConfigError("the network computes other operations for another size of the image")
    return [_merged(traces, k) for k in range(len(first.nodes))]


class _Trace:
    """One pass: its nodes and the shapes of its values."""

    def __init__(self, x: Tensor, result: Tensor) -> None:
        tensors = [x, *(t for t in inputs_first(result) if t.node is not None)]
        numbers = {id(t): number for number, t in enumerate(tensors)}
        self.shapes = [t.shape for t in tensors]
        self.nodes: list[Node] = [t.node for t in tensors if t.node is not None]
        self.ops = [node.op for node in self.nodes]
        self.places = [{name: numbers.get(id(t)) for name, t in node.inputs.items()} for node in self.nodes]


def _merged(traces: Sequence[_Trace], k: int) -> Operation:
    """Return operation k of all traces."""
    nodes = [one.nodes[k] for one in traces]
    inputs: dict[str, int | NDArray[Any]] = {}
    for name, place in traces[0].places[k].items():
        arrays = [node.inputs[name].data for node in nodes]
        inputs[name] = _constant(arrays, nodes[0].op) if place is None else place
    for name in nodes[0].arrays:
        inputs[name] = _constant([node.arrays[name] for node in nodes], nodes[0].op)
    first = [place for place in traces[0].places[k].values() if place is not None]
    shapes = [one.shapes[: k + 1] for one in traces]
    given = [_attributes(node) for node in nodes]
    attributes = {
        name: _common([one[name] for one in given], shapes, first, f"{nodes[0].op}: {name}")
        for name in given[0]
    }
    return Operation(nodes[0].op, inputs, attributes, len(traces[0].shapes[k + 1]))


def _constant(arrays: Sequence[NDArray[Any]], op: str) -> NDArray[Any]:
    if any(a is not arrays[0] and not np.array_equal(a, arrays[0]) for a in arrays):
        raise ConfigError(f"{op}: an argument without a gradient depends on the image")
    return arrays[0]


def _attributes(node: Node) -> Mapping[str, Any]:
    if node.op != "crop":
        return node.attributes
    top, left, height, width = (node.attributes[name] for name in BOX)
    assert isinstance(top, int)
    assert isinstance(left, int)
    assert isinstance(height, int)
    assert isinstance(width, int)
    return {"top": top, "left": left, "bottom": top + height, "right": left + width}


def _common(
    values: Sequence[Any], shapes: Sequence[Sequence[tuple[int, ...]]], first: Sequence[int], what: str
) -> Written:
    """Return one value for all traces."""
    if all(value == values[0] for value in values):
        common: Written = values[0]
        return common
    if all(isinstance(value, tuple) and len(value) == len(values[0]) for value in values):
        return tuple(_common(items, shapes, first, what) for items in zip(*values, strict=True))
    if not all(type(value) is int for value in values):
        raise ConfigError(f"{what} depends on the size of the image", expected="a number")
    return find(values, shapes, first, what)
