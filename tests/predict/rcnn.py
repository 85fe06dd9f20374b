"""A small recurrent convolutional network with random weights."""

from dataclasses import replace
from typing import Any

import numpy as np

from lstm2d.io.model_file import ModelFile
from lstm2d.models import build
from tests.predict.test_predictor import random_model

# fields of 5, 13 and 29 pixels and strides of 2, 4 and 8 for one, two and three instances
SECTION: dict[str, Any] = {
    "kind": "rcnn",
    "kernels": [2, 2],
    "channels": [5, 4],
    "pools": [2, 1],
    "instances": 3,
    "random_instances": False,
}


def rcnn_model(instances: int = 3, *, seed: int = 0, **changes: Any) -> ModelFile:
    """Return a model of 4 classes; the weights do not depend on the number of instances."""
    section = SECTION | {"instances": instances}
    network = build(section, 4, np.random.default_rng(seed))
    state = {name: 4 * values for name, values in network.state_dict().items()}
    rng = np.random.default_rng(0)
    return replace(random_model(rng), state=state, config={"model": section}, **changes)
