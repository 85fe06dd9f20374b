"""H-ReNet: ReNet layers after a dilated VGG-16, and that network alone, FCN-LargeFOV; Yan et al. 2016."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt, Le, Len, Lt
from numpy.typing import DTypeLike

from lstm2d.models.backbones.imported import frozen_names
from lstm2d.models.backbones.vgg16 import VGG16, channels_of
from lstm2d.models.network import Maps, Network
from lstm2d.models.options import Check, Loss
from lstm2d.models.renet_stack import LayerPatches, LayerUnits, ReNetConfig, build_layers, run_layers
from lstm2d.models.step import Step, drop
from lstm2d.nn import BatchNorm, Conv2d, Linear, Unit, init
from lstm2d.ops import bilinear_resize, concatenate, l2_normalise, relu
from lstm2d.tape import no_grad
from lstm2d.tensor import Tensor

LIMIT = 0.2  # of the first weights of the sweeps
DEVIATION = 0.01  # of those of conv6 and conv7
HEAD_DEVIATION = 0.1  # of those of conv8
CHANNELS = 1024  # of conv6 and conv7
DILATION = 12  # of conv6
REDUCED = 8  # image pixels between two positions of the features
FROZEN = "pool2"  # the last step of VGG-16 that no gradient reaches
Source = Literal["pool4", "pool5", "conv7"]


def _each_once(sources: tuple[str, ...]) -> str:
    return "" if len(set(sources)) == len(sources) else "each layer once"


@dataclass(frozen=True, kw_only=True, slots=True)
class HReNetConfig(ReNetConfig):
    """Everything that decides the shape and the equations of the network.

    Parameters
    ----------
    sources : tuple of {"pool4", "pool5", "conv7"}, default ("conv7",)
        Layers whose concatenated activations are the input of the first ReNet layer. Layers that none of
        them needs are left out.
    weights : str, default "vgg16"
        Name or digest of VGG-16's weights among the imported ones; "" for random first weights.
    units : tuple of int, default (120,)
        Hidden units of each direction, ReNet layer by ReNet layer; none for FCN-LargeFOV.
    patches : tuple of int, default (1,)
        Side of the patches of each ReNet layer.
    unit : {"lstm", "gru", "tanh", "irnn"}, default "lstm"
        The recurrent unit.
    forget_bias : float, default 2.0
        First bias of the LSTM's forget gates.
    normalisation : {"none", "batch", "l2"}, default "none"
        How the activations of each source are normalised: each channel to mean 0 and variance 1, or the
        whole map to a Euclidean norm of `l2_scale`.
    norm_order : {"relu-norm", "norm-relu"}, default "relu-norm"
        Whether the ReLU of conv7 precedes its normalisation, and the other sources have none after theirs;
        or every source is normalised first, conv7 before its ReLU, and then has a ReLU. Without
        normalisation both are the same.
    l2_scale : float, default 1000.0
        Used with "l2".
    conv7_kernel : {3, 1}, default 3
        Side of the filters of conv7.
    dropout : float, default 0.0
        Probability, in [0, 1), that a value of conv6 is set to 0 in training; the others are scaled so that
        the expected values stay the same.
    align_corners : bool, default False
        How the scores are enlarged: whether the centres of the corner positions and pixels coincide, instead
        of the outer edges of both grids.
    width : float, default 1.0
        Factor of the channels of conv4 to conv7. Weights are imported where the channels are VGG-16's.
    loss : {"sum", "mean"}, default "mean"
        Over the labelled pixels of an image, or of a minibatch with batch normalisation.

    Raises
    ------
    ConfigError
        If a value is out of its range; the message has all of them.
    """

    title: ClassVar[str] = "H-ReNet"

    units: LayerUnits = (120,)
    patches: LayerPatches = (1,)
    unit: Unit = "lstm"
    loss: Loss = "mean"
    sources: Annotated[tuple[Source, ...], Len(1, 3), Check(_each_once)] = ("conv7",)
    weights: str = "vgg16"
    forget_bias: float = 2.0
    normalisation: Literal["none", "batch", "l2"] = "none"
    norm_order: Literal["relu-norm", "norm-relu"] = "relu-norm"
    l2_scale: Annotated[float, Gt(0)] = 1000.0
    conv7_kernel: Literal[3, 1] = 3
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    align_corners: bool = False
    width: Annotated[float, Gt(0), Le(4)] = 1.0

    @property
    def last(self) -> str:
        """The last step of VGG-16 that a source needs."""
        return "pool4" if set(self.sources) == {"pool4"} else "pool5"

    def channels_of(self, source: Source) -> int:
        """Return the number of channels of a source."""
        return max(1, round(self.width * CHANNELS)) if source == "conv7" else channels_of(source, self.width)


class HReNetNetwork(Network):
    """VGG-16 with dilated convolutions, ReNet layers, class scores, bilinear enlargement.

    Parameters
    ----------
    config : HReNetConfig
        Sizes and variants.
    n_classes : int
        Number of classes K.
    rng : numpy.random.Generator
        Draws the first weights: uniform in [-0.2, 0.2] in the sweeps, normal in conv6 and conv7 (deviation
        0.01) and in conv8 (deviation 0.1).
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
        head = partial(init.normal, deviation=HEAD_DEVIATION)
        if "conv7" in config.sources:
            wide, kernel = config.channels_of("conv7"), config.conv7_kernel
            conv = partial(Conv2d, weight=normal, rng=rng, dtype=dtype)
            self.conv6 = conv(backbone.channels, wide, 3, padding=DILATION, dilation=DILATION)
            self.conv7 = conv(wide, wide, kernel, padding=kernel // 2)
        sizes = [config.channels_of(source) for source in config.sources]
        self.norms = [BatchNorm(size, dtype=dtype) for size in sizes] if self.joint else []
        self.renet, inputs = build_layers(
            config,
            sum(sizes),
            forget_bias=config.forget_bias,
            weight=even,
            recurrent=even,
            rng=rng,
            dtype=dtype,
        )
        self.conv8 = Linear(inputs, n_classes, weight=head, rng=rng, dtype=dtype)

    def frozen(self, x: Tensor, maps: Maps | None = None) -> Tensor:
        """Run conv1 and conv2 of VGG-16."""
        with no_grad():
            return self.backbone(x, maps, last=FROZEN)

    def layers(self, z: Tensor, step: Step, maps: Maps | None = None) -> Tensor:
        """Return scores of every pixel; maps are "conv3_1" to "conv7", then "renet1(V)" and "renet1(H)"."""
        rows, columns = z.shape[1] * 4, z.shape[2] * 4
        z = self._sources(z, step, maps)
        z = run_layers(self.renet, z, maps)
        return bilinear_resize(self.conv8(z), rows, columns, align_corners=self.config.align_corners)

    def _sources(self, z: Tensor, step: Step, maps: Maps | None) -> Tensor:
        """Return the input of the first ReNet layer: the sources, normalised and concatenated."""
        found: dict[str, Tensor] = {}
        z = found["pool4"] = self.backbone(z, maps, after=FROZEN, last="pool4")
        if self.config.last == "pool5":
            z = found["pool5"] = self.backbone(z, maps, after="pool4")
        if "conv7" in self.config.sources:
            found["conv7"] = self._conv7(z, step, maps)
        parts = [
            self._normalised(number, source, found[source], step, maps)
            for number, source in enumerate(self.config.sources)
        ]
        return parts[0] if len(parts) == 1 else concatenate(parts)

    def _conv7(self, z: Tensor, step: Step, maps: Maps | None) -> Tensor:
        """Return conv7 before its ReLU."""
        z = relu(self.conv6(z))
        if maps is not None:
            maps["conv6"] = z.data
        return self.conv7(drop(z, self.config.dropout, step))

    def _normalised(self, number: int, source: Source, x: Tensor, step: Step, maps: Maps | None) -> Tensor:
        """Return a source with its normalisation and its ReLU, in their order."""
        config = self.config
        relu_last = config.norm_order == "norm-relu" and config.normalisation != "none"
        if source == "conv7" and not relu_last:
            x = relu(x)
        rectified = x
        if config.normalisation == "l2":
            x = l2_normalise(x, config.l2_scale)
        elif self.norms:
            x = self.norms[number](x, training=step.training)
        if relu_last:
            x = rectified = relu(x)
        if source == "conv7" and maps is not None:
            maps["conv7"] = rectified.data
        return x
