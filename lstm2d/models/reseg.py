"""ReSeg: ReNet layers on the features of VGG-16, then transposed convolutions; Visin et al. 2016."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import DTypeLike

from lstm2d.models.backbones.imported import frozen_names
from lstm2d.models.backbones.vgg16 import LAYERS, VGG16
from lstm2d.models.network import Maps, Network
from lstm2d.models.options import Check, Loss, Units
from lstm2d.models.renet_stack import ReNetConfig, build_layers, run_layers
from lstm2d.models.step import Step
from lstm2d.nn import ConvTranspose2d, Linear, Unit, init
from lstm2d.ops import bilinear_resize
from lstm2d.tape import no_grad
from lstm2d.tensor import Tensor

IMAGE = "image"
DEVIATION = 0.1  # of the first input weights of the sweeps (the authors' code)
FEATURES = '"image", or a layer of VGG-16: "conv1_1" to "conv5_3"'


def _image_or_layer(features: str) -> str:
    return "" if features in (IMAGE, *LAYERS) else FEATURES


def _doubles(upsampling: str, patches: tuple[int, ...]) -> str:
    product = prod(patches)
    if upsampling == "bilinear" or product & (product - 1) == 0:
        return ""
    return '"bilinear", or patches whose product is a power of 2'


@dataclass(frozen=True, kw_only=True, slots=True)
class ReSegConfig(ReNetConfig):
    """Everything that decides the shape and the equations of the network.

    Parameters
    ----------
    features : str
        Layer of VGG-16 whose activations are the input of the first ReNet layer, or "image".
    weights : str, default "vgg16"
        Name or digest of VGG-16's weights among the imported ones; "" for random first weights. Not used
        with "image".
    units : tuple of int
        Hidden units of each direction, ReNet layer by ReNet layer; may be empty.
    patches : tuple of int
        Side of the patches of each ReNet layer.
    unit : {"gru", "lstm", "tanh", "irnn"}, default "gru"
        The recurrent unit.
    upsampling : {"transposed", "bilinear"}, default "transposed"
        Transposed convolutions up to the size of the image, or bilinear enlargement of the class scores.
    upsample_channels : int, default 50
        Channels of each transposed convolution.
    loss : {"sum", "mean"}, default "sum"
        Over the labelled pixels of an image.

    Raises
    ------
    ConfigError
        If a value is out of its range; the message has all of them.
    """

    title: ClassVar[str] = "ReSeg"

    features: Annotated[str, Check(_image_or_layer, words=FEATURES)]
    weights: str = "vgg16"
    unit: Unit = "gru"
    upsampling: Annotated[Literal["transposed", "bilinear"], Check(_doubles, ("patches",))] = "transposed"
    upsample_channels: Units = 50
    loss: Loss = "sum"

    @property
    def stride(self) -> int:
        """Image pixels between two positions of the last ReNet layer."""
        pools = 0 if self.features == IMAGE else int(self.features[4]) - 1
        return int(2**pools * prod(self.patches))

    @property
    def doublings(self) -> int:
        """Number of transposed convolutions."""
        return self.stride.bit_length() - 1 if self.upsampling == "transposed" else 0


class ReSegNetwork(Network):
    """VGG-16's features, ReNet layers, transposed convolutions with ReLU, class scores of every pixel.

    Parameters
    ----------
    config : ReSegConfig
        Sizes and variants.
    n_classes : int
        Number of classes K.
    rng : numpy.random.Generator
        Draws the first weights: recurrent matrices orthonormal, input matrices normal, the rest Glorot's.
    channels : int, default 3
        Channels of the images.
    dtype : dtype, default float32
        Data type of the parameters, and so of the images.
    """

    backbone: VGG16 | None = None

    def __init__(
        self,
        config: ReSegConfig,
        n_classes: int,
        rng: np.random.Generator,
        *,
        channels: int = 3,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.config, self.n_classes, self.stride = config, n_classes, config.stride
        self.reduction, self.frozen_part = config.loss, config.features != IMAGE
        if self.frozen_part:
            self.backbone = VGG16(config.features, channels=channels, rng=rng, dtype=dtype)
            self.backbone.freeze()
            self.imported = frozen_names(self.backbone) if config.weights else ()
            channels = self.backbone.channels
        self.renet, channels = build_layers(
            config,
            channels,
            weight=partial(init.normal, deviation=DEVIATION),
            recurrent=init.orthonormal,
            rng=rng,
            dtype=dtype,
        )
        self.upsample: list[ConvTranspose2d] = []
        for _ in range(config.doublings):
            wide = config.upsample_channels
            enlarge = ConvTranspose2d(channels, wide, 2, stride=2, activation="relu", rng=rng, dtype=dtype)
            self.upsample.append(enlarge)
            channels = wide
        self.classify = Linear(channels, n_classes, rng=rng, dtype=dtype)

    def frozen(self, x: Tensor, maps: Maps | None = None) -> Tensor:
        """Run the layers of VGG-16."""
        if self.backbone is None:
            return x
        with no_grad():
            return self.backbone(x, maps)

    def layers(self, z: Tensor, step: Step, maps: Maps | None = None) -> Tensor:
        """Return scores of every pixel; maps are "renet1(V)", "renet1(H)" and so on, then "upsample1"."""
        reduced = 1 if self.backbone is None else self.backbone.stride
        rows, columns = z.shape[1] * reduced, z.shape[2] * reduced
        z = run_layers(self.renet, z, maps)
        for k, enlarge in enumerate(self.upsample, start=1):
            z = enlarge(z)
            if maps is not None:
                maps[f"upsample{k}"] = z.data
        z = self.classify(z)
        return bilinear_resize(z, rows, columns) if self.config.upsampling == "bilinear" else z
