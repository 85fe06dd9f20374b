"""Fully convolutional networks after VGG-16: FCN-32s and FCN-16s."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt, Le, Lt
from numpy.typing import DTypeLike

from lstm2d.models.backbones.vgg16 import FullVGG16, channels_of
from lstm2d.models.network import Head, Maps, Network
from lstm2d.models.options import Loss, ModelConfig
from lstm2d.models.step import Step, drop
from lstm2d.nn import Linear, Module, Upsample, init
from lstm2d.ops import add
from lstm2d.tensor import Tensor

HEAD_DEVIATION = 0.01  # of the first weights of the class scores
Finest = Literal[32, 16]


@dataclass(frozen=True, kw_only=True, slots=True)
class FCNConfig(ModelConfig):
    """Everything that decides the shape and the equations of the network.

    Parameters
    ----------
    finest : {32, 16}, default 32
        Distance in pixels of the finest scores. FCN-32s scores fc7; FCN-16s adds scores of pool4.
    weights : str, default "vgg16"
        Name or digest of VGG-16's weights among the imported ones; "" for random first weights.
    dropout : float, default 0.5
        Probability, in [0, 1), that a value of fc6 or fc7 is set to 0 in training; the others are scaled so
        that the expected values stay the same.
    width : float, default 1.0
        Factor of the channels of conv4 to fc7. Weights are imported where the channels are VGG-16's.
    loss : {"sum", "mean"}, default "mean"
        Over the labelled pixels of an image.

    Raises
    ------
    ConfigError
        If a value is out of its range; the message has all of them.
    """

    title: ClassVar[str] = "FCN"

    finest: Finest = 32
    weights: str = "vgg16"
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.5
    width: Annotated[float, Gt(0), Le(4)] = 1.0
    loss: Loss = "mean"


class FCNNetwork(Network):
    """VGG-16 with its fully connected layers as convolutions, class scores, learned enlargement [1]_.

    Parameters
    ----------
    config : FCNConfig
        Sizes and variants.
    n_classes : int
        Number of classes K.
    rng : numpy.random.Generator
        Draws the first weights: normal with deviation 0.01 for the scores of fc7, else `init.glorot_uniform`.
        Scores of pool4 start at zero, enlargement as bilinear interpolation.
    channels : int, default 3
        Channels of the images.
    dtype : dtype, default float32
        Data type of the parameters, and so of the images.

    Attributes
    ----------
    finest : {32, 16}
        Distance of the finest scores in pixels.

    Notes
    -----
    fc6 has a padding of 3, so that an image of 32 r x 32 c pixels has r x c scores, whose centres stay in
    place. Each transposed convolution has one kernel for all channels and works on each by itself.

    References
    ----------
    .. [1] J. Long, E. Shelhamer, T. Darrell, "Fully Convolutional Networks for Semantic Segmentation", CVPR
       2015.
    """

    def __init__(
        self,
        config: FCNConfig,
        n_classes: int,
        rng: np.random.Generator,
        *,
        channels: int = 3,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.config, self.n_classes, self.reduction = config, n_classes, config.loss
        self.backbone: FullVGG16 = FullVGG16(channels=channels, width=config.width, rng=rng, dtype=dtype)
        self.stride = self.backbone.stride
        head = partial(init.normal, deviation=HEAD_DEVIATION)
        self.classify = Linear(self.backbone.channels, n_classes, weight=head, rng=rng, dtype=dtype)
        self.pool4: Linear | None = None
        self.double: Upsample | None = None
        self.upsample = Upsample(self.stride, dtype=dtype)
        self.refine(config.finest)

    def refine(self, finest: Finest) -> None:
        """Start the parts after the scores of fc7 anew, for scores at another distance.

        Parameters
        ----------
        finest : {32, 16}
            As in the options of the network.
        """
        dtype = self.upsample.weight.dtype
        self.finest, self.upsample = finest, Upsample(finest, dtype=dtype)
        self.pool4 = self.double = None
        if finest < self.stride:
            self.double = Upsample(self.stride // finest, dtype=dtype)
            self.pool4 = self._scores_of_pool4()

    def _scores_of_pool4(self) -> Linear:
        """Return new scores of pool4, all 0."""
        inputs, rng = channels_of("pool4", self.config.width), np.random.default_rng(0)  # nothing is drawn
        dtype = self.upsample.weight.dtype
        return Linear(inputs, self.n_classes, weight=init.zeros, rng=rng, dtype=dtype)

    @property
    def head(self) -> Head:
        """The layer that scores fc7. With a new one, scores of pool4 start at zero again."""
        return super().head

    @head.setter
    def head(self, layer: Head) -> None:
        self.set_submodule(self.head_name, layer)
        self.n_classes = layer.weight.shape[-1]
        if self.pool4 is not None:
            self.pool4 = self._scores_of_pool4()

    def heads(self) -> dict[str, Head]:
        """Return the layers that score fc7 and pool4."""
        return super().heads() | ({} if self.pool4 is None else {"pool4": self.pool4})

    def last_layers(self) -> list[Module]:
        """Return the layers that compute scores, and the transposed convolutions."""
        enlarge = [self.upsample] if self.double is None else [self.double, self.upsample]
        return [*super().last_layers(), *enlarge]

    def layers(self, z: Tensor, step: Step, maps: Maps | None = None) -> Tensor:
        """Return scores of every pixel; maps are "conv1_1" to "fc7"."""
        pool4 = self.backbone(z, maps, last="pool4")
        z = self.backbone(pool4, maps, after="pool4")
        for layer, name in enumerate(("fc6", "fc7")):
            z = getattr(self.backbone, name)(z)
            if maps is not None:
                maps[name] = z.data
            z = drop(z, self.config.dropout, step, layer)
        z = self.classify(z)
        if self.pool4 is not None and self.double is not None:
            z = add(self.double(z), self.pool4(pool4))
        return self.upsample(z)
