"""Layers of weights."""

import numpy as np
import pytest

from lstm2d.weights.store import Layers
from lstm2d.weights.vgg16 import LAYERS


@pytest.fixture
def layers(rng: np.random.Generator) -> Layers:
    """Return three layers of VGG-16 with random values, as they are stored."""
    return {
        name: (
            rng.standard_normal(LAYERS[name]).astype(np.float32),
            rng.standard_normal(LAYERS[name][3]).astype(np.float32),
        )
        for name in ("conv1_1", "conv1_2", "conv2_1")
    }
