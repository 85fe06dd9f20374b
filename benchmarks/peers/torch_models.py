"""ReSeg, N-ReNet and H-ReNet in optimized plain PyTorch (autograd, no compiler): the peers.

Images and features are ``(N, H, W, C)``, as in the library. Optimizations:

- a feature map of one image is one array for all layers: a convolution sees it as channels last,
  ``(1, C, H, W)``, a sweep as ``(H, W, C)``, steps first along columns, sequences first along rows. Only
  `order` = "channels_first" copies between the two, and a sweep along the columns of several images;
- a sweep is one bidirectional nn.GRU, nn.LSTM or nn.RNN: the input product of all steps is one;
- ReLUs overwrite their input.

Every layer has the attribute name that it has in the library, so that `load` finds its weights.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

Array = NDArray[Any]
Arrays = dict[str, Array]
UPDATE = 1  # the GRU's update gate: PyTorch's is one minus the library's
RECURRENT: dict[str, tuple[type[nn.RNNBase], int, dict[str, str]]] = {  # unit: layer, gates, its options
    "gru": (nn.GRU, 3, {}),
    "lstm": (nn.LSTM, 4, {}),
    "tanh": (nn.RNN, 1, {"nonlinearity": "tanh"}),
    "irnn": (nn.RNN, 1, {"nonlinearity": "relu"}),
}


class Layer(Protocol):
    """A layer that converts from the library's order of axes."""

    def load(self, key: str, values: Array) -> None:
        """Set a parameter to the library's values."""

    def gradient(self, key: str) -> Array:
        """Return a parameter's gradient in the library's order of axes."""


class Filters:
    """Layer whose parameters are single tensors, in another order of axes than in the library."""

    axes: tuple[int, ...]  # of the library's weight, in PyTorch's order

    def load(self, key: str, values: Array) -> None:
        """Set a parameter to the library's values."""
        moved = values.transpose(self.axes) if key == "weight" else values
        getattr(self, key).data.copy_(torch.from_numpy(moved.copy()))

    def gradient(self, key: str) -> Array:
        """Return a parameter's gradient in the library's order of axes."""
        values = getattr(self, key).grad.cpu().numpy()
        return values.transpose(np.argsort(self.axes)) if key == "weight" else values


class Conv(Filters, nn.Conv2d):
    """A convolution."""

    axes = (3, 2, 0, 1)


class Transposed(Filters, nn.ConvTranspose2d):
    """A transposed convolution."""

    axes = (2, 3, 0, 1)


class Dense(Filters, nn.Linear):
    """A matrix applied to every position."""

    axes = (1, 0)


class Norm(nn.BatchNorm2d):
    """Batch normalisation without a scale."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=False)

    def load(self, key: str, values: Array) -> None:
        """Set a running statistic to the library's values."""
        getattr(self, f"running_{key}").copy_(torch.from_numpy(values))


class Sweep(nn.Module):
    """Both directions along one axis of ``(N, H, W, C)``; 0 along columns, 1 along rows."""

    def __init__(self, channels: int, units: int, axis: int, unit: str) -> None:
        super().__init__()
        layer, self.gates, options = RECURRENT[unit]
        self.unit, self.units, self.axis = unit, units, axis
        self.rnn = layer(channels, units, bidirectional=True, batch_first=axis == 1, **options)
        for suffix in ("", "_reverse"):  # the library has one bias
            bias = getattr(self.rnn, f"bias_hh_l0{suffix}")
            bias.data.zero_()
            bias.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the hidden states, ``(N, H, W, 2 * units)``."""
        n, height, width, channels = x.shape
        if self.axis == 1:
            y: Tensor = self.rnn(x.reshape(n * height, width, channels))[0]
            return y.view(n, height, width, -1)
        y = self.rnn(x.transpose(0, 1).reshape(height, n * width, channels))[0]
        return y.view(height, n, width, -1).transpose(0, 1)

    def load(self, key: str, values: Array) -> None:
        """Set a parameter to the library's values."""
        for d in range(2):
            self._part(key, d).data.copy_(torch.from_numpy(self._turned(values[d]).T.copy()))

    def gradient(self, key: str) -> Array:
        """Return a parameter's gradient in the library's order of axes."""
        return np.stack([self._turned(self._part(key, d).grad.cpu().numpy().T) for d in range(2)])

    def _part(self, key: str, direction: int) -> Tensor:
        name = {"weight": "weight_ih_l0", "recurrent": "weight_hh_l0", "bias": "bias_ih_l0"}[key]
        part: Tensor = getattr(self.rnn, name + ("_reverse" if direction else ""))
        return part

    def _turned(self, values: Array) -> Array:
        if self.unit == "gru":
            values = values.copy()
            values[..., UPDATE * self.units : (UPDATE + 1) * self.units] *= -1
        return values


class ReNet(nn.Module):
    """A sweep along the columns, then one along the rows."""

    def __init__(self, channels: int, units: int, patch: int, unit: str) -> None:
        super().__init__()
        self.patch = patch
        self.vertical = Sweep(channels * patch**2, units, 0, unit)
        self.horizontal = Sweep(2 * units, units, 1, unit)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(N, H / patch, W / patch, 2 * units)``."""
        p, (n, height, width, channels) = self.patch, x.shape
        if p > 1:
            x = x.reshape(n, height // p, p, width // p, p, channels).transpose(2, 3)
            x = x.reshape(n, height // p, width // p, p * p * channels)
        y: Tensor = self.horizontal(self.vertical(x))
        return y


class Network(nn.Module):
    """Base class of the networks."""

    def load(self, arrays: Mapping[str, Array]) -> None:
        """Load the library's weights, by name."""
        for name, values in arrays.items():
            layer, key = self._find(name)
            layer.load(key, values)

    def gradients(self, names: Iterator[str]) -> Arrays:
        """Return gradients in the library's order of axes, by name."""
        found = {}
        for name in names:
            layer, key = self._find(name)
            found[name] = layer.gradient(key)
        return found

    def _find(self, name: str) -> tuple[Layer, str]:
        path, _, key = name.rpartition(".")
        layer: Any = self.get_submodule(path)
        return layer, key

    def frozen(self, image: Tensor) -> Tensor:
        """Return the input of ``forward``, from images ``(N, H, W, 3)``."""
        return image

    def loss(self, z: Tensor, labels: Tensor, reduction: str) -> Tensor:
        """Return the cross-entropy of the images' pixels; `labels` (N, H, W)."""
        scores = self(z)
        return F.cross_entropy(scores.view(-1, scores.shape[3]), labels.view(-1), reduction=reduction)


class VGG(nn.Module):
    """VGG-16's convolutions, `channels` of each by name; `dense`: pool4 and pool5 keep the size."""

    def __init__(self, channels: Mapping[str, int], *, dense: bool) -> None:
        super().__init__()
        self.dense, inputs = dense, 3
        for name, outputs in channels.items():
            dilation = 2 if dense and name.startswith("conv5") else 1
            setattr(self, name, Conv(inputs, outputs, 3, padding=dilation, dilation=dilation))
            inputs = outputs

    def forward(self, x: Tensor, steps: Sequence[str]) -> Tensor:
        """Apply some steps, "conv1_1" to "pool5", to ``(N, C, H, W)``."""
        for name in steps:
            if name.startswith("conv"):
                x = torch.relu_(getattr(self, name)(x))
            elif self.dense and name in ("pool4", "pool5"):
                x = F.max_pool2d(x, 3, 1, 1)
            else:
                x = F.max_pool2d(x, 2)
        return x


class TorchReSeg(Network):
    """VGG-16 up to conv3_3, ReNet layers, transposed convolutions, scores."""

    def __init__(
        self, steps: Sequence[str], vgg: Mapping[str, int], units: tuple[int, ...], patches: tuple[int, ...],
        unit: str, channels: int, doublings: int, classes: int, order: str,
    ) -> None:  # fmt: skip
        super().__init__()
        self.format = torch.channels_last if order == "channels_last" else torch.contiguous_format
        self.steps, self.backbone, inputs = steps, VGG(vgg, dense=False), [*vgg.values()][-1]
        self.renet = nn.ModuleList()
        for u, patch in zip(units, patches, strict=True):
            self.renet.append(ReNet(inputs, u, patch, unit))
            inputs = 2 * u
        self.upsample = nn.ModuleList()
        for _ in range(doublings):
            self.upsample.append(Transposed(inputs, channels, 2, stride=2))
            inputs = channels
        self.classify = Dense(inputs, classes)
        self.to(memory_format=self.format)

    def frozen(self, image: Tensor) -> Tensor:
        """Return VGG-16's features, ``(N, H / 4, W / 4, 256)``."""
        with torch.no_grad():
            x = self.backbone(image.permute(0, 3, 1, 2).contiguous(memory_format=self.format), self.steps)
        return x.permute(0, 2, 3, 1).contiguous()

    def forward(self, z: Tensor) -> Tensor:
        """Return scores ``(N, H, W, classes)``."""
        for layer in self.renet:
            z = layer(z)
        x = z.permute(0, 3, 1, 2).contiguous(memory_format=self.format)
        for enlarge in self.upsample:
            x = torch.relu_(enlarge(x))
        y: Tensor = self.classify(x.permute(0, 2, 3, 1).contiguous())
        return y


class TorchNReNet(Network):
    """ReNet layers, 1 x 1 convolutions with tanh between them, scores enlarged to the size of the image."""

    def __init__(
        self, units: tuple[int, ...], patches: tuple[int, ...], features: tuple[int, ...], unit: str,
        classes: int, order: str,
    ) -> None:  # fmt: skip
        super().__init__()
        self.format = torch.channels_last if order == "channels_last" else torch.contiguous_format
        self.renet, self.convs, inputs = nn.ModuleList(), nn.ModuleList(), 3
        for k, (u, patch) in enumerate(zip(units, patches, strict=True)):
            self.renet.append(ReNet(inputs, u, patch, unit))
            inputs = 2 * u
            if k < len(features):
                self.convs.append(Dense(inputs, features[k]))
                inputs = features[k]
        self.classify = Dense(inputs, classes)

    def forward(self, z: Tensor) -> Tensor:
        """Return scores ``(N, H, W, classes)``."""
        size = z.shape[1:3]
        for k, layer in enumerate(self.renet):
            z = layer(z)
            if k < len(self.convs):
                z = torch.tanh(self.convs[k](z))
        x = self.classify(z).permute(0, 3, 1, 2).contiguous(memory_format=self.format)
        if x.shape[2:] != size:
            x = F.interpolate(x, size=size, mode="bilinear", align_corners=False)
        return x.permute(0, 2, 3, 1).contiguous()


class TorchHReNet(Network):
    """Dilated VGG-16, conv6 and conv7, ReNet layers on `sources`, scores enlarged to the image's size."""

    def __init__(
        self, steps: Sequence[str], trained: Sequence[str], vgg: Mapping[str, int],
        sources: Mapping[str, int], kernel: int, batch_norm: bool, relu_last: bool, align_corners: bool,
        units: tuple[int, ...], patches: tuple[int, ...], unit: str, classes: int, order: str,
    ) -> None:  # fmt: skip
        super().__init__()
        self.format = torch.channels_last if order == "channels_last" else torch.contiguous_format
        self.steps, self.trained, self.backbone = steps, trained, VGG(vgg, dense=True)
        wide = sources["conv7"]
        self.conv6 = Conv([*vgg.values()][-1], wide, 3, padding=12, dilation=12)
        self.conv7 = Conv(wide, wide, kernel, padding=kernel // 2)
        self.sources, self.align_corners = tuple(sources), align_corners
        self.relu_last = relu_last and batch_norm
        self.norms = nn.ModuleList(Norm(size) for size in sources.values()) if batch_norm else None
        self.renet, inputs = nn.ModuleList(), sum(sources.values())
        for u, patch in zip(units, patches, strict=True):
            self.renet.append(ReNet(inputs, u, patch, unit))
            inputs = 2 * u
        self.conv8 = Dense(inputs, classes)
        self.to(memory_format=self.format)

    def frozen(self, image: Tensor) -> Tensor:
        """Return the output of conv1 and conv2, ``(N, H / 4, W / 4, 128)``."""
        with torch.no_grad():
            x = self.backbone(image.permute(0, 3, 1, 2).contiguous(memory_format=self.format), self.steps)
        return x.permute(0, 2, 3, 1).contiguous()

    def forward(self, z: Tensor) -> Tensor:
        """Return scores ``(N, H, W, classes)``."""
        size = [4 * side for side in z.shape[1:3]]
        x, found = z.permute(0, 3, 1, 2).contiguous(memory_format=self.format), {}
        for name in self.trained:
            x = found[name] = self.backbone(x, (name,))
        x = self.conv7(torch.relu_(self.conv6(x)))
        found["conv7"] = x if self.relu_last else torch.relu_(x)
        parts = [found[name] for name in self.sources]
        if self.norms is not None:
            parts = [norm(part) for norm, part in zip(self.norms, parts, strict=True)]
            parts = [torch.relu(part) for part in parts] if self.relu_last else parts
        z = torch.cat([part.permute(0, 2, 3, 1) for part in parts], 3).contiguous()
        for layer in self.renet:
            z = layer(z)
        x = self.conv8(z).permute(0, 3, 1, 2).contiguous(memory_format=self.format)
        x = F.interpolate(x, size=size, mode="bilinear", align_corners=self.align_corners)
        return x.permute(0, 2, 3, 1).contiguous()
