"""Recurrent convolutional networks of Pinheiro and Collobert, ICML 2014."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lstm2d import kernels
from lstm2d.errors import ConfigError
from lstm2d.models.cells import at_every_pixel, check_resolution, from_first_cell
from lstm2d.models.network import Maps, Network
from lstm2d.models.rcnn_config import Field, RCNNConfig
from lstm2d.models.step import Step
from lstm2d.nn import Conv2d
from lstm2d.nn.planes import PlanesAndImage, uniform_draw
from lstm2d.ops import (
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


def _middle(values: FloatArray, rows: int, columns: int) -> FloatArray:
    """Return the cells over the image; others lie beside it, equally many on each side."""
    top, left = (values.shape[1] - rows) // 2, (values.shape[2] - columns) // 2
    return values[:, top : top + rows, left : left + columns]


def _dilated(conv: Conv2d, x: Tensor, dilation: int) -> Tensor:
    """Return a convolution whose filters are spread."""
    return conv2d(x, conv.weight, conv.bias, dilation=dilation)


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

    def image_filters(self) -> dict[str, int]:
        """Return the filters of the image planes."""
        return {"first.image": self.config.kernels[0]}

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
        Tensor of shape (N, rows, columns * P, K) in training, else (N, rows, columns, K)
            In training those of all P instances, cell after cell.
        """
        if step.training:
            instances = self.instances_of(step.seed, step.epoch, step.samples[0])
            planes = self.planes(z, instances, self.fields[instances - 1].stride)
            n, rows, columns, classes = planes[0].shape
            return reshape(concatenate(planes), (n, rows, columns * instances, classes))
        if maps is None:
            return self._of_image(z, self.resolution)[-1]
        found: Maps = {}
        scores = self._of_image(z, 1, found)[-1]
        maps.update((name, _middle(values, *scores.shape[1:3])) for name, values in found.items())
        return scores

    def _of_image(self, z: Tensor, spacing: int, maps: Maps | None = None) -> list[Tensor]:
        """Return the score planes of every instance, one pixel in `spacing` x `spacing` of the image."""
        unused = self.padding - self.fields[self.instances - 1].size // 2
        z = from_first_cell(z, spacing, padding=self.padding, unused=unused)
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
            before = self.class_scores(found[-1]) if found else None
            image = x if before is None else self._image(x, before, self.fields[number - 1], actual)
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
        scores : Tensor of shape (N, rows, columns * P, K)
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
        instances = scores.shape[2] // labels.shape[2]
        return cross_entropy(
            scores,
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
        after = "1 instance" if last == 1 else f"{last} instances"
        check_resolution(resolution, stride, network=f"after {after} the network", source=source)
        self.resolution, self.instances = resolution, last

    def class_probabilities(self, z: Tensor) -> Tensor:
        """Return class probabilities for every pixel; those between cells have the ones of the nearest cell.

        Parameters
        ----------
        z : Tensor of shape (N, H', W', channels)
            Padded images of H x W pixels.

        Returns
        -------
        Tensor of shape (N, H, W, K)
            In [0, 1], with a sum of 1 at every pixel.
        """
        return self._at_pixels(self._of_image(z, self.resolution)[-1], z)

    def probabilities_after(self, x: Tensor, instances: Sequence[int]) -> list[FloatArray]:
        """Return class probabilities after several instances, up to the last one of `predict_as`."""
        with no_grad():
            planes = self._of_image(x, self.resolution)
            return [self._at_pixels(planes[number - 1], x).data for number in instances]

    def shift_and_stitch(self, z: Tensor) -> FloatArray:
        """Return class probabilities as the paper computes them (section 3.4), to compare with one pass.

        Parameters
        ----------
        z : Tensor of shape (N, H', W', channels)
            Padded images of H x W pixels.

        Returns
        -------
        ndarray of shape (N, H, W, K)
            Those of `probabilities_from` at resolution 1, from a pass for every shift of the image.
        """
        size, stride = self.fields[self.instances - 1]
        height, width = (side - 2 * self.padding for side in z.shape[1:3])
        pixels: FloatArray = kernels.empty((z.shape[0], height, width, self.n_classes), z.dtype, like=z.data)
        begin, beyond = self.padding - size // 2, size - 1
        with no_grad():
            for i, j in np.ndindex(min(stride, height), min(stride, width)):
                shifted = crop(
                    z, top=begin + i, left=begin + j, height=height - i + beyond, width=width - j + beyond
                )
                cells = self.planes(shifted, self.instances, stride)[-1]
                pixels[:, i::stride, j::stride] = softmax(cells).data
        return pixels

    def _at_pixels(self, planes: Tensor, padded: Tensor) -> Tensor:
        """Return the probabilities of the nearest cells for every pixel of padded images."""
        return at_every_pixel(softmax(planes), self.resolution, padded.shape[1:3], self.padding)
