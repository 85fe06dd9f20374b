"""Objectives of networks that score subclasses: values, gradients, and what validation sees."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import log_softmax

from lstm2d import Tensor
from lstm2d.gradcheck import gradcheck
from lstm2d.models import Network, RCNNNetwork
from lstm2d.models.subclasses import scoring_classes
from lstm2d.objectives import Hierarchical, OnSubclasses
from lstm2d.tensor import FloatArray
from tests.models.subclasses import (
    CLASSES,
    NAMES,
    PARENTS,
    TRAINING,
    fine_network,
    image,
    training_input,
)

WEIGHTS = np.array([1.0, 2.0, 0.5])


def shares(labels: NDArray[Any], window: int, count: int) -> FloatArray:
    """Return the share of each label in windows, among the labels that are not negative."""
    n, height, width = labels.shape
    found = np.zeros((n, height // window, width // window, count))
    for b, row, column in np.ndindex(found.shape[:3]):
        here = labels[b, row * window : (row + 1) * window, column * window : (column + 1) * window]
        for label in here[here >= 0]:
            found[b, row, column, label] += 1 / window**2
    return found


def by_hand(net: Network, scores: FloatArray, labels: NDArray[Any], weights: FloatArray) -> float:
    """Return a loss from targets written out: those of each pixel, cell and instance, or window."""
    if isinstance(net, RCNNNetwork):
        labels = labels.repeat(scores.shape[2] // labels.shape[2], axis=2)
    window = labels.shape[1] // scores.shape[1]
    targets = weights * shares(labels, window, scores.shape[-1])
    total = -(targets * log_softmax(scores, axis=-1)).sum()
    return float(total / targets.sum() if net.reduction == "mean" else total)


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_by_hand(name: str) -> None:
    net = fine_network(name, mixed=True)
    z, labels = training_input(net)
    scores = net.scores(z, TRAINING).data
    assert net.membership is not None
    classes = np.where(labels < 0, -1, PARENTS[labels])
    fine = by_hand(net, scores, labels, WEIGHTS[PARENTS])
    coarse = by_hand(net, scores @ net.membership.weight.data, classes, WEIGHTS)
    on_subclasses = OnSubclasses(PARENTS, WEIGHTS).loss(net, z, labels, TRAINING)
    both = Hierarchical(PARENTS, WEIGHTS, alpha=0.7).loss(net, z, labels, TRAINING)
    assert float(on_subclasses.data) == pytest.approx(fine, rel=1e-6)  # targets of windows are float32
    assert float(both.data) == pytest.approx(fine + 0.7 * coarse, rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_gradient_of_the_joint_loss(name: str, rng: np.random.Generator) -> None:
    """By finite differences, for every parameter outside of a backbone, the membership among them."""
    net = fine_network(name, mixed=True)
    z, labels = training_input(net)
    if net.backbone is not None:
        net.backbone.freeze()  # it has many filters; its gradient is checked without subclasses
    trained = {key: p.data.copy() for key, p in net.named_parameters() if p.requires_grad}
    assert "membership.weight" in trained
    objective = Hierarchical(PARENTS, WEIGHTS, alpha=0.7)

    def loss(*tensors: Tensor) -> Tensor:
        for key, tensor in zip(trained, tensors, strict=True):
            part, _, attribute = key.rpartition(".")
            setattr(net.get_submodule(part), attribute, tensor)
        return objective.loss(net, z, labels, TRAINING)

    gradcheck(loss, *trained.values(), rng=rng, eps=1e-8, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_validation_sees_classes(name: str) -> None:
    net = fine_network(name, mixed=True)
    x = image(net)
    found = Hierarchical(PARENTS).probabilities(net, net.frozen(x))
    with scoring_classes(net):
        assert found.tobytes() == net.probabilities(x).tobytes()

    net = fine_network(name)
    z = net.frozen(image(net))
    fine = net.probabilities_from(z)
    summed = np.stack([fine[..., k == PARENTS].sum(axis=-1) for k in range(CLASSES)], axis=-1)
    np.testing.assert_allclose(OnSubclasses(PARENTS).probabilities(net, z), summed, rtol=1e-12)


def test_terms_are_those_of_the_labelled_pixels() -> None:
    labels = np.array([[[0, -1, 5], [3, 3, 3], [-1, -1, 1]]], np.int32)
    assert Hierarchical(PARENTS).terms(fine_network("lstm2d"), labels) == pytest.approx(6 / 9)
    assert OnSubclasses(PARENTS).terms(fine_network("n-renet"), labels) == 1
