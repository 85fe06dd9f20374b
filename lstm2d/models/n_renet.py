"""N-ReNet: LSTM ReNet layers on the pixels, without convolutions over space; Yan et al. 2016."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Literal

import numpy as np
from numpy.typing import DTypeLike

from lstm2d.errors import ConfigError
from lstm2d.models.network import Maps, Network, Step
from lstm2d.models.renet_options import layer_count, problems
from lstm2d.nn import Linear, ReNet, Unit, init
from lstm2d.ops import bilinear_resize, tanh
from lstm2d.tensor import Tensor

LIMIT = 0.2  # of the first weights of the sweeps (the authors' code)
DEVIATION = 0.1  # of those of the 1 x 1 convolutions (the authors' code)


@dataclass(frozen=True, kw_only=True, slots=True)
class NReNetConfig:
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

    units: tuple[int, ...]
    patches: tuple[int, ...]
    features: tuple[int, ...] = ()
    unit: Unit = "lstm"
    forget_bias: float = 2.0
    loss: Literal["sum", "mean"] = "mean"

    def __post_init__(self) -> None:
        wrong = problems(self.units, self.patches, self.unit, self.loss)
        if not self.units:
            wrong.append("units = (), expected one positive number for each layer")
        if self.features and (len(self.features) != len(self.units) - 1 or min(self.features) < 1):
            wrong.append(f"features = {self.features}, expected none, or one between two layers")
        if not np.isfinite(self.forget_bias):
            wrong.append(f"forget_bias = {self.forget_bias}, expected a finite number")
        if wrong:
            raise ConfigError("; ".join(wrong), where="N-ReNet")

    def count(self, channels: int, n_classes: int) -> int:
        """Return the number of trained values.

        Parameters
        ----------
        channels : int
            Channels of the images.
        n_classes : int
            Number of classes.

        Returns
        -------
        int
            Weights and biases.
        """
        total, inputs = 0, channels
        outputs = (*self.features, n_classes) if self.features else (*[0] * (len(self.units) - 1), n_classes)
        for units, patch, features in zip(self.units, self.patches, outputs, strict=True):
            total += layer_count(inputs, units, patch, self.unit)
            inputs = 2 * units
            if features:
                total += (inputs + 1) * features
                inputs = features
        return total


class NReNetNetwork(Network):
    """ReNet layers, class scores, bilinear enlargement to the size of the image.

    Parameters
    ----------
    config : NReNetConfig
        Sizes and variants.
    n_classes : int
        Number of classes K.
    rng : numpy.random.Generator
        Draws the first weights: those of the sweeps evenly, those of the 1 x 1 convolutions normal.
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
        draw, normal = partial(init.uniform, limit=LIMIT), partial(init.normal, deviation=DEVIATION)
        self.renet: list[ReNet] = []
        self.convs: list[Linear] = []
        for k, (units, patch) in enumerate(zip(config.units, config.patches, strict=True)):
            layer = ReNet(
                channels,
                units,
                patch=patch,
                unit=config.unit,
                forget_bias=config.forget_bias,
                weight=draw,
                recurrent=draw,
                rng=rng,
                dtype=dtype,
            )
            self.renet.append(layer)
            channels = 2 * units
            if k < len(config.features):
                self.convs.append(Linear(channels, config.features[k], weight=normal, rng=rng, dtype=dtype))
                channels = config.features[k]
        self.classify = Linear(channels, n_classes, weight=normal, rng=rng, dtype=dtype)

    def layers(self, z: Tensor, step: Step, maps: Maps | None = None) -> Tensor:
        """Return scores of every pixel; maps are "renet1(V)" and "renet1(H)" for the sweeps, then "conv1"."""
        rows, columns = z.shape[1:3]
        for k, layer in enumerate(self.renet, start=1):
            vertical, z = layer.sweeps(z)
            if maps is not None:  # else the memory of one layer is free for the next
                maps[f"renet{k}(V)"], maps[f"renet{k}(H)"] = vertical.data, z.data
            del vertical
            if k <= len(self.convs):
                z = tanh(self.convs[k - 1](z))
                if maps is not None:
                    maps[f"conv{k}"] = z.data
        z = self.classify(z)
        return bilinear_resize(z, rows, columns) if self.stride > 1 else z
