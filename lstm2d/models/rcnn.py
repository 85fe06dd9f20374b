"""Recurrent convolutional networks of Pinheiro and Collobert, ICML 2014."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import sqrt
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
from annotated_types import Interval, Len
from numpy.typing import DTypeLike, NDArray

from lstm2d.errors import ConfigError
from lstm2d.models.network import Maps, Network, Step
from lstm2d.models.options import MAX_LAYERS, Check, Loss, ModelConfig, Units
from lstm2d.nn import Conv2d, Module, init
from lstm2d.ops import (
    add,
    avg_pool2d,
    concatenate,
    conv2d,
    crop,
    cross_entropy,
    max_pool2d,
    reshape,
    softmax,
    tanh,
)
from lstm2d.random import Purpose, generator
from lstm2d.tape import no_grad
from lstm2d.tensor import FloatArray, Tensor

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


class PlanesAndImage(Module):
    """The convolution of an instance's input: the score planes of the instance before, and the image.

    Parameters
    ----------
    planes : int
        Number of score planes; 0 for the image alone.
    channels, out_channels : int
        Channels of the image; filters.
    kernel_size : int
        Side of the filters.
    rng : numpy.random.Generator
        Draws the filters, uniform in +-1 / sqrt(fan in).
    dtype : dtype
        Data type of the parameters.
    """

    def __init__(
        self,
        planes: int,
        channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        rng: np.random.Generator,
        dtype: DTypeLike,
    ) -> None:
        even = uniform_draw(kernel_size, planes + channels)
        shape = (kernel_size, kernel_size)
        self.image = init.parameter(even, rng, (*shape, channels, out_channels), dtype)
        self.planes: Tensor | None = None
        if planes:
            self.planes = init.parameter(even, rng, (*shape, planes, out_channels), dtype)
        self.bias = init.parameter(init.zeros, rng, (out_channels,), dtype)

    def __call__(self, image: Tensor, planes: Tensor | None, dilation: int) -> Tensor:
        """Return the convolution; planes that are None are zero."""
        y = conv2d(image, self.image, self.bias, dilation=dilation)
        if planes is None or self.planes is None:
            return y
        return add(y, conv2d(planes, self.planes, dilation=dilation))


def _middle(values: FloatArray, rows: int, columns: int) -> FloatArray:
    """Return the cells over the image; others lie beside it, equally many on each side."""
    top, left = (values.shape[1] - rows) // 2, (values.shape[2] - columns) // 2
    return values[:, top : top + rows, left : left + columns]


def _dilated(conv: Conv2d, x: Tensor, dilation: int) -> Tensor:
    """Return a convolution whose filters are spread."""
    return conv2d(x, conv.weight, conv.bias, dilation=dilation)


def uniform_draw(kernel_size: int, channels: int) -> init.Draw:
    """Return the draw of filters, uniform in +-1 / sqrt(fan in)."""
    return partial(init.uniform, limit=1 / sqrt(kernel_size**2 * channels))


class RCNNNetwork(Network):
    """A convolutional network that runs several times, each time on the scores of the time before [1]_.

    Its input has (F - 1) / 2 zeros on each side, F the field of the last instance: a cell then lies over
    every S-th pixel, S its stride.

    Parameters
    ----------
    config : RCNNConfig
        Sizes and variants.
    n_classes : int
        Number of classes K.
    rng : numpy.random.Generator
        Draws the first weights.
    channels : int, default 3
        Channels of the images.
    dtype : dtype, default float32
        Data type of the parameters, and so of the images.

    Attributes
    ----------
    fields : tuple of Field
        Those of the score planes of each instance.
    padding : int
        Zeros on each side of an image.
    trained : int
        Instances that training examples run through, at most.
    instances : int
        Instances whose labels are predicted.
    resolution : int
        Prediction labels one pixel in `resolution` x `resolution`.

    References
    ----------
    .. [1] P. Pinheiro, R. Collobert, "Recurrent Convolutional Neural Networks for Scene Labeling", ICML 2014.
    """

    def __init__(
        self,
        config: RCNNConfig,
        n_classes: int,
        rng: np.random.Generator,
        *,
        channels: int = 3,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.config, self.n_classes, self.stride = config, n_classes, 1
        self.reduction = config.loss
        self.fields = config.fields()
        self.padding = self.fields[-1].size // 2
        self.trained = self.instances = config.instances
        self.resolution = 1
        planes = n_classes if config.feedback else 0
        first, *later = config.kernels
        self.first = PlanesAndImage(planes, channels, config.channels[0], first, rng=rng, dtype=dtype)
        inputs = config.channels[0]
        self.convs: list[Conv2d] = []
        for kernel, outputs in zip(later, config.channels[1:], strict=True):
            draw = uniform_draw(kernel, inputs)
            self.convs.append(Conv2d(inputs, outputs, kernel, weight=draw, rng=rng, dtype=dtype))
            inputs = outputs
        draw = uniform_draw(config.head_kernel, inputs)
        self.classify = Conv2d(inputs, n_classes, config.head_kernel, weight=draw, rng=rng, dtype=dtype)

    def instances_of(self, seed: int, epoch: int, number: int) -> int:
        """Return the number of instances that a training example runs through.

        Parameters
        ----------
        seed, epoch : int
            Of the run.
        number : int
            Number of the example.

        Returns
        -------
        int
            Depends on the arguments alone.
        """
        if not self.config.random_instances:
            return self.trained
        return int(generator(seed, epoch, number, Purpose.INSTANCES).integers(1, self.trained + 1))

    def layers(self, z: Tensor, step: Step, maps: Maps | None = None) -> Tensor:
        """Return the scores of the cells.

        Parameters
        ----------
        z : Tensor of shape (N, H, W, channels)
            Padded images. In training: patches, or images without their first rows and columns.
        step : Step
            What the images are for.
        maps : dict, optional
            Gets "instance1.layer1", and so on, and "instance1.scores" of all instances but the last; like
            the scores, at every pixel of the image.

        Returns
        -------
        Tensor of shape (N, rows, columns, P * K) in training, else (N, rows, columns, K)
            In training those of all P instances.
        """
        if step.training:
            instances = self.instances_of(step.seed, step.epoch, step.samples[0])
            return concatenate(self.planes(z, instances, self.fields[instances - 1].stride))
        if maps is None:
            return self._of_image(z, self.resolution)[-1]
        found: Maps = {}
        scores = self._of_image(z, 1, found)[-1]
        maps.update((name, _middle(values, *scores.shape[1:3])) for name, values in found.items())
        return scores

    def _of_image(self, z: Tensor, spacing: int, maps: Maps | None = None) -> list[Tensor]:
        """Return the score planes of every instance, one pixel in `spacing` x `spacing` of the image."""
        unused = self.padding - self.fields[self.instances - 1].size // 2
        first = [min(spacing // 2, side - 2 * self.padding - 1) for side in z.shape[1:3]]
        begins = [unused + start for start in first]
        z = crop(
            z,
            top=begins[0],
            left=begins[1],
            height=z.shape[1] - unused - begins[0],
            width=z.shape[2] - unused - begins[1],
        )
        return self.planes(z, self.instances, spacing, maps)

    def planes(self, x: Tensor, instances: int, spacing: int, maps: Maps | None = None) -> list[Tensor]:
        """Return the score planes of every instance at the cells of the last one.

        Parameters
        ----------
        x : Tensor of shape (N, H, W, channels)
            Images, padded for this number of instances.
        instances : int
            How many.
        spacing : int
            Pixels from one cell to the next, a power of two up to the stride of the last instance. Pooling
            has a stride as far as this allows; beyond, the layers that follow are dilated.
        maps : dict, optional
            Gets the activations of every layer.

        Returns
        -------
        list of Tensor of shape (N, rows, columns, K)
            Cell (i, j) of each lies over the middle of the field of the last instance that begins at pixel
            (i * spacing, j * spacing).
        """
        found: list[Tensor] = []
        natural = actual = 1
        for number in range(instances):
            image = x if number == 0 else self._image(x, found[-1], self.fields[number - 1], actual)
            before = found[-1] if found else None
            z, natural, actual = self._instance(image, before, natural, actual, spacing, maps, number + 1)
            found.append(z)
            if maps is not None and number + 1 < instances:
                maps[f"instance{number + 1}.scores"] = z.data
        last = self.fields[instances - 1].size
        return [
            self._aligned(z, last - f.size, min(f.stride, spacing), spacing, found[-1].shape)
            for z, f in zip(found, self.fields, strict=False)
        ]

    def _instance(
        self,
        image: Tensor,
        planes: Tensor | None,
        natural: int,
        actual: int,
        spacing: int,
        maps: Maps | None,
        number: int,
    ) -> tuple[Tensor, int, int]:
        """Run one instance; `natural` is the stride of its input as published, `actual` the one here."""
        z = self.first(image, planes, natural // actual)
        for k, pool in enumerate(self.config.pools):
            if k:
                z = _dilated(self.convs[k - 1], z, natural // actual)
            if pool > 1:
                after = min(natural * pool, spacing)
                z = max_pool2d(z, pool, stride=after // actual, dilation=natural // actual)
                natural, actual = natural * pool, after
            z = tanh(z)
            if maps is not None:
                maps[f"instance{number}.layer{k + 1}"] = z.data
        return _dilated(self.classify, z, natural // actual), natural, actual

    def _image(self, x: Tensor, planes: Tensor, field: Field, actual: int) -> Tensor:
        """Return the image at the scale of score planes: means from the middle pixel of each field on."""
        begin, (rows, columns) = field.size // 2, planes.shape[1:3]
        height, width = ((n - 1) * actual + field.stride for n in (rows, columns))
        boxes = crop(x, top=begin, left=begin, height=height, width=width)
        return avg_pool2d(boxes, field.stride, stride=actual)

    def _aligned(self, z: Tensor, beyond: int, actual: int, spacing: int, shape: tuple[int, ...]) -> Tensor:
        """Return the cells of an earlier instance over those of the last one."""
        begin, step = beyond // (2 * actual), spacing // actual
        if begin == 0 and step == 1 and z.shape == shape:
            return z
        height, width = ((n - 1) * step + 1 for n in shape[1:3])
        z = crop(z, top=begin, left=begin, height=height, width=width)
        return max_pool2d(z, 1, stride=step) if step > 1 else z  # windows of one cell: every step-th one

    def compare(
        self,
        scores: Tensor,
        labels: NDArray[np.integer[Any]],
        class_weights: NDArray[np.floating[Any]] | None = None,
        *,
        ignore_index: int = 255,
    ) -> Tensor:
        """Return the cross-entropy of all cells of all instances.

        Parameters
        ----------
        scores : Tensor of shape (N, rows, columns, P * K)
            Of P instances.
        labels : ndarray of int, shape (N, rows, columns)
            Classes of the pixels under the cells.
        class_weights : ndarray of shape (K,), optional
            Factor of each class.
        ignore_index : int, default 255
            Marks cells that do not count.

        Returns
        -------
        Tensor of shape ()
            Sum or mean, as `reduction` says.
        """
        n, rows, columns, width = scores.shape
        instances = width // self.n_classes
        every = reshape(scores, (n, rows, columns * instances, self.n_classes))
        return cross_entropy(
            every,
            labels.repeat(instances, axis=2),
            class_weights=class_weights,
            ignore_index=ignore_index,
            reduction=self.reduction,
        )

    def predict_as(self, resolution: int, instances: Sequence[int], *, source: object = None) -> None:
        """Choose the pixels and the instances that prediction computes: up to the last of `instances`."""
        last = instances[-1] if instances else self.trained
        if not 1 <= min(instances, default=1) <= last <= self.trained:
            raise ConfigError(
                f"`instances`: {', '.join(map(str, instances))}; the model was trained with {self.trained}",
                where=source,
                expected="1" if self.trained == 1 else f"1 to {self.trained}",
                hint=f"for more, train with model.instances={last}" if last > self.trained else None,
            )
        stride = self.fields[last - 1].stride
        allowed = [2**power for power in range(stride.bit_length())]
        if resolution not in allowed:
            after = "1 instance" if last == 1 else f"{last} instances"
            raise ConfigError(
                f"`resolution`: 1/{resolution}",
                where=source,
                expected=", ".join("1" if q == 1 else f"1/{q}" for q in allowed),
                hint=f"after {after} the network has a stride of {stride} pixels; choose one of these",
            )
        self.resolution, self.instances = resolution, last

    def probabilities_from(self, z: Tensor) -> FloatArray:
        """Return class probabilities for every pixel; those between cells have the ones of the nearest cell.

        Parameters
        ----------
        z : Tensor of shape (N, H', W', channels)
            Padded images of H x W pixels.

        Returns
        -------
        ndarray of shape (N, H, W, K)
            In [0, 1], with a sum of 1 at every pixel.
        """
        return self.probabilities_after(z, (self.instances,))[0]

    def probabilities_after(self, x: Tensor, instances: Sequence[int]) -> list[FloatArray]:
        """Return class probabilities after several instances, up to the last one of `predict_as`."""
        with no_grad():
            planes = self._of_image(x, self.resolution)
            return [self._at_pixels(softmax(planes[number - 1]).data, x.shape) for number in instances]

    def _at_pixels(self, cells: FloatArray, padded: tuple[int, ...]) -> FloatArray:
        """Return the values of the nearest cells for every pixel of a padded image."""
        if self.resolution == 1:
            return cells
        rows, columns = (
            np.minimum(np.arange(side - 2 * self.padding) // self.resolution, n - 1)
            for side, n in zip(padded[1:3], cells.shape[1:3], strict=True)
        )
        pixels: FloatArray = cells[:, rows][:, :, columns]
        return pixels
