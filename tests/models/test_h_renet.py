"""H-ReNet and FCN-LargeFOV: what each option computes, and their sizes."""

from typing import Any

import numpy as np
import pytest

from lstm2d import Tensor, backward, ops
from lstm2d.errors import ConfigError
from lstm2d.models import HReNetConfig, build
from lstm2d.models.network import Network
from tests.models.base import CLASSES, ModelTests

TINY = {"kind": "h-renet", "width": 1 / 64}


class TestFCNLargeFOV(ModelTests):
    rate, steps, grid = 0.003, 60, (2, 3, 4)

    def section(self) -> dict[str, Any]:
        return {**TINY, "units": [], "patches": []}


class HReNetTests(ModelTests):
    test_overfits_two_images = None  # type: ignore[assignment]  # takes long, and FCN-LargeFOV shows it

    def test_training_lowers_the_loss(self) -> None:
        net = self.build()
        x, labels = self.batch(2, 2, 3)
        losses = self.train(net, x, labels, 10)
        assert min(losses[-3:]) < 0.97 * losses[0]
        assert np.isfinite(net.probabilities(Tensor(x))).all()


class TestOneSource(HReNetTests):
    def section(self) -> dict[str, Any]:
        return {**TINY, "units": [6]}


class TestBatchNormalisation(HReNetTests):
    def section(self) -> dict[str, Any]:
        return {**TINY, "units": [5], "sources": ["conv7", "pool5", "pool4"], "normalisation": "batch"}


class TestL2Normalisation(HReNetTests):
    def section(self) -> dict[str, Any]:
        options = {"normalisation": "l2", "l2_scale": 100.0, "conv7_kernel": 1, "unit": "gru"}
        return {**TINY, "units": [5], "sources": ["pool5", "conv7"], **options}


class TestPool4AndPatchesAndRandomStart(HReNetTests):
    def section(self) -> dict[str, Any]:
        options = {"patches": [2], "unit": "tanh", "weights": "", "loss": "sum"}
        return {**TINY, "units": [6], "sources": ["pool4"], **options}


class TestIRNN(HReNetTests):
    def section(self) -> dict[str, Any]:
        return {**TINY, "units": [5], "unit": "irnn", "sources": ["pool5"]}
