"""Base class of the networks: class scores, their loss, probabilities and feature maps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import ConfigError
from lstm2d.models.step import PREDICTION, Step
from lstm2d.nn import Conv2d, ConvTranspose2d, Linear, Module
from lstm2d.ops import cross_entropy, softmax
from lstm2d.tape import no_grad
from lstm2d.tensor import FloatArray, Tensor

if TYPE_CHECKING:
    from lstm2d.models.backbones.backbone import Backbone

RECURRENT = "a recurrent convolutional network (presets cnn-133, rcnn1 and rcnn2)"
Head = Linear | Conv2d | ConvTranspose2d
Maps = dict[str, FloatArray]  # activations by the name of their layer, first to last


class Network(Module, ABC):
    """A network that computes scores of K classes for every pixel of an image.

    A forward pass is `layers` applied to the output of `frozen`. Only the first needs gradients, so a run can
    keep the output of `frozen`. A subclass defines `layers`, and overrides what differs from this class.

    Attributes
    ----------
    n_classes : int
        Number of classes K.
    stride : int
        Image sides must be multiples of it, in pixels.
    padding : int
        Zeros that surround an image in the network's input, in pixels; the scores are those of the image.
    head_name : str
        Name of `head` as part of the network, such as "feedforward.2".
    reduction : {"sum", "mean"}
        Whether the loss of an image is the sum over its labelled pixels, or their mean.
    joint : bool
        Whether the images of a minibatch run as one batch: the network normalises over it, or sees patches of
        one size.
    backbone : Backbone or None
        Layers whose weights are imported.
    imported : tuple of str
        Names of those parameters that are imported and never trained: a model file leaves them out.
    frozen_part : bool
        Whether `frozen` computes anything: first layers that no gradient reaches.
    trained : int
        Instances that it was trained with, see `RCNNNetwork`; 1 for a network that has none.
    resolution : int
        Prediction computes one pixel in `resolution` x `resolution`.
    default_resolution : int
        What `predict_as` gets if the user asks for no resolution.
    membership : Linear or None
        Turns scores of subclasses into those of classes, if the head computes scores of subclasses.
    """

    n_classes: int
    stride: int
    padding: int = 0
    head_name: str = "classify"
    reduction: Literal["sum", "mean"] = "sum"
    joint: bool = False
    backbone: Backbone | None = None
    imported: tuple[str, ...] = ()
    frozen_part: bool = False
    trained: int = 1
    resolution: int = 1
    default_resolution: int = 1
    membership: Linear | None = None

    @property
    def head(self) -> Head:
        """The layer that computes the class scores. A new one sets `n_classes` to its number of outputs."""
        head = self.get_submodule(self.head_name)
        assert isinstance(head, Head)
        return head

    @head.setter
    def head(self, layer: Head) -> None:
        self.set_submodule(self.head_name, layer)
        self.n_classes = layer.weight.shape[-1]

    def heads(self) -> dict[str, Head]:
        """Return the layers that compute scores, by name; their outputs are added, if there are several."""
        return {self.head_name: self.head}

    def last_layers(self) -> list[Module]:
        """Return the layers that compute scores, and those that only enlarge them."""
        return [*self.heads().values()]

    def class_scores(self, scores: Tensor) -> Tensor:
        """Return the scores of the classes from the output of the head."""
        return scores if self.membership is None else self.membership(scores)

    def stored_arrays(self) -> dict[str, FloatArray]:
        """Return the contents of a model file: all values but those of imported layers that stay so.

        Returns
        -------
        dict of str to ndarray
            The values themselves, by name: of parameters, then of buffers.
        """
        return {name: values for name, values in self.arrays().items() if name not in self.imported}

    def image_filters(self) -> dict[str, int]:
        """Return the filters that read the image.

        Returns
        -------
        dict of str to int
            Name of a parameter of shape (side, side, channels, filters): its side. Empty if the filters see
            images in another form.
        """
        return {}

    def frozen(self, x: Tensor, maps: Maps | None = None) -> Tensor:
        """Run the frozen layers; return the input unchanged if there are none.

        Parameters
        ----------
        x : Tensor of shape (N, H, W, channels)
            Normalised images; H and W are multiples of `stride`.
        maps : dict, optional
            Gets the activations of every layer, by name.

        Returns
        -------
        Tensor of shape (N, H', W', C)
            The input of `scores`. It is the same in every epoch, so it can be kept.

        Raises
        ------
        ShapeError
            If the size of the images does not fit.
        """
        return x

    @abstractmethod
    def layers(self, z: Tensor, step: Step, maps: Maps | None = None) -> Tensor:
        """Run the layers after the frozen ones, up to the class scores.

        Parameters
        ----------
        z : Tensor of shape (N, H', W', C)
            Output of `frozen`.
        step : Step
            What the images are for.
        maps : dict, optional
            Gets the activations of every layer but the last, by name.

        Returns
        -------
        Tensor of shape (N, rows, columns, K)
            Input of the softmax.

        Raises
        ------
        ShapeError
            If the size does not fit.
        """

    def scores(self, z: Tensor, step: Step = PREDICTION) -> Tensor:
        """Return class scores.

        Parameters
        ----------
        z : Tensor of shape (N, H', W', C)
            Output of `frozen`.
        step : Step, default PREDICTION
            What the images are for.

        Returns
        -------
        Tensor of shape (N, rows, columns, K)
            Input of the softmax and of `compare`.

        Raises
        ------
        ShapeError
            If the size does not fit.
        """
        return self.layers(z, step)

    def compare(
        self,
        scores: Tensor,
        labels: NDArray[np.integer[Any]],
        class_weights: NDArray[np.floating[Any]] | None = None,
        *,
        ignore_index: int = 255,
    ) -> Tensor:
        """Return the loss of class scores: the cross-entropy of all pixels.

        Parameters
        ----------
        scores : Tensor of shape (N, rows, columns, K)
            Output of `scores`.
        labels : ndarray of int, shape (N, H, W)
            Classes of the pixels, or `ignore_index`.
        class_weights : ndarray of shape (K,), optional
            Factor of each class.
        ignore_index : int, default 255
            Marks pixels that do not count.

        Returns
        -------
        Tensor of shape ()
            Sum or mean, as `reduction` says.

        Raises
        ------
        ShapeError
            If the sizes do not fit.
        ValueError
            If a label is neither a class nor `ignore_index`.
        """
        return cross_entropy(
            scores, labels, class_weights=class_weights, ignore_index=ignore_index, reduction=self.reduction
        )

    def terms(self, labels: NDArray[np.integer[Any]], *, ignore_index: int = 255) -> float:
        """Return the number of terms of the loss, to show it per term.

        Parameters
        ----------
        labels : ndarray of int, shape (N, H, W)
            Classes of the pixels, or `ignore_index`.
        ignore_index : int, default 255
            Marks pixels that do not count.

        Returns
        -------
        float
            Number of labelled pixels; 1 if the loss is a mean.
        """
        return 1.0 if self.reduction == "mean" else float((labels != ignore_index).sum())

    def probabilities(self, x: Tensor) -> FloatArray:
        """Return class probabilities for every pixel.

        Parameters
        ----------
        x : Tensor of shape (N, H, W, channels)
            Normalised images; H and W are multiples of `stride`.

        Returns
        -------
        ndarray of shape (N, H, W, K)
            In [0, 1], with a sum of 1 at every pixel.

        Raises
        ------
        ShapeError
            If the size of the images does not fit.
        """
        return self.probabilities_from(self.frozen(x))

    def probabilities_from(self, z: Tensor) -> FloatArray:
        """Return class probabilities for every pixel from the output of the frozen layers.

        Parameters
        ----------
        z : Tensor of shape (N, H', W', C)
            Output of `frozen`.

        Returns
        -------
        ndarray of shape (N, H, W, K)
            Those of `probabilities`.

        Raises
        ------
        ShapeError
            If the size does not fit.
        """
        with no_grad():
            return self.class_probabilities(z).data

    def class_probabilities(self, z: Tensor) -> Tensor:
        """Return class probabilities for every pixel from the output of the frozen layers, as a tensor.

        Parameters
        ----------
        z : Tensor of shape (N, H', W', C)
            Output of `frozen`.

        Returns
        -------
        Tensor of shape (N, H, W, K)
            Those of `probabilities`; recorded, unless within `lstm2d.no_grad`.

        Raises
        ------
        ShapeError
            If the size does not fit.
        """
        return self.corrected(self.at_pixels(softmax(self.scores(z)), z))

    def at_pixels(self, probabilities: Tensor, z: Tensor) -> Tensor:
        """Return probabilities (N, H, W, K) from those of the scores of z, here already of pixels."""
        return probabilities

    def corrected(self, probabilities: Tensor) -> Tensor:
        """Return the output of `at_pixels`, at each pixel by itself, within [0, 1] and with a sum of 1."""
        return probabilities

    def predict_as(self, resolution: int, instances: Sequence[int], *, source: object = None) -> None:
        """Choose the pixels and the instances that prediction computes.

        Parameters
        ----------
        resolution : int
            Compute one pixel in `resolution` x `resolution`; the others get the result of the nearest one.
        instances : sequence of int
            Numbers of the instances whose results are needed, ascending; empty for the last one trained.
        source : object, optional
            The model's file, for messages.

        Raises
        ------
        ConfigError
            If the network has no such choice, or the values are out of range.
        """
        if resolution != 1 or instances:
            name, models = "instances", RECURRENT
            if resolution != 1:
                name, models = (
                    "resolution",
                    f"{RECURRENT}, or a patch network (presets clarifai and overfeat)",
                )
            raise ConfigError(
                f"`{name}` for a model that has no such choice",
                where=source,
                expected=models,
                hint=f"leave `{name}` out",
            )

    def probabilities_after(self, x: Tensor, instances: Sequence[int]) -> list[FloatArray]:
        """Return class probabilities after several instances, from one forward pass.

        Parameters
        ----------
        x : Tensor of shape (N, H, W, channels)
            As for `probabilities`.
        instances : sequence of int
            As for `predict_as`.

        Returns
        -------
        list of ndarray of shape (N, H, W, K)
            Those of `probabilities`, one per instance. A network without instances has one.

        Raises
        ------
        ShapeError
            If the size of the images does not fit.
        """
        return [self.probabilities(x)]

    def feature_maps(self, x: Tensor) -> Maps:
        """Return the activations of every layer.

        Parameters
        ----------
        x : Tensor of shape (N, H, W, channels)
            Normalised images; H and W are multiples of `stride`, and without `padding` of `resolution`.

        Returns
        -------
        dict from str to ndarray of shape (N, rows, columns, channels of the layer)
            By the name of the layer, first to last; the last is ``"scores"``. A position is a square of
            pixels.

        Raises
        ------
        ShapeError
            If the size of the images does not fit.
        """
        maps: Maps = {}
        with no_grad():
            scores = self.layers(self.frozen(x, maps), PREDICTION, maps)
        maps["scores"] = scores.data
        return maps
