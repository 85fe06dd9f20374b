"""Options of the recurrent convolutional networks, and the pixels that their cells see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, NamedTuple

from annotated_types import Interval, Len

from lstm2d.models.options import MAX_LAYERS, Check, Loss, ModelConfig, Units

MAX_INSTANCES = 4
Side = Annotated[int, Interval(ge=1, le=32)]


class Field(NamedTuple):
    """The pixels that a cell of a score plane sees: a square, one every `stride` pixels.

    Parameters
    ----------
    size : int
        Side of the square; odd, so that it has a middle pixel.
    stride : int
        Distance of the squares of neighbouring cells.
    """

    size: int
    stride: int


def _one_per_kernel(values: tuple[int, ...], kernels: tuple[int, ...]) -> str:
    return "" if len(values) == len(kernels) else f"{len(kernels)} values: one per layer in kernels"


def _powers_of_two(pools: tuple[int, ...]) -> str:
    return "" if all(pool & (pool - 1) == 0 for pool in pools) else "powers of two"


def _odd_field(head: int, kernels: tuple[int, ...], pools: tuple[int, ...]) -> str:
    if len(kernels) != len(pools) or field_of(kernels, pools, head).size % 2:
        return ""
    return "another value: with these kernels and pools a cell sees an even number of pixels, with no middle"


def _one_without_feedback(instances: int, feedback: bool) -> str:
    return "" if feedback or instances == 1 else "1: without feedback there is one instance"


def _only_with_several(drawn: bool, instances: int) -> str:
    return "" if instances > 1 or not drawn else "false: there is one instance"


@dataclass(frozen=True, kw_only=True, slots=True)
class RCNNConfig(ModelConfig):
    """Everything that decides the shape and the equations of the network.

    Parameters
    ----------
    kernels : tuple of int
        Side of the filters of each hidden layer.
    channels : tuple of int
        Filters of each hidden layer.
    pools : tuple of int
        Side of the windows of max pooling after each convolution, a power of two; 1 for none.
    head_kernel : int, default 1
        Side of the filters that compute the class scores.
    feedback : bool, default True
        Whether an instance reads the score planes of the one before; without there is one instance.
    instances : int, default 2
        How many instances run one after another, with the same weights.
    random_instances : bool, default False
        Whether each training example runs through a random number of instances, 1 to `instances`.
    loss : {"sum", "mean"}, default "sum"
        Over the labelled cells of an example and the instances.

    Raises
    ------
    ConfigError
        If a value is out of its range; the message has all of them.
    """

    title: ClassVar[str] = "recurrent convolutional network"

    kernels: Annotated[tuple[Side, ...], Len(1, MAX_LAYERS)]
    channels: Annotated[tuple[Units, ...], Check(_one_per_kernel, ("kernels",))]
    pools: Annotated[tuple[Side, ...], Check(_one_per_kernel, ("kernels",)), Check(_powers_of_two)]
    head_kernel: Annotated[Side, Check(_odd_field, ("kernels", "pools"))] = 1
    feedback: bool = True
    instances: Annotated[
        int, Interval(ge=1, le=MAX_INSTANCES), Check(_one_without_feedback, ("feedback",))
    ] = 2
    random_instances: Annotated[bool, Check(_only_with_several, ("instances",))] = False
    loss: Loss = "sum"

    def fields(self) -> tuple[Field, ...]:
        """Return the field of the score planes of each instance, in pixels of the image.

        Returns
        -------
        tuple of Field
            Instance after instance: F_p = F_(p-1) + (F_1 - 1) S_(p-1), S_p = s S_(p-1).
        """
        one = field_of(self.kernels, self.pools, self.head_kernel)
        found = [one]
        while len(found) < self.instances:
            size, stride = found[-1]
            found.append(Field(size + (one.size - 1) * stride, stride * one.stride))
        return tuple(found)


def field_of(kernels: tuple[int, ...], pools: tuple[int, ...], head: int) -> Field:
    """Return the field of one instance, in cells of its input."""
    size = stride = 1
    for kernel, pool in zip(kernels, pools, strict=True):
        size += (kernel - 1 + pool - 1) * stride
        stride *= pool
    return Field(size + (head - 1) * stride, stride)
