"""The 2D-LSTM network of Byeon, Breuel, Raue and Liwicki, CVPR 2015."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lstm2d import kernels
from lstm2d.errors import ConfigError
from lstm2d.models.network import Network
from lstm2d.nn import LSTM2D, Linear
from lstm2d.ops import cubic_resize, direction_sum, soft_cross_entropy, softmax, tanh, window_gather
from lstm2d.ops.windows import window_targets
from lstm2d.tape import no_grad
from lstm2d.tensor import FloatArray, Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class LSTM2DConfig:
    """Everything that decides the shape and the equations of the network.

    Parameters
    ----------
    window : int
        Side of the non-overlapping windows, in pixels.
    units : tuple of int
        Hidden units of each direction, layer by layer.
    features : tuple of int
        Size of the feedforward layer after each 2D-LSTM layer but the last.
    feedforward : {"shared", "separate"}, default "shared"
        Whether the four directions have one feedforward matrix together, or one each.
    peepholes : bool, default True
        Whether the gates see the cells.
    cell_scale : float, default 1.0
        Factor of both old cells in the new one; 1.0 is the paper.
    leaky : bool, default False
        Whether the new cell holds a weighted mean of the old ones instead of their sum.
    error_clip : float, default 0.0
        Largest absolute value of the gradient that enters a 2D-LSTM layer; 0 for no limit.
    forget_bias : tuple of float, default (0.0, 0.0)
        First bias of the forget gates x and y.

    Raises
    ------
    ConfigError
        If a value is out of its range; the message has all of them.
    """

    window: int
    units: tuple[int, ...]
    features: tuple[int, ...]
    feedforward: Literal["shared", "separate"] = "shared"
    peepholes: bool = True
    cell_scale: float = 1.0
    leaky: bool = False
    error_clip: float = 0.0
    forget_bias: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        wrong = []
        if self.window < 1:
            wrong.append(f"window = {self.window}, expected 1 or more pixels")
        if not self.units or min(self.units) < 1:
            wrong.append(f"units = {self.units}, expected one positive number for each layer")
        if len(self.features) != len(self.units) - 1 or min(self.features, default=1) < 1:
            wrong.append(f"features = {self.features}, expected one positive number between two layers")
        if self.feedforward not in ("shared", "separate"):
            wrong.append(f"feedforward = {self.feedforward!r}, expected 'shared' or 'separate'")
        if not 0 < self.cell_scale <= 1:
            wrong.append(f"cell_scale = {self.cell_scale}, expected above 0 and at most 1")
        if not 0 <= self.error_clip < np.inf:
            wrong.append(f"error_clip = {self.error_clip}, expected 0 (off) or more")
        if len(self.forget_bias) != 2 or not np.isfinite(self.forget_bias).all():
            wrong.append(f"forget_bias = {self.forget_bias}, expected two finite numbers")
        if wrong:
            raise ConfigError("; ".join(wrong), where="2D-LSTM network")

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
            Weights, peepholes and biases.
        """
        total, inputs = 0, channels * self.window**2
        directions = 4 if self.feedforward == "separate" else 1
        for units, outputs in zip(self.units, (*self.features, n_classes), strict=True):
            total += 20 * units * (inputs + 2 * units + 1 + int(self.peepholes))
            total += (directions * units + 1) * outputs
            inputs = outputs
        return total


class LSTM2DNetwork(Network):
    """Windows of pixels, then 2D-LSTM layers with feedforward layers after them, then class scores.

    Parameters
    ----------
    config : LSTM2DConfig
        Sizes and variants.
    n_classes : int
        Number of classes K.
    rng : numpy.random.Generator
        Draws the first weights.
    channels : int, default 3
        Channels of the images.
    dtype : dtype, default float32
        Data type of the parameters, and so of the images.

    Attributes
    ----------
    stride : int
        Side of a window: each has one vector of scores.
    """

    def __init__(
        self,
        config: LSTM2DConfig,
        n_classes: int,
        rng: np.random.Generator,
        *,
        channels: int = 3,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.config, self.n_classes, self.stride = config, n_classes, config.window
        shared = config.feedforward == "shared"
        self.lstm: list[LSTM2D] = []
        self.feedforward: list[Linear] = []
        inputs = channels * config.window**2
        for units, outputs in zip(config.units, (*config.features, n_classes), strict=True):
            layer = LSTM2D(
                inputs,
                units,
                peepholes=config.peepholes,
                cell_scale=config.cell_scale,
                leaky=config.leaky,
                error_clip=config.error_clip or None,
                forget_bias=config.forget_bias,
                rng=rng,
                dtype=dtype,
            )
            self.lstm.append(layer)
            self.feedforward.append(Linear(units if shared else 4 * units, outputs, rng=rng, dtype=dtype))
            inputs = outputs

    def scores(self, z: Tensor) -> Tensor:
        """Return class scores for every window.

        Parameters
        ----------
        z : Tensor of shape (N, H, W, channels)
            Normalised images; H and W are multiples of `stride`.

        Returns
        -------
        Tensor of shape (N, H / stride, W / stride, K)
            Input of the softmax.

        Raises
        ------
        ShapeError
            If the size of the images does not fit.
        """
        return self._layers(z)

    def loss(
        self,
        z: Tensor,
        labels: NDArray[np.integer[Any]],
        class_weights: NDArray[np.floating[Any]] | None = None,
        *,
        ignore_index: int = 255,
    ) -> Tensor:
        """Return the cross-entropy with probabilistic target coding, summed over windows and images.

        Parameters
        ----------
        z : Tensor of shape (N, H, W, channels)
            Normalised images; H and W are multiples of `stride`.
        labels : ndarray of int, shape (N, H, W)
            Classes of the pixels, or `ignore_index`.
        class_weights : ndarray of shape (K,), optional
            Factor of each class.
        ignore_index : int, default 255
            Marks pixels that do not count. A window counts as much as the share of its pixels that do.

        Returns
        -------
        Tensor of shape ()
            The loss.

        Raises
        ------
        ShapeError
            If the sizes do not fit.
        ValueError
            If a label is neither a class nor `ignore_index`.
        """
        targets, weight = window_targets(
            labels, self.stride, self.n_classes, ignore_index=ignore_index, class_weights=class_weights
        )
        return soft_cross_entropy(self.scores(z), targets, weight)

    def terms(self, labels: NDArray[np.integer[Any]], *, ignore_index: int = 255) -> float:
        """Return how many windows are labelled; one that is in part counts in part.

        Parameters
        ----------
        labels : ndarray of int, shape (N, H, W)
            Classes of the pixels, or `ignore_index`.
        ignore_index : int, default 255
            Marks pixels that do not count.

        Returns
        -------
        float
            Labelled pixels by the pixels of a window.
        """
        return super().terms(labels, ignore_index=ignore_index) / self.stride**2

    def probabilities_from(self, z: Tensor) -> FloatArray:
        """Return class probabilities for every pixel: those of the windows, resampled by cubic convolution.

        Parameters
        ----------
        z : Tensor of shape (N, H, W, channels)
            Normalised images; H and W are multiples of `stride`.

        Returns
        -------
        ndarray of shape (N, H, W, K)
            In [0, 1], with a sum of 1 at every pixel: resampling can leave that range a little, so negative
            values are set to 0 and the rest divided by their sum.

        Raises
        ------
        ShapeError
            If the size of the images does not fit.
        """
        with no_grad():
            windows = softmax(self.scores(z))
            pixels = cubic_resize(windows, *z.shape[1:3]) if self.stride > 1 else windows
        result: FloatArray = kernels.pick("softmax", like=pixels.data).clip_normalise(pixels.data)
        return result

    def feature_maps(self, x: Tensor) -> dict[str, FloatArray]:
        """Return what every layer answers to images.

        Parameters
        ----------
        x : Tensor of shape (N, H, W, channels)
            Normalised images; H and W are multiples of `stride`.

        Returns
        -------
        dict from str to ndarray of shape (N, H / stride, W / stride, channels of the layer)
            In this order ``"lstm1"`` (the four directions, 4 * units channels), ``"feedforward1"``, then
            ``"lstm2"`` and so on, last ``"scores"``. The paper's figure 2 shows the feedforward layers.

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
        x = window_gather(x, self.stride)  # (N, H / stride, W / stride, channels * stride^2)
        last = len(self.lstm)
        for k, (lstm, feedforward) in enumerate(zip(self.lstm, self.feedforward, strict=True), start=1):
            hidden = lstm(x)
            x = feedforward(direction_sum(hidden) if self.config.feedforward == "shared" else hidden)
            if k < last:
                x = tanh(x)
            if maps is not None:  # else the memory of one layer is free for the next
                maps[f"lstm{k}"] = hidden.data
                maps[f"feedforward{k}" if k < last else "scores"] = x.data
        return x
