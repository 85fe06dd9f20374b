"""N-ReNet: LSTM ReNet layers on the pixels, without convolutions over space; Yan et al. 2016."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Len, MaxLen
from numpy.typing import DTypeLike

from lstm2d.models.network import Maps, Network
from lstm2d.models.options import MAX_LAYERS, Check, Loss, Units
from lstm2d.models.renet_stack import ReNetConfig, build_layers, run_layers
from lstm2d.models.step import Step
from lstm2d.nn import Linear, ReNet, Unit, init
from lstm2d.ops import bilinear_resize, tanh
from lstm2d.tensor import Tensor

LIMIT = 0.2  # of the first weights of the sweeps (the authors' code)
DEVIATION = 0.1  # of those of the 1 x 1 convolutions (the authors' code)


def _none_or_one_between_layers(features: tuple[int, ...], units: tuple[int, ...]) -> str:
    layers = len(units)
    if len(features) in (0, layers - 1):
        return ""
    return f"no value, or {layers - 1}: one after each of the {layers} layers but the last"


@dataclass(frozen=True, kw_only=True, slots=True)
class NReNetConfig(ReNetConfig):
    """Everything that decides the shape and the equations of the network.

    Parameters
    ----------
    units : tuple of int
        Hidden units of each direction, ReNet layer by ReNet layer.
    patches : tuple of int
        Side of the patches of each ReNet layer, in positions of the layer before.
    features : tuple of int, default ()
        Channels of the 1 x 1 convolution with tanh after each ReNet layer but the last; none if empty.
    unit : {"gru", "lstm", "tanh", "irnn"}, default "lstm"
        The recurrent unit.
    forget_bias : float, default 2.0
        First bias of the LSTM's forget gates.
    loss : {"sum", "mean"}, default "mean"
        Over the labelled pixels of an image.

    Raises
    ------
    ConfigError
        If a value is out of its range; the message has all of them.
    """

    title: ClassVar[str] = "N-ReNet"

    units: Annotated[tuple[Units, ...], Len(1, MAX_LAYERS)]
    unit: Unit = "lstm"
    loss: Loss = "mean"
    features: Annotated[
        tuple[Units, ...], MaxLen(MAX_LAYERS - 1), Check(_none_or_one_between_layers, ("units",))
    ] = ()
    forget_bias: float = 2.0


class NReNetNetwork(Network):
    """ReNet layers, class scores, bilinear enlargement to the size of the image.

    Parameters
    ----------
    config : NReNetConfig
        Sizes and variants.
    n_classes : int
        Number of classes K.
    rng : numpy.random.Generator
        Draws the first weights: uniform in the sweeps, normal in the 1 x 1 convolutions.
    channels : int, default 3
        Channels of the images.
    dtype : dtype, default float32
        Data type of the parameters, and so of the images.
    """

    def __init__(
        self,
        config: NReNetConfig,
        n_classes: int,
        rng: np.random.Generator,
        *,
        channels: int = 3,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.config, self.n_classes, self.stride = config, n_classes, prod(config.patches)
        self.reduction = config.loss
        even, normal = partial(init.uniform, limit=LIMIT), partial(init.normal, deviation=DEVIATION)
        linear = partial(Linear, weight=normal, rng=rng, dtype=dtype)

        def conv(k: int, channels: int) -> int:
            if k >= len(config.features):
                return channels
            self.convs.append(linear(channels, config.features[k]))
            return config.features[k]

        self.renet: list[ReNet] = []  # set before `convs`: files keep the parameters in this order
        self.convs: list[Linear] = []
        self.renet, channels = build_layers(
            config,
            channels,
            after=conv,
            forget_bias=config.forget_bias,
            weight=even,
            recurrent=even,
            rng=rng,
            dtype=dtype,
        )
        self.classify = linear(channels, n_classes)

    def layers(self, z: Tensor, step: Step, maps: Maps | None = None) -> Tensor:
        """Return scores of every pixel; maps are "renet1(V)" and "renet1(H)" for the sweeps, then "conv1"."""
        rows, columns = z.shape[1:3]
        for k, layer in enumerate(self.renet, start=1):
            z = run_layers([layer], z, maps, first=k)
            if k <= len(self.convs):
                z = tanh(self.convs[k - 1](z))
                if maps is not None:
                    maps[f"conv{k}"] = z.data
        z = self.classify(z)
        return bilinear_resize(z, rows, columns) if self.stride > 1 else z
