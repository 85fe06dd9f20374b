"""The convolutions of VGG-16: the first layers of several networks, with imported weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from lstm2d import kernels
from lstm2d.errors import ConfigError, ShapeError
from lstm2d.models.backbones.backbone import Backbone
from lstm2d.nn import Conv2d
from lstm2d.ops import conv2d, max_pool2d
from lstm2d.tape import records
from lstm2d.tensor import FloatArray, Tensor
from lstm2d.weights.vgg16 import STEPS
from lstm2d.weights.vgg16 import VGG16 as PUBLISHED

LAYERS: dict[str, int] = {n: shape[3] for n, shape in PUBLISHED.layers.items() if n in STEPS}  # channels
SCALED = 4  # the first block whose channels `width` changes
DILATED = 5  # the block after pool4, dilated if that keeps the size
TILE = 4  # rows of a tile of Winograd's algorithm
BAND = 16 * TILE  # rows of an image in one step of `conv_pool`


def channels_of(layer: str, width: float = 1.0) -> int:
    """Return the channels of a layer.

    Parameters
    ----------
    layer : str
        "conv1_1" to "conv5_3", or "pool1" to "pool5".
    width : float, default 1.0
        Factor of the channels of the blocks 4 and 5.

    Returns
    -------
    int
        1 or more.
    """
    block = int(layer[4])
    channels = LAYERS[f"conv{block}_1"]
    return channels if block < SCALED else max(1, round(width * channels))


class VGG16(Backbone):
    """The convolutions of VGG-16 [1]_ up to one of them: 3 x 3 with ReLU, max pooling after each block.

    Parameters
    ----------
    last : str
        The last step: a layer "conv1_1" to "conv5_3", or the max pooling after a block, "pool1" to "pool5".
    channels : int, default 3
        Channels of the images.
    dense : bool, default False
        Whether pool4 and pool5 keep the size: max pooling of 3 x 3 with stride 1, and conv5 dilated by 2.
    width : float, default 1.0
        Factor of the channels of the blocks 4 and 5.
    rng : numpy.random.Generator
        Draws the first weights, `init.glorot_uniform`.
    dtype : dtype, default float32
        Data type of the parameters.

    Attributes
    ----------
    steps : tuple of str
        The layers and the max pooling between them, first to last.
    names : tuple of str
        The layers among them. Each is an attribute: ``conv1_1`` and so on.
    stride : int
        Image pixels between two positions of the output; image sides must be multiples of it.
    channels : int
        Channels of the output.

    Raises
    ------
    ConfigError
        If there is no such step.

    Notes
    -----
    The published weights are for images in 0..255 minus the mean of each channel, here in the order red,
    green, blue.

    References
    ----------
    .. [1] K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
       ICLR 2015, configuration D.
    """

    published = PUBLISHED

    def __init__(
        self,
        last: str,
        *,
        channels: int = 3,
        dense: bool = False,
        width: float = 1.0,
        rng: np.random.Generator,
        dtype: DTypeLike = np.float32,
    ) -> None:
        if last not in STEPS:
            raise ConfigError(f"VGG-16 has no layer {last!r}", expected=", ".join(STEPS))
        self.steps = STEPS[: STEPS.index(last) + 1]
        self.names = tuple(name for name in self.steps if name in LAYERS)
        for name in self.names:
            outputs, dilation = channels_of(name, width), 2 if dense and int(name[4]) >= DILATED else 1
            layer = Conv2d(
                channels,
                outputs,
                3,
                padding=dilation,
                dilation=dilation,
                activation="relu",
                rng=rng,
                dtype=dtype,
            )
            setattr(self, name, layer)
            channels = outputs
        self._kept = ("pool4", "pool5") if dense else ()
        self.channels = channels
        self.stride = 2 ** sum(self._halves(name) for name in self.steps)

    def __call__(
        self,
        x: Tensor,
        maps: dict[str, FloatArray] | None = None,
        *,
        after: str | None = None,
        last: str | None = None,
    ) -> Tensor:
        """Return the activations of the last step.

        Parameters
        ----------
        x : Tensor of shape (N, H, W, channels)
            Images; H and W are multiples of `stride`. With `after`, the activations of that step.
        maps : dict, optional
            Gets the activations of every step, by name.
        after : str, optional
            The step before the first one to run; by default all steps run.
        last : str, optional
            The last step to run; by default the last one there is.

        Returns
        -------
        Tensor of shape (N, H / stride, W / stride, C)
            After the ReLU.

        Raises
        ------
        ShapeError
            If H or W is not such a multiple.
        """
        begin = 0 if after is None else self.steps.index(after) + 1
        end = len(self.steps) if last is None else self.steps.index(last) + 1
        ahead = 2 ** sum(self._halves(name) for name in self.steps[begin:])
        if x.data.ndim == 4 and (x.shape[1] % ahead or x.shape[2] % ahead):
            raise ShapeError(f"VGG-16: {x.shape[1]}x{x.shape[2]}", expected=f"multiples of {ahead}")
        steps = list(self.steps[begin:end])
        while steps:
            name = steps.pop(0)
            layer: Conv2d | None = getattr(self, name, None)
            if layer is None:
                x = max_pool2d(x, 3, stride=1, padding=1) if name in self._kept else max_pool2d(x, 2)
            elif (
                maps is None and steps and self._halves(steps[0]) and not records(x, layer.weight, layer.bias)
            ):
                x = conv_pool(layer, x)
                del steps[0]
            else:
                x = layer(x)
            if maps is not None:
                maps[name] = x.data
        return x

    def _halves(self, name: str) -> bool:
        return name not in LAYERS and name not in self._kept


class FullVGG16(VGG16):
    """VGG-16 without its last layer: the convolutions up to pool5, and fc6 and fc7 as convolutions.

    Calling it gives pool5; fc6 and fc7 are attributes, so that dropout can follow each.

    Parameters
    ----------
    channels : int, default 3
        Channels of the images.
    width : float, default 1.0
        Factor of the channels of conv4 to fc7.
    rng : numpy.random.Generator
        Draws the first weights, `init.glorot_uniform`.
    dtype : dtype, default float32
        Data type of the parameters.
    """

    fc6: Conv2d
    fc7: Conv2d

    def __init__(
        self,
        *,
        channels: int = 3,
        width: float = 1.0,
        rng: np.random.Generator,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__("pool5", channels=channels, width=width, rng=rng, dtype=dtype)
        for name in PUBLISHED.dense:
            side, _, _, published = PUBLISHED.layers[name]
            outputs = max(1, round(width * published))
            layer = Conv2d(
                self.channels, outputs, side, padding=side // 2, activation="relu", rng=rng, dtype=dtype
            )
            setattr(self, name, layer)
            self.channels = outputs
        self.names += tuple(PUBLISHED.dense)


def conv_pool(layer: Conv2d, x: Tensor) -> Tensor:
    """Run a layer and max pooling of 2 x 2 after it, without gradients.

    The image is processed in bands, so that the output of the layer, the largest array of the whole network,
    is never in memory as a whole.

    Parameters
    ----------
    layer : Conv2d
        3 x 3 with padding 1.
    x : Tensor of shape (N, H, W, C)
        Its input; H is even.

    Returns
    -------
    Tensor of shape (N, H / 2, W / 2, channels of the layer)
        Output of the max pooling.
    """
    n, rows, columns, _ = x.shape
    y = kernels.empty((n, rows // 2, columns // 2, layer.weight.shape[3]), x.dtype, like=x.data)
    for first in range(0, rows, BAND):
        last = min(first + BAND, rows)
        inner = first > 0 and last < rows
        # at an edge of the image the other end of the band is padded with zeros too: rows beyond that end are
        # computed as well and dropped, as many as a tile has, so that the tiles lie as in the whole image
        low, high = (first - 1, last + 1) if inner else (max(0, first - TILE), min(rows, last + 1))
        part = Tensor(x.data[:, low:high])
        padding = (0 if inner else 1, 1)
        output = conv2d(part, layer.weight, layer.bias, padding=padding, activation=layer.activation)
        start = 0 if inner else first - low
        wanted = Tensor(output.data[:, start : start + last - first])
        y[:, first // 2 : last // 2] = max_pool2d(wanted, 2).data
        del part, output, wanted  # their memory serves the next band
    return Tensor(y)
