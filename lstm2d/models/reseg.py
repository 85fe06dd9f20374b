"""ReSeg: ReNet layers on the features of VGG-16, then transposed convolutions; Visin et al. 2016."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Literal, get_args

import numpy as np
from numpy.typing import DTypeLike

from lstm2d.errors import ConfigError
from lstm2d.models.backbones import vgg16
from lstm2d.models.backbones.imported import frozen_names
from lstm2d.models.backbones.vgg16 import LAYERS, VGG16
from lstm2d.models.network import Maps, Network, Step
from lstm2d.models.renet_options import layer_count, problems
from lstm2d.nn import ConvTranspose2d, Linear, ReNet, Unit, init
from lstm2d.ops import bilinear_resize
from lstm2d.tape import no_grad
from lstm2d.tensor import Tensor

IMAGE = "image"
DEVIATION = 0.1  # of the first input weights of the sweeps (the authors' code)
Upsampling = Literal["transposed", "bilinear"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReSegConfig:
    """Everything that decides the shape and the equations of the network.

    Parameters
    ----------
    features : str, default "conv3_3"
        Layer of VGG-16 whose answer the first ReNet layer reads, or "image".
    weights : str, default "vgg16"
        Name or digest of VGG-16's weights among the imported ones; "" leaves the first weights, which are
        drawn, as they are. Not used with "image".
    units : tuple of int
        Hidden units of each direction, ReNet layer by ReNet layer; none for a network without.
    patches : tuple of int
        Side of the patches of each ReNet layer.
    unit : {"gru", "lstm", "tanh", "irnn"}, default "gru"
        The recurrent unit.
    upsampling : {"transposed", "bilinear"}, default "transposed"
        Transposed convolutions to the size of the image, or class scores enlarged at the end.
    upsample_channels : int, default 50
        Channels of each transposed convolution.
    loss : {"sum", "mean"}, default "sum"
        Over the labelled pixels of an image.

    Raises
    ------
    ConfigError
        If a value is out of its range; the message has all of them.
    """

    features: str = "conv3_3"
    weights: str = "vgg16"
    units: tuple[int, ...] = (100, 100)
    patches: tuple[int, ...] = (1, 1)
    unit: Unit = "gru"
    upsampling: Upsampling = "transposed"
    upsample_channels: int = 50
    loss: Literal["sum", "mean"] = "sum"

    def __post_init__(self) -> None:
        wrong = problems(self.units, self.patches, self.unit, self.loss)
        if self.features != IMAGE and self.features not in LAYERS:
            wrong.append(f"features = {self.features!r}, expected 'image' or a layer of VGG-16")
        if self.upsampling not in get_args(Upsampling):
            wrong.append(f"upsampling = {self.upsampling!r}, expected 'transposed' or 'bilinear'")
        if self.upsample_channels < 1:
            wrong.append(f"upsample_channels = {self.upsample_channels}, expected 1 or more")
        if not wrong and self.upsampling == "transposed" and self.stride & (self.stride - 1):
            wrong.append(
                f"patches = {self.patches}: transposed convolutions double the size, the total stride of "
                f"{self.stride} is no power of 2; expected other patches or upsampling = 'bilinear'"
            )
        if wrong:
            raise ConfigError("; ".join(wrong), where="ReSeg")

    @property
    def stride(self) -> int:
        """Image pixels between two positions of the last ReNet layer."""
        pools = 0 if self.features == IMAGE else int(self.features[4]) - 1
        return int(2**pools * prod(self.patches))

    def count(self, channels: int, n_classes: int) -> int:
        """Return the number of values in a model file.

        Parameters
        ----------
        channels : int
            Channels of the images.
        n_classes : int
            Number of classes.

        Returns
        -------
        int
            Weights and biases, without the imported layers.
        """
        total, inputs = 0, channels if self.features == IMAGE else LAYERS[self.features]
        if self.features != IMAGE and not self.weights:
            total = vgg16.count(self.features, channels=channels)
        for units, patch in zip(self.units, self.patches, strict=True):
            total += layer_count(inputs, units, patch, self.unit)
            inputs = 2 * units
        for _ in range(self.doublings):
            total += (4 * inputs + 1) * self.upsample_channels
            inputs = self.upsample_channels
        return total + (inputs + 1) * n_classes

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
        self.renet: list[ReNet] = []
        for units, patch in zip(config.units, config.patches, strict=True):
            layer = ReNet(
                channels,
                units,
                patch=patch,
                unit=config.unit,
                weight=partial(init.normal, deviation=DEVIATION),
                recurrent=init.orthonormal,
                rng=rng,
                dtype=dtype,
            )
            self.renet.append(layer)
            channels = 2 * units
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
        for k, layer in enumerate(self.renet, start=1):
            vertical, z = layer.sweeps(z)
            if maps is not None:  # else the memory of one layer is free for the next
                maps[f"renet{k}(V)"], maps[f"renet{k}(H)"] = vertical.data, z.data
        for k, enlarge in enumerate(self.upsample, start=1):
            z = enlarge(z)
            if maps is not None:
                maps[f"upsample{k}"] = z.data
        z = self.classify(z)
        return bilinear_resize(z, rows, columns) if self.config.upsampling == "bilinear" else z
