"""N-ReNet: LSTM ReNet layers on the pixels, without convolutions over space; Yan et al. 2016."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Literal

import numpy as np
from numpy.typing import DTypeLike

from lstm2d.errors import ConfigError
from lstm2d.models.network import Network
from lstm2d.models.renet_options import layer_count, problems
from lstm2d.nn import Linear, ReNet, Unit, init
from lstm2d.ops import bilinear_resize, tanh
from lstm2d.tape import no_grad
from lstm2d.tensor import FloatArray, Tensor

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

    def scores(self, z: Tensor) -> Tensor:
        """Return class scores for every pixel.

        Parameters
        ----------
        z : Tensor of shape (N, H, W, channels)
            Normalised images; H and W are multiples of `stride`.

        Returns
        -------
        Tensor of shape (N, H, W, K)
            Input of the softmax.

        Raises
        ------
        ShapeError
            If the size of the images does not fit.
        """
        return self._layers(z)

    def feature_maps(self, x: Tensor) -> dict[str, FloatArray]:
        """Return what every layer answers to images.

        Parameters
        ----------
        x : Tensor of shape (N, H, W, channels)
            Normalised images; H and W are multiples of `stride`.

        Returns
        -------
        dict from str to ndarray of shape (N, rows, columns, channels of the layer)
            ``"renet1(V)"`` and ``"renet1(H)"`` for the two sweeps of a layer, ``"conv1"`` for a convolution
            after it, ..., ``"scores"``.

        Raises
        ------
        ShapeError
            If the size of the images does not fit.
        """
        maps: dict[str, FloatArray] = {}
        with no_grad():
            self._layers(x, maps)
        return maps

    def _layers(self, x: Tensor, maps: dict[str, FloatArray] | None = None) -> Tensor:
        """Return the scores, and put what every layer answers into `maps`."""
        rows, columns = x.shape[1:3]
        for k, layer in enumerate(self.renet, start=1):
            vertical, x = layer.sweeps(x)
            if maps is not None:  # else the memory of one layer is free for the next
                maps[f"renet{k}(V)"], maps[f"renet{k}(H)"] = vertical.data, x.data
            del vertical
            if k <= len(self.convs):
                x = tanh(self.convs[k - 1](x))
                if maps is not None:
                    maps[f"conv{k}"] = x.data
        x = self.classify(x)
        if self.stride > 1:
            x = bilinear_resize(x, rows, columns)
        if maps is not None:
            maps["scores"] = x.data
        return x
