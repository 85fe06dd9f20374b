"""The 2D-LSTM network of Byeon, Breuel, Raue and Liwicki, CVPR 2015."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt, Interval, Le, Len, MaxLen
from numpy.typing import DTypeLike, NDArray

from lstm2d.models.network import Maps, Network
from lstm2d.models.options import MAX_LAYERS, Check, ModelConfig, Retired, Units
from lstm2d.models.step import Step
from lstm2d.nn import LSTM2D, Linear, init
from lstm2d.ops import clip_normalise, cubic_resize, direction_sum, soft_cross_entropy, tanh, window_gather
from lstm2d.ops.windows import window_targets
from lstm2d.tensor import Tensor


def _one_between_layers(features: tuple[int, ...], units: tuple[int, ...]) -> str:
    layers = len(units)
    if len(features) == layers - 1:
        return ""
    return f"{layers - 1} values: one after each of the {layers} layers in units but the last"


@dataclass(frozen=True, kw_only=True, slots=True)
class LSTM2DConfig(ModelConfig):
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
    gate_clip : float, default 0.0
        Bound of the error of every gate and candidate, at every position of the backward scan; 0 for none.
    init : float, default 0.0
        Deviation of the first weights, biases and peepholes, which are normal; 0 for the first values of
        `lstm2d.nn.LSTM2D` and `lstm2d.nn.Linear`.
    forget_bias : tuple of float, default (0.0, 0.0)
        First bias of the forget gates x and y; the mean of it if `init` is not 0.

    Raises
    ------
    ConfigError
        If a value is out of its range; the message has all of them.
    """

    title: ClassVar[str] = "2D-LSTM network"
    retired: ClassVar[Mapping[str, Retired]] = {
        "error_clip": Retired(
            0.0,
            "it limited the gradient that enters a layer, which then still grows inside the scan; "
            "model.gate_clip limits it at every position",
        )
    }

    window: Annotated[int, Interval(ge=1, le=64)]
    units: Annotated[tuple[Units, ...], Len(1, MAX_LAYERS)]
    features: Annotated[tuple[Units, ...], MaxLen(MAX_LAYERS - 1), Check(_one_between_layers, ("units",))]
    feedforward: Literal["shared", "separate"] = "shared"
    peepholes: bool = True
    cell_scale: Annotated[float, Gt(0), Le(1)] = 1.0
    leaky: bool = False
    gate_clip: Annotated[float, Ge(0)] = 0.0
    init: Annotated[float, Ge(0)] = 0.0
    forget_bias: Annotated[tuple[float, ...], Len(2, 2)] = (0.0, 0.0)


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
        draw = partial(init.normal, deviation=config.init) if config.init else None
        self.lstm: list[LSTM2D] = []
        self.feedforward: list[Linear] = []
        inputs, (forget_x, forget_y) = channels * config.window**2, config.forget_bias
        for units, outputs in zip(config.units, (*config.features, n_classes), strict=True):
            layer = LSTM2D(
                inputs,
                units,
                peepholes=config.peepholes,
                cell_scale=config.cell_scale,
                leaky=config.leaky,
                gate_clip=config.gate_clip or None,
                forget_bias=(forget_x, forget_y),
                draw=draw,
                rng=rng,
                dtype=dtype,
            )
            self.lstm.append(layer)
            inner = units if shared else 4 * units
            linear = Linear(inner, outputs, weight=draw, first_bias=draw or init.zeros, rng=rng, dtype=dtype)
            self.feedforward.append(linear)
            inputs = outputs
        self.head_name = f"feedforward.{len(config.units) - 1}"

    def layers(self, z: Tensor, step: Step, maps: Maps | None = None) -> Tensor:
        """Return scores of every window; maps are "lstm1" (all four directions), "feedforward1" and so on."""
        z = window_gather(z, self.stride)  # (N, H / stride, W / stride, channels * stride^2)
        last = len(self.lstm)
        for k, (lstm, feedforward) in enumerate(zip(self.lstm, self.feedforward, strict=True), start=1):
            hidden = lstm(z)
            z = feedforward(direction_sum(hidden) if self.config.feedforward == "shared" else hidden)
            if k < last:
                z = tanh(z)
            if maps is not None:  # else the memory of one layer is free for the next
                maps[f"lstm{k}"] = hidden.data
                if k < last:
                    maps[f"feedforward{k}"] = z.data
        return z

    def compare(
        self,
        scores: Tensor,
        labels: NDArray[np.integer[Any]],
        class_weights: NDArray[np.floating[Any]] | None = None,
        *,
        ignore_index: int = 255,
    ) -> Tensor:
        """Return the cross-entropy with soft targets of the windows, summed over windows and images.

        Parameters
        ----------
        scores : Tensor of shape (N, H / stride, W / stride, K)
            Output of `scores`.
        labels : ndarray of int, shape (N, H, W)
            Classes of the pixels, or `ignore_index`.
        class_weights : ndarray of shape (K,), optional
            Factor of each class.
        ignore_index : int, default 255
            Marks pixels that do not count. The weight of a window is the share of its pixels that do.

        Returns
        -------
        Tensor of shape ()
            The loss.
        """
        targets, weight = window_targets(
            labels, self.stride, scores.shape[-1], ignore_index=ignore_index, class_weights=class_weights
        )
        return soft_cross_entropy(scores, targets, weight)

    def terms(self, labels: NDArray[np.integer[Any]], *, ignore_index: int = 255) -> float:
        """Return the number of labelled windows; a window that is labelled in part counts in part.

        Parameters
        ----------
        labels : ndarray of int, shape (N, H, W)
            Classes of the pixels, or `ignore_index`.
        ignore_index : int, default 255
            Marks pixels that do not count.

        Returns
        -------
        float
            Number of labelled pixels, divided by the pixels of a window.
        """
        return super().terms(labels, ignore_index=ignore_index) / self.stride**2

    def at_pixels(self, probabilities: Tensor, z: Tensor) -> Tensor:
        """Return probabilities at every pixel: those of the windows, resampled by cubic convolution."""
        return cubic_resize(probabilities, *z.shape[1:3]) if self.stride > 1 else probabilities

    def corrected(self, probabilities: Tensor) -> Tensor:
        """Return probabilities within [0, 1], which resampling can leave a little.

        Parameters
        ----------
        probabilities : ndarray of shape (N, H, W, K)
            Output of `at_pixels`.

        Returns
        -------
        Tensor of shape (N, H, W, K)
            Negative values are set to 0, and the rest is divided by its sum.
        """
        return clip_normalise(probabilities)
