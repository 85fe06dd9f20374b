"""What a network computes, as a list of steps for images of any size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lstm2d.errors import ConfigError
from lstm2d.tape import inputs_first, trace
from lstm2d.tensor import Attribute, FloatArray, Tensor

Compute = Callable[[Tensor], Tensor]
UNITS = ((2, 3), (4, 7))  # rows and columns of the images that are traced, in strides
SIZES = {"height": 0, "width": 1}  # attributes that depend on the image, and on which of its sides


@dataclass(frozen=True, slots=True)
class Step:
    """One operation, on images of one size.

    Parameters
    ----------
    op : str
        Name of the function in `lstm2d.ops`; "image" for the input of the network.
    inputs : mapping from str to int
        Parameter names, and the numbers of the steps whose maps they are.
    constants : mapping from str to ndarray
        Its other tensors: weights.
    arrays : mapping from str to ndarray
        Arrays without a gradient.
    attributes : mapping from str to Attribute
        Plain values, with defaults filled in.
    shape : tuple of int
        Rows, columns and channels of its map.
    """

    op: str
    inputs: Mapping[str, int]
    constants: Mapping[str, FloatArray]
    arrays: Mapping[str, NDArray[Any]]
    attributes: Mapping[str, Attribute]
    shape: tuple[int, int, int]


def steps_of(
    compute: Compute,
    size: tuple[int, int],
    *,
    stride: int,
    channels: int,
    dtype: DTypeLike = np.float32,
) -> list[Step]:
    """Return the steps of a network for images of one size.

    Two small images are traced. What differs between their records is linear in the rows or in the columns
    of the image.

    Parameters
    ----------
    compute : callable
        Maps images (1, H, W, channels) to the output.
    size : tuple of int
        Rows and columns of the image, multiples of `stride`.
    stride : int
        Of the network, in pixels.
    channels : int
        Channels of the image.
    dtype : dtype, default float32
        Of the image.

    Returns
    -------
    list of Step
        In an order in which inputs come first: step 0 is the image, the last one the output.

    Raises
    ------
    ConfigError
        If what the network computes depends on the size of the image in another way.
    """
    small, large = (
        traced(compute, (rows * stride, columns * stride, channels), dtype) for rows, columns in UNITS
    )
    if [step.op for step in small] != [step.op for step in large]:
        raise not_streamed("its operations depend on the size of the image")
    return [_at(one, other, size, stride) for one, other in zip(small, large, strict=True)]


def traced(compute: Compute, shape: tuple[int, int, int], dtype: DTypeLike = np.float32) -> list[Step]:
    """Return the steps of a network for images of one size, by running it on such an image.

    Parameters
    ----------
    compute : callable
        Maps images (1, H, W, channels) to the output.
    shape : tuple of int
        Rows, columns and channels of the image.
    dtype : dtype, default float32
        Of the image.

    Returns
    -------
    list of Step
        As for `steps_of`.

    Raises
    ------
    ConfigError
        If the map of a step has no rows.
    """
    values = np.random.default_rng(0).normal(0, 1, (1, *shape)).astype(dtype)
    image = Tensor(values, requires_grad=True)
    with trace():
        output = compute(image)
    numbers = {id(image): 0}
    steps = [Step("image", {}, {}, {}, {}, shape)]
    order = inputs_first(output)  # holds the tensors, so that no id is taken twice
    for t in order:
        node = t.node
        if node is None or not any(id(x) in numbers for x in node.inputs.values()):
            continue  # a weight, or computed from weights alone
        if t.data.ndim != 4 or len(t.data) != 1:
            raise not_streamed(f"`{node.op}` leaves no image of rows")
        maps = {name: numbers[id(x)] for name, x in node.inputs.items() if id(x) in numbers}
        others = {name: x.data for name, x in node.inputs.items() if name not in maps}
        numbers[id(t)] = len(steps)
        made = t.shape[1], t.shape[2], t.shape[3]
        steps.append(Step(node.op, maps, others, dict(node.arrays), dict(node.attributes), made))
    return steps


def _at(one: Step, other: Step, size: tuple[int, int], stride: int) -> Step:
    """Return the step for an image of this size, from its records for the two traced images."""

    def scaled(a: int, b: int, side: int) -> int:
        first, second = (units[side] * stride for units in UNITS)
        slope = Fraction(b - a, second - first)
        value = a + slope * (size[side] - first)
        if value.denominator != 1:
            raise not_streamed(f"the size of `{one.op}` does not follow from that of the image")
        return int(value)

    attributes = dict(one.attributes)
    for name, value in attributes.items():
        if value != other.attributes[name]:
            if name not in SIZES:
                raise not_streamed(f"`{name}` of `{one.op}` depends on the size of the image")
            attributes[name] = scaled(value, other.attributes[name], SIZES[name])  # type: ignore[arg-type]
    rows, columns = (scaled(one.shape[k], other.shape[k], k) for k in (0, 1))
    return Step(one.op, one.inputs, one.constants, one.arrays, attributes, (rows, columns, one.shape[2]))


def not_streamed(reason: str) -> ConfigError:
    """Return the error for a model that cannot be computed in strips, not raised."""
    return ConfigError(
        f"the model cannot be computed in strips: {reason}",
        expected="2D-LSTM layers, sweeps, and operations that see a few rows at a time",
        hint="leave `stream` out, and label a smaller image or parts of it",
    )
