"""H-ReNet: ReNet layers behind a dilated VGG-16, and that network alone, FCN-LargeFOV; Yan et al. 2016."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import isfinite, prod
from typing import Literal, get_args

import numpy as np
from numpy.typing import DTypeLike

from lstm2d.errors import ConfigError
from lstm2d.models.backbones import vgg16
from lstm2d.models.backbones.imported import frozen_names
from lstm2d.models.backbones.vgg16 import VGG16, channels_of
from lstm2d.models.network import Maps, Network, Step
from lstm2d.models.renet_options import layer_count, problems
from lstm2d.nn import BatchNorm, Conv2d, Linear, ReNet, Unit, init
from lstm2d.ops import bilinear_resize, concatenate, l2_normalise, relu
from lstm2d.tape import no_grad
from lstm2d.tensor import Tensor

LIMIT = 0.2  # of the first weights of the sweeps
DEVIATION = 0.1  # of those of the convolutions behind VGG-16
CHANNELS = 1024  # of conv6 and conv7
DILATION = 12  # of conv6
REDUCED = 8  # image pixels between two positions of the features
FROZEN = "pool2"  # the last step of VGG-16 that no gradient reaches
Source = Literal["pool4", "pool5", "conv7"]
Normalisation = Literal["none", "batch", "l2"]


@dataclass(frozen=True, kw_only=True, slots=True)
class HReNetConfig:
    """Everything that decides the shape and the equations of the network.

    Parameters
    ----------
    sources : tuple of {"pool4", "pool5", "conv7"}, default ("conv7",)
        Layers whose answers, side by side, the first ReNet layer reads; those that none of them needs are
        left out.
    weights : str, default "vgg16"
        Name or digest of VGG-16's weights among the imported ones; "" leaves the first weights, which are
        drawn, as they are.
    units : tuple of int, default (120,)
        Hidden units of each direction, ReNet layer by ReNet layer; none for FCN-LargeFOV.
    patches : tuple of int, default (1,)
        Side of the patches of each ReNet layer.
    unit : {"lstm", "gru", "tanh", "irnn"}, default "lstm"
        The recurrent unit.
    forget_bias : float, default 2.0
        First bias of the LSTM's forget gates.
    normalisation : {"none", "batch", "l2"}, default "none"
        What is done to the answer of each source: mean 0 and variance 1 of each channel, or one Euclidean
        norm of the whole map.
    l2_scale : float, default 1000.0
        That norm.
    conv7_kernel : {3, 1}, default 3
        Side of the filters of conv7.
    width : float, default 1.0
        Factor of the channels of conv4 to conv7. Weights are imported where the channels are VGG-16's.
    loss : {"sum", "mean"}, default "mean"
        Over the labelled pixels of an image, or of a minibatch with batch normalisation.

    Raises
    ------
    ConfigError
        If a value is out of its range; the message has all of them.
    """

    sources: tuple[Source, ...] = ("conv7",)
    weights: str = "vgg16"
    units: tuple[int, ...] = (120,)
    patches: tuple[int, ...] = (1,)
    unit: Unit = "lstm"
    forget_bias: float = 2.0
    normalisation: Normalisation = "none"
    l2_scale: float = 1000.0
    conv7_kernel: int = 3
    width: float = 1.0
    loss: Literal["sum", "mean"] = "mean"

    def __post_init__(self) -> None:
        wrong = problems(self.units, self.patches, self.unit, self.loss)
        known = get_args(Source)
        if not self.sources or set(self.sources) - {*known} or len(set(self.sources)) < len(self.sources):
            wrong.append(f"sources = {self.sources}, expected one or more of {', '.join(known)}")
        if not isfinite(self.forget_bias):
            wrong.append(f"forget_bias = {self.forget_bias}, expected a finite number")
        if self.normalisation not in get_args(Normalisation):
            wrong.append(f"normalisation = {self.normalisation!r}, expected 'none', 'batch' or 'l2'")
        if not 0 < self.l2_scale < float("inf"):
            wrong.append(f"l2_scale = {self.l2_scale}, expected a positive number")
        if self.conv7_kernel not in (1, 3):
            wrong.append(f"conv7_kernel = {self.conv7_kernel}, expected 3 or 1")
        if not 0 < self.width <= 4:
            wrong.append(f"width = {self.width}, expected more than 0, up to 4")
        if wrong:
            raise ConfigError("; ".join(wrong), where="H-ReNet")

    @property
    def last(self) -> str:
        """The last step of VGG-16 that a source needs."""
        return "pool4" if set(self.sources) == {"pool4"} else "pool5"

    def channels_of(self, source: Source) -> int:
        """Return the channels of the answer of a source."""
        return max(1, round(self.width * CHANNELS)) if source == "conv7" else channels_of(source, self.width)

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
            Weights, biases and running statistics, without conv1 and conv2 if they are imported.
        """
        total = vgg16.count(self.last, channels=channels, width=self.width)
        if self.weights:
            total -= vgg16.count(FROZEN, channels=channels)
        if "conv7" in self.sources:
            wide = self.channels_of("conv7")
            total += (9 * self.channels_of("pool5") + 1) * wide + (self.conv7_kernel**2 * wide + 1) * wide
        inputs = sum(self.channels_of(source) for source in self.sources)
        total += 2 * inputs * (self.normalisation == "batch")
        for units, patch in zip(self.units, self.patches, strict=True):
            total += layer_count(inputs, units, patch, self.unit)
            inputs = 2 * units
        return total + (inputs + 1) * n_classes


class HReNetNetwork(Network):
    """VGG-16 with dilated convolutions, ReNet layers, class scores, bilinear enlargement.

    Parameters
    ----------
    config : HReNetConfig
        Sizes and variants.
    n_classes : int
        Number of classes K.
    rng : numpy.random.Generator
        Draws the first weights: those of the sweeps evenly, those of conv6 to conv8 normal.
    channels : int, default 3
        Channels of the images.
    dtype : dtype, default float32
        Data type of the parameters, and so of the images.
    """

    frozen_part = True
    head_name = "conv8"
    backbone: VGG16

    def __init__(
        self,
        config: HReNetConfig,
        n_classes: int,
        rng: np.random.Generator,
        *,
        channels: int = 3,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.config, self.n_classes, self.stride = config, n_classes, REDUCED * prod(config.patches)
        self.reduction, self.joint = config.loss, config.normalisation == "batch"
        self.backbone = backbone = VGG16(
            config.last, channels=channels, dense=True, width=config.width, rng=rng, dtype=dtype
        )
        for name in backbone.names:
            if name.startswith(("conv1", "conv2")):
                getattr(backbone, name).freeze()
        self.imported = frozen_names(backbone) if config.weights else ()
        normal, even = partial(init.normal, deviation=DEVIATION), partial(init.uniform, limit=LIMIT)
        if "conv7" in config.sources:
            wide, kernel = config.channels_of("conv7"), config.conv7_kernel
            conv = partial(Conv2d, weight=normal, rng=rng, dtype=dtype)
            self.conv6 = conv(backbone.channels, wide, 3, padding=DILATION, dilation=DILATION)
            self.conv7 = conv(wide, wide, kernel, padding=kernel // 2)
        sizes = [config.channels_of(source) for source in config.sources]
        self.norms = [BatchNorm(size, dtype=dtype) for size in sizes] if self.joint else []
        inputs = sum(sizes)
        self.renet: list[ReNet] = []
        for units, patch in zip(config.units, config.patches, strict=True):
            layer = ReNet(
                inputs,
                units,
                patch=patch,
                unit=config.unit,
                forget_bias=config.forget_bias,
                weight=even,
                recurrent=even,
                rng=rng,
                dtype=dtype,
            )
            self.renet.append(layer)
            inputs = 2 * units
        self.conv8 = Linear(inputs, n_classes, weight=normal, rng=rng, dtype=dtype)

    def frozen(self, x: Tensor, maps: Maps | None = None) -> Tensor:
        """Run conv1 and conv2 of VGG-16."""
        with no_grad():
            return self.backbone(x, maps, last=FROZEN)

    def layers(self, z: Tensor, step: Step, maps: Maps | None = None) -> Tensor:
        """Return scores of every pixel; maps are "conv3_1" to "conv7", then "renet1(V)" and "renet1(H)"."""
        rows, columns = z.shape[1] * 4, z.shape[2] * 4
        z = self._sources(z, step, maps)
        for k, layer in enumerate(self.renet, start=1):
            vertical, z = layer.sweeps(z)
            if maps is not None:  # else the memory of one layer is free for the next
                maps[f"renet{k}(V)"], maps[f"renet{k}(H)"] = vertical.data, z.data
        return bilinear_resize(self.conv8(z), rows, columns)

    def _sources(self, z: Tensor, step: Step, maps: Maps | None) -> Tensor:
        """Return the input of the first ReNet layer: the sources, normalised and concatenated."""
        found: dict[str, Tensor] = {}
        z = found["pool4"] = self.backbone(z, maps, after=FROZEN, last="pool4")
        if self.config.last == "pool5":
            z = found["pool5"] = self.backbone(z, maps, after="pool4")
        if "conv7" in self.config.sources:
            for name in ("conv6", "conv7"):
                z = found[name] = relu(getattr(self, name)(z))
                if maps is not None:
                    maps[name] = z.data
        parts = [found[source] for source in self.config.sources]
        if self.config.normalisation == "l2":
            parts = [l2_normalise(part, self.config.l2_scale) for part in parts]
        elif self.norms:
            parts = [norm(part, training=step.training) for norm, part in zip(self.norms, parts, strict=True)]
        return parts[0] if len(parts) == 1 else concatenate(parts)
