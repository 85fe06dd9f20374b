"""Layers of weights."""

import numpy as np
import pytest

from lstm2d.weights.store import Layers
from lstm2d.weights.vgg16 import LAYERS
from tests.weights.torch_bytes import random_layers


@pytest.fixture
def layers(rng: np.random.Generator) -> Layers:
    """Return three layers of VGG-16 with random values, as they are stored."""
    return random_layers({name: LAYERS[name] for name in ("conv1_1", "conv1_2", "conv2_1")}, rng)
