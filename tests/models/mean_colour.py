"""A small example network: mean colours of blocks, one hidden layer, class scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import DTypeLike

from lstm2d.models import Network
from lstm2d.models.network import Maps
from lstm2d.models.options import ModelConfig, Units
from lstm2d.models.step import Step
from lstm2d.nn import Linear
from lstm2d.ops import avg_pool2d, bilinear_resize, tanh
from lstm2d.tensor import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class MeanColourConfig(ModelConfig):
    """Side of the blocks in pixels, and hidden units."""

    title: ClassVar[str] = "mean colour"

    block: Annotated[int, Ge(1), Le(16)]
    units: Units = 4


class MeanColourNetwork(Network):
    """Scores of every block, enlarged to its pixels."""

    head_name = "classify"

    def __init__(
        self,
        config: MeanColourConfig,
        n_classes: int,
        rng: np.random.Generator,
        *,
        channels: int = 3,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.config, self.n_classes, self.stride = config, n_classes, config.block
        self.hidden = Linear(channels, config.units, rng=rng, dtype=dtype)
        self.classify = Linear(config.units, n_classes, rng=rng, dtype=dtype)

    def layers(self, z: Tensor, step: Step, maps: Maps | None = None) -> Tensor:
        hidden = tanh(self.hidden(avg_pool2d(z, self.stride)))
        if maps is not None:
            maps["hidden"] = hidden.data
        return bilinear_resize(self.classify(hidden), *z.shape[1:3])
