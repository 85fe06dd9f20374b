"""A model to save, and a comparison of models."""

import dataclasses
from typing import Any

import numpy as np

from lstm2d.io.model_file import ClassInfo, ModelFile


def example(**changes: Any) -> ModelFile:
    rng = np.random.default_rng(1)
    state = {
        "layers.0.weight": rng.standard_normal((4, 3, 10)).astype(np.float32),
        "layers.0.bias": rng.standard_normal((4, 10)),
        "steps": np.array(7, dtype=np.int64),
        "empty": np.zeros((0, 3), np.float32),
    }
    model = ModelFile(
        state=state,
        preset="lstm2d-5x5",
        config={"model": {"window": 5, "units": [10, 20, 50]}, "train": {"learning_rate": 1e-6}},
        classes=(ClassInfo("sky", (135, 206, 235)), ClassInfo("Bäume <b>", (0, 0, 0))),
        mean=(120.5, 118.25, 0.1),
        std=(60.0, 61.0, 1e-3),
        ignore=255,
        library_version="0.1.0",
        seed=2**63 - 1,
        metrics={"pixel_accuracy": 0.75, "mean_iou": None},
        trained_on="Stanford Background, 572 images",
        terms="research",
    )
    return dataclasses.replace(model, **changes)


def assert_equal(a: ModelFile, b: ModelFile) -> None:
    for f in dataclasses.fields(ModelFile):
        if f.name != "state":
            assert getattr(a, f.name) == getattr(b, f.name), f.name
    assert a.state.keys() == b.state.keys()
    for name in a.state:
        assert a.state[name].dtype == b.state[name].dtype
        np.testing.assert_array_equal(a.state[name], b.state[name], strict=True)
