"""The convolutions of Clarifai and OverFeat, without padding: the first layers of patch networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from lstm2d.models.backbones.backbone import Backbone
from lstm2d.nn import Conv2d
from lstm2d.ops import conv2d, local_response_norm, max_pool2d
from lstm2d.tensor import FloatArray, Tensor
from lstm2d.weights.five_layers import OVERFEAT, ZF
from lstm2d.weights.published import PublishedNetwork

NEIGHBOURS = 5  # channels of the response normalisation, with alpha 1e-4, beta 0.75 and k = 1
NAMES = tuple(ZF.layers)  # of both networks
Architecture = Literal["clarifai", "overfeat"]


class Block(NamedTuple):
    """What follows from a convolution: its stride, max pooling and response normalisation.

    Parameters
    ----------
    stride : int, default 1
        Of the convolution.
    pool : int, default 1
        Side of the windows of max pooling; 1 for none.
    pool_stride : int, default 1
        Distance between these windows.
    normalised : bool, default False
        Whether response normalisation comes last.
    """

    stride: int = 1
    pool: int = 1
    pool_stride: int = 1
    normalised: bool = False


@dataclass(frozen=True, slots=True)
class FiveLayers:
    """A network of five convolutions and two fully connected layers before the last one.

    Parameters
    ----------
    published : PublishedNetwork
        Filters of the convolutions.
    blocks : tuple of Block
        One for each convolution.
    fc_kernel : int
        Side of the filters of fc6.
    fc_channels : tuple of int
        Filters of fc6 and fc7.
    patch : int
        Side of the patches on which every filter and window fits.
    """

    published: PublishedNetwork
    blocks: tuple[Block, ...]
    fc_kernel: int
    fc_channels: tuple[int, int]
    patch: int

    @property
    def steps(self) -> list[tuple[str, int, int]]:
        """Name, side and stride of each convolution and max pooling, up to fc6."""
        found = []
        for name, block in zip(NAMES, self.blocks, strict=True):
            found.append((name, self.published.layers[name][0], block.stride))
            found += [(name.replace("conv", "pool"), block.pool, block.pool_stride)] * (block.pool > 1)
        return [*found, ("fc6", self.fc_kernel, 1)]

    @property
    def stride(self) -> int:
        """Pixels between the patches of neighbouring scores."""
        return int(np.prod([stride for _, _, stride in self.steps]))


ARCHITECTURES: dict[Architecture, FiveLayers] = {
    "clarifai": FiveLayers(
        ZF,
        (Block(2, 3, 2, True), Block(2, 3, 2, True), Block(), Block(), Block(1, 3, 2)),
        3,
        (4096, 4096),
        235,
    ),
    "overfeat": FiveLayers(
        OVERFEAT, (Block(4, 2, 2), Block(1, 2, 2), Block(), Block(), Block(1, 2, 2)), 3, (3072, 4096), 231
    ),
}


def misfit(architecture: Architecture, patch: int) -> str:
    """Check that every filter and window of a network fits on a patch, and that one score is left.

    Parameters
    ----------
    architecture : {"clarifai", "overfeat"}
        The network.
    patch : int
        Side of the patch in pixels.

    Returns
    -------
    str
        The expected size and the first step that does not fit; "" if all do.
    """
    expected, size = f"{ARCHITECTURES[architecture].patch}", patch
    for name, side, stride in ARCHITECTURES[architecture].steps:
        over = (size - side) % stride
        if size < side or over:
            end = f"does not end at the edge, {over} pixel{'s are' if over > 1 else ' is'} left over"
            problem = f"is larger than the {size}x{size} pixels before it" if size < side else end
            return f"{expected}: {name} of {side}x{side} with stride {stride} {problem}"
        size = (size - side) // stride + 1
    return "" if size == 1 else f"{expected}: the network has {size}x{size} scores for such a patch"


class FiveConvolutions(Backbone):
    """The five convolutions of a patch network with ReLU, max pooling and response normalisation.

    Parameters
    ----------
    architecture : {"clarifai", "overfeat"}
        The network.
    channels : int, default 3
        Channels of the images.
    width : float, default 1.0
        Factor of the channels of all layers.
    rng : numpy.random.Generator
        Draws the first weights, `init.glorot_uniform`.
    dtype : dtype, default float32
        Data type of the parameters.
    """

    def __init__(
        self,
        architecture: Architecture,
        *,
        channels: int = 3,
        width: float = 1.0,
        rng: np.random.Generator,
        dtype: DTypeLike = np.float32,
    ) -> None:
        network = ARCHITECTURES[architecture]
        self.published, self.names, self._blocks = network.published, NAMES, network.blocks
        self.channels = channels
        for name, block in zip(NAMES, network.blocks, strict=True):
            side, _, _, published = network.published.layers[name]
            outputs = max(1, round(width * published))
            conv = Conv2d(
                self.channels, outputs, side, stride=block.stride, activation="relu", rng=rng, dtype=dtype
            )
            setattr(self, name, conv)
            self.channels = outputs

    def stride_of(self, name: str) -> int:
        """Return the stride of a layer with the max pooling after it."""
        block = self._blocks[self.names.index(name)]
        return block.stride * block.pool_stride

    def __call__(
        self, x: Tensor, spacing: int, maps: dict[str, FloatArray] | None = None
    ) -> tuple[Tensor, int]:
        """Return the activations of the last step, every `spacing` pixels.

        Parameters
        ----------
        x : Tensor of shape (N, H, W, channels)
            Images.
        spacing : int
            A power of two up to the stride of the network. Filters and windows have their stride as far as
            this allows; beyond, the layers that follow are dilated.
        maps : dict, optional
            Gets the activations of every convolution and what follows it, by its name.

        Returns
        -------
        z : Tensor of shape (N, rows, columns, channels of the last layer)
            Its receptive fields begin at every `spacing`-th pixel.
        dilation : int
            Distance of the taps of the next layer's filters.
        """
        natural = actual = 1  # strides of the input: as published, and here
        for name, block in zip(self.names, self._blocks, strict=True):
            layer: Conv2d = getattr(self, name)
            after = min(natural * block.stride, spacing)
            x = conv2d(
                x,
                layer.weight,
                layer.bias,
                stride=after // actual,
                dilation=natural // actual,
                activation=layer.activation,
            )
            natural, actual = natural * block.stride, after
            if block.pool > 1:
                after = min(natural * block.pool_stride, spacing)
                x = max_pool2d(x, block.pool, stride=after // actual, dilation=natural // actual)
                natural, actual = natural * block.pool_stride, after
            if block.normalised:
                x = local_response_norm(x, NEIGHBOURS)
            if maps is not None:
                maps[name] = x.data
        return x, natural // actual
