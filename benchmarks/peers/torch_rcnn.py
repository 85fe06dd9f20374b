"""The one-pass form of a recurrent convolutional network in plain PyTorch: the peer."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F


class TorchRCNN:
    """Scores of every pixel after the last instance, from padded images (N, H, W, C).

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Parameters of the library's network, by name.
    pools : sequence of int
        Its pools.
    fields : sequence of (int, int)
        Size and stride of the field of each instance.
    last : bool
        Whether convolutions see channels last.
    """

    def __init__(
        self,
        arrays: Mapping[str, NDArray[Any]],
        pools: tuple[int, ...],
        fields: tuple[tuple[int, int], ...],
        *,
        last: bool,
    ) -> None:
        self.format = torch.channels_last if last else torch.contiguous_format
        self.pools, self.fields = pools, fields
        found = {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in arrays.items()}
        parts = [found[name] for name in ("first.planes", "first.image") if name in found]
        self.layers = [(self._filters(torch.cat(parts, dim=2)), found["first.bias"])]
        names = [*(f"convs.{k}" for k in range(len(pools) - 1)), "classify"]
        self.layers += [(self._filters(found[f"{n}.weight"]), found[f"{n}.bias"]) for n in names]
        self.planes = "first.planes" in found

    def _filters(self, weight: Tensor) -> Tensor:
        return weight.permute(3, 2, 0, 1).contiguous(memory_format=self.format)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the scores (N, rows, columns, K)."""
        image = x.permute(0, 3, 1, 2).contiguous(memory_format=self.format)
        dilation, scores = 1, None
        classes = len(self.layers[-1][1])
        for number, _ in enumerate(self.fields):
            z = image
            if scores is not None:
                size, stride = self.fields[number - 1]
                height, width = (n + stride - 1 for n in scores.shape[2:])
                begin = size // 2
                z = F.avg_pool2d(image[:, :, begin : begin + height, begin : begin + width], stride, 1)
            if self.planes:
                if scores is None:
                    scores = torch.zeros((len(z), classes, *z.shape[2:]), dtype=z.dtype)
                z = torch.cat([scores, z], dim=1).contiguous(memory_format=self.format)
            for (weight, bias), pool in zip(self.layers, self.pools, strict=False):
                z = F.conv2d(z, weight, bias, dilation=dilation)
                if pool > 1:
                    z = F.max_pool2d(z, pool, stride=1, dilation=dilation)
                    dilation *= pool
                z = torch.tanh_(z)
            scores = F.conv2d(z, *self.layers[-1], dilation=dilation)
        assert scores is not None
        return scores.permute(0, 2, 3, 1)
