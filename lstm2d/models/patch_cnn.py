"""Clarifai and OverFeat: convolutional networks that label the middle of a patch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Gt, Le, Lt
from numpy.typing import DTypeLike

from lstm2d.models.backbones.five_layers import ARCHITECTURES, Architecture, FiveConvolutions, misfit
from lstm2d.models.cells import at_every_pixel, check_resolution, from_first_cell
from lstm2d.models.network import Maps, Network
from lstm2d.models.options import Check, Loss, ModelConfig
from lstm2d.models.step import Step, drop
from lstm2d.nn import Conv2d, Linear, init
from lstm2d.ops import conv2d, softmax
from lstm2d.tensor import Tensor

HEAD_DEVIATION = 0.01  # of the first weights of the class scores
RESOLUTION = 8  # pixels between the labels of a prediction, if nothing else is asked for


def _fits(patch: int, architecture: Architecture) -> str:
    return misfit(architecture, patch)


@dataclass(frozen=True, kw_only=True, slots=True)
class PatchCNNConfig(ModelConfig):
    """Everything that decides the shape and the equations of the network.

    Parameters
    ----------
    architecture : {"clarifai", "overfeat"}
        The network of Zeiler and Fergus, or the fast one of Sermanet and others.
    patch : int
        Side of the patches in pixels: 235 or 231, so that every filter and window of the network fits.
    weights : str, default ""
        Name or digest of weights of ZF or OverFeat among the imported ones; "" for random first weights.
    dropout : float, default 0.5
        Probability, in [0, 1), that a value of fc6 or fc7 is set to 0 in training; the others are scaled so
        that the expected values stay the same.
    width : float, default 1.0
        Factor of the channels of all layers. Weights are imported where the channels are the published ones.
    loss : {"sum", "mean"}, default "mean"
        Over the patches of a minibatch.

    Raises
    ------
    ConfigError
        If a value is out of its range; the message has all of them.
    """

    title: ClassVar[str] = "patch network"

    architecture: Architecture
    patch: Annotated[int, Check(_fits, ("architecture",))]
    weights: str = ""
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.5
    width: Annotated[float, Gt(0), Le(4)] = 1.0
    loss: Loss = "mean"


class PatchCNNNetwork(Network):
    """Five convolutions, three fully connected layers: scores for the middle of a patch.

    Its input has (patch - 1) / 2 zeros on each side. An image is labelled in one pass: a stride beyond the
    distance of the labels is left out, and the layers after it are dilated [1]_.

    Parameters
    ----------
    config : PatchCNNConfig
        Sizes and variants.
    n_classes : int
        Number of classes K.
    rng : numpy.random.Generator
        Draws the first weights: normal with deviation 0.01 for the class scores, else `init.glorot_uniform`.
    channels : int, default 3
        Channels of the images.
    dtype : dtype, default float32
        Data type of the parameters, and so of the images.

    References
    ----------
    .. [1] H. Li, R. Zhao, X. Wang, "Highly Efficient Forward and Backward Propagation of Convolutional Neural
       Networks for Pixelwise Classification", 2014.
    """

    joint = True
    default_resolution = RESOLUTION

    def __init__(
        self,
        config: PatchCNNConfig,
        n_classes: int,
        rng: np.random.Generator,
        *,
        channels: int = 3,
        dtype: DTypeLike = np.float32,
    ) -> None:
        architecture = ARCHITECTURES[config.architecture]
        self.config, self.n_classes, self.stride = config, n_classes, 1
        self.reduction, self.padding, self.resolution = config.loss, config.patch // 2, RESOLUTION
        self.patch_stride = architecture.stride
        self.backbone: FiveConvolutions = FiveConvolutions(
            config.architecture, channels=channels, width=config.width, rng=rng, dtype=dtype
        )
        six, seven = (max(1, round(config.width * wide)) for wide in architecture.fc_channels)
        conv = partial(Conv2d, activation="relu", rng=rng, dtype=dtype)
        self.fc6 = conv(self.backbone.channels, six, architecture.fc_kernel)
        self.fc7 = conv(six, seven, 1)
        head = partial(init.normal, deviation=HEAD_DEVIATION)
        self.classify = Linear(seven, n_classes, weight=head, rng=rng, dtype=dtype)

    def layers(self, z: Tensor, step: Step, maps: Maps | None = None) -> Tensor:
        """Return the scores of patches or of pixels of an image.

        Parameters
        ----------
        z : Tensor of shape (N, H, W, channels)
            In training patches, else padded images.
        step : Step
            What the images are for.
        maps : dict, optional
            Gets "conv1" to "fc7" over the image, for squares of up to `resolution` pixels.

        Returns
        -------
        Tensor of shape (N, rows, columns, K)
            Of the patches at every `stride`-th pixel in training, so of each patch; else of one pixel in
            `resolution` x `resolution`.
        """
        if step.training:
            return self.cells(z, self.patch_stride, step)
        found: Maps | None = None if maps is None else {}
        z = from_first_cell(z, self.resolution, padding=self.padding)
        scores = self.cells(z, self.resolution, step, found)
        if maps is not None and found is not None:
            maps.update(self._over_the_image(found, scores.shape[1:3]))
        return scores

    def cells(self, x: Tensor, spacing: int, step: Step, maps: Maps | None = None) -> Tensor:
        """Return the scores of the patches that begin at every `spacing`-th pixel.

        Parameters
        ----------
        x : Tensor of shape (N, H, W, channels)
            Images, at least as large as a patch.
        spacing : int
            A power of two up to the stride of the network.
        step : Step
            Whether values are dropped.
        maps : dict, optional
            Gets the activations of every layer.

        Returns
        -------
        Tensor of shape (N, rows, columns, K)
            With ``rows = (H - patch) // spacing + 1``.
        """
        z, dilation = self.backbone(x, spacing, maps)
        six = conv2d(z, self.fc6.weight, self.fc6.bias, dilation=dilation, activation="relu")
        seven = self.fc7(drop(six, self.config.dropout, step))
        if maps is not None:
            maps |= {"fc6": six.data, "fc7": seven.data}
        return self.classify(drop(seven, self.config.dropout, step, layer=1))

    def _over_the_image(self, maps: Maps, scores: Sequence[int]) -> Maps:
        """Return the activations of every layer that belong to the squares of the scores."""
        found, stride = {}, 1
        for name, values in maps.items():
            if name in self.backbone.names:
                stride = min(self.resolution, stride * self.backbone.stride_of(name))
            each = self.resolution // stride  # positions along a square, one of them in its middle
            top, left = (
                (side - (n - 1) * each - 1) // 2 - each // 2
                for side, n in zip(values.shape[1:3], scores, strict=True)
            )
            found[name] = values[:, top : top + scores[0] * each, left : left + scores[1] * each]
        return found

    def predict_as(self, resolution: int, instances: Sequence[int], *, source: object = None) -> None:
        """Choose the pixels that prediction computes."""
        if instances:
            super().predict_as(1, instances, source=source)
        check_resolution(resolution, self.patch_stride, network="the network", source=source)
        self.resolution = resolution

    def class_probabilities(self, z: Tensor) -> Tensor:
        """Return class probabilities for every pixel; those between labels have the ones of the nearest."""
        return at_every_pixel(softmax(self.scores(z)), self.resolution, z.shape[1:3], self.padding)
