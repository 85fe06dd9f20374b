"""What the networks of ReNet layers share: options, building the layers, running them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Interval, MaxLen

from lstm2d.models.network import Maps
from lstm2d.models.options import MAX_LAYERS, Check, Loss, ModelConfig, Units
from lstm2d.nn import ReNet, Unit
from lstm2d.tensor import Tensor

Patch = Annotated[int, Interval(ge=1, le=64)]


def one_for_each_layer(values: tuple[int, ...], units: tuple[int, ...]) -> str:
    """Return how many values are expected, "" if there is one for each layer."""
    return "" if len(values) == len(units) else f"{len(units)} values: one for each of the layers in units"


LayerUnits = Annotated[tuple[Units, ...], MaxLen(MAX_LAYERS)]
LayerPatches = Annotated[tuple[Patch, ...], MaxLen(MAX_LAYERS), Check(one_for_each_layer, ("units",))]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReNetConfig(ModelConfig):
    """Options of all networks of ReNet layers.

    Parameters
    ----------
    units : tuple of int
        Hidden units of each direction, ReNet layer by ReNet layer.
    patches : tuple of int
        Side of the patches of each ReNet layer, in positions of the layer before.
    unit : {"gru", "lstm", "tanh", "irnn"}
        The recurrent unit.
    loss : {"sum", "mean"}
        Over the labelled pixels of an image.
    """

    units: LayerUnits
    patches: LayerPatches
    unit: Unit
    loss: Loss


def build_layers(
    config: ReNetConfig,
    channels: int,
    *,
    after: Callable[[int, int], int] = lambda _, channels: channels,
    **options: Any,
) -> tuple[list[ReNet], int]:
    """Build the ReNet layers of a network.

    Parameters
    ----------
    config : ReNetConfig
        Sizes and the recurrent unit.
    channels : int
        Channels of the input.
    after : callable, optional
        Called after each layer with its index and its channels, to build the next one; returns the channels
        of that.
    **options
        Of `ReNet`: how and with what the first weights are drawn.

    Returns
    -------
    layers : list of ReNet
        First to last.
    channels : int
        Channels of the output.
    """
    layers = []
    for k, (units, patch) in enumerate(zip(config.units, config.patches, strict=True)):
        layers.append(ReNet(channels, units, patch=patch, unit=config.unit, **options))
        channels = after(k, 2 * units)
    return layers, channels


def run_layers(layers: Sequence[ReNet], z: Tensor, maps: Maps | None, *, first: int = 1) -> Tensor:
    """Run ReNet layers one after the other.

    Parameters
    ----------
    layers : sequence of ReNet
        First to last.
    z : Tensor of shape (N, H, W, C)
        Input of the first.
    maps : dict or None
        Gets the hidden states of both sweeps of each layer: "renet1(V)", "renet1(H)" and so on.
    first : int, default 1
        Number of the first layer in those names.

    Returns
    -------
    Tensor of shape (N, rows, columns, channels)
        Hidden states of the last layer; the input if there is no layer.
    """
    for k, layer in enumerate(layers, start=first):
        vertical, z = layer.sweeps(z)
        if maps is not None:
            maps[f"renet{k}(V)"], maps[f"renet{k}(H)"] = vertical.data, z.data
        del vertical  # its memory serves the next layer
    return z
