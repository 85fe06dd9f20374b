"""VGG-16's convolutions: the layers in front of several networks, whose weights are imported."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import DTypeLike

from lstm2d.errors import ConfigError
from lstm2d.nn import Conv2d, Module
from lstm2d.ops import max_pool2d, relu
from lstm2d.tensor import FloatArray, Tensor

BLOCKS: tuple[tuple[int, int], ...] = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))  # layers, channels
LAYERS: dict[str, int] = {
    f"conv{block}_{layer}": channels
    for block, (layers, channels) in enumerate(BLOCKS, start=1)
    for layer in range(1, layers + 1)
}


class VGG16(Module):
    """The convolutions of VGG-16 [1]_ up to one of them: 3 x 3, each with ReLU, maxima between the blocks.

    Parameters
    ----------
    last : str
        The last layer, "conv1_1" to "conv5_3".
    channels : int, default 3
        Channels of the images.
    rng : numpy.random.Generator
        Draws the first weights, `init.glorot_uniform`.
    dtype : dtype, default float32
        Data type of the parameters.

    Attributes
    ----------
    names : tuple of str
        The layers, first to last. Each is an attribute: ``conv1_1`` and so on.
    stride : int
        Image pixels between two positions of the result; image sides must be multiples of it.
    channels : int
        Channels of the result.

    Raises
    ------
    ConfigError
        If there is no such layer.

    Notes
    -----
    The images are expected as the published weights want them: 0..255 minus the mean of each channel, here in
    the order red, green, blue.

    References
    ----------
    .. [1] K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
       ICLR 2015, configuration D.
    """

    def __init__(
        self, last: str, *, channels: int = 3, rng: np.random.Generator, dtype: DTypeLike = np.float32
    ) -> None:
        if last not in LAYERS:
            raise ConfigError(f"VGG-16 has no layer {last!r}", expected=", ".join(LAYERS))
        names = list(LAYERS)[: list(LAYERS).index(last) + 1]
        self.pools = {after for before, after in pairwise(names) if before[4] != after[4]}
        for name in names:
            setattr(self, name, Conv2d(channels, LAYERS[name], 3, padding=1, rng=rng, dtype=dtype))
            channels = LAYERS[name]
        self.names, self.channels, self.stride = tuple(names), channels, 2 ** len(self.pools)

    def __call__(self, x: Tensor, maps: dict[str, FloatArray] | None = None) -> Tensor:
        """Return what the last layer answers.

        Parameters
        ----------
        x : Tensor of shape (N, H, W, channels)
            Images; H and W are multiples of `stride`.
        maps : dict, optional
            Gets the answer of every layer, by name.

        Returns
        -------
        Tensor of shape (N, H / stride, W / stride, C)
            Behind the ReLU.
        """
        for name in self.names:
            if name in self.pools:
                x = max_pool2d(x, 2)
            x = relu(getattr(self, name)(x))
            if maps is not None:
                maps[name] = x.data
        return x
