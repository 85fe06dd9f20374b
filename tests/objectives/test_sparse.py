"""The factor of sums over few labelled pixels, and the loss and its terms with it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm2d.models import Step, build
from lstm2d.objectives import Flat, Hierarchical, OnSubclasses
from lstm2d.objectives.sparse import factor_of, largest_factor
from lstm2d.tape import backward
from lstm2d.tensor import Tensor
from tests.objectives.test_hierarchical import PARENTS, WEIGHTS, fine_network, training_input
from tests.predict.test_predictor import SECTION

STEP = Step(seed=0, epoch=0, samples=(0,), training=True)


def test_by_hand() -> None:
    assert [largest_factor(share) for share in (1.0, 0.5, 0.25, 0.01)] == [1, 1, 2, 50]
    labels = np.full((1, 10, 10), 255)
    assert factor_of(labels, 50.0, ignore_index=255) == 1  # nothing to multiply
    labels[0, 0, 0] = 2
    assert factor_of(labels, 50.0, ignore_index=255) == 50
    assert factor_of(labels, 5.0, ignore_index=255) == 5  # fewer labels than usual: all pixels count the same
    labels[0, :2] = 1
    assert factor_of(labels, 50.0, ignore_index=255) == 2.5
    labels[0, :8] = 1
    assert factor_of(labels, 50.0, ignore_index=255) == 1
    assert factor_of(labels, 1.0, ignore_index=255) == 1


@given(st.floats(1e-4, 1), st.integers(0, 60))
def test_a_sum_never_exceeds_that_of_half_of_the_pixels(share: float, labelled: int) -> None:
    """Unless more are labelled, and then it is as it was."""
    labels = np.full(60, -1)
    labels[:labelled] = 0
    factor = factor_of(labels.reshape(1, 6, 10), largest_factor(share), ignore_index=-1)
    assert factor >= 1
    assert factor * labelled <= max(30 + 1e-9, labelled)


def test_loss_gradient_and_terms(rng: np.random.Generator) -> None:
    network = build(SECTION, 4, rng)
    x = rng.standard_normal((1, 9, 12, 3)).astype(np.float32)
    labels = np.full((1, 9, 12), 255)
    labels[0, 4, 5:8] = 1  # 3 of 108 pixels
    found = []
    for objective in (Flat(), Flat(largest_factor=4.0), Flat(largest_factor=100.0)):
        for parameter in network.parameters():
            parameter.grad = None
        loss = objective.loss(network, Tensor(x), labels, STEP)
        backward(loss, np.ones_like(loss.data))
        gradient = network.parameters()[0].grad
        assert gradient is not None
        found.append((float(loss.data), gradient.copy(), objective.terms(network, labels)))
    (plain, gradient, terms), *others = found
    assert terms == pytest.approx(3 / 9)
    for (loss_value, scaled, scaled_terms), factor in zip(others, (4, 18), strict=True):  # 54 / 3
        assert loss_value == pytest.approx(factor * plain, rel=1e-6)
        np.testing.assert_allclose(scaled, factor * gradient, rtol=1e-5, atol=1e-6)
        assert scaled_terms == pytest.approx(factor * terms)  # the loss per term is shown as it is


@pytest.mark.parametrize("kind", [OnSubclasses, Hierarchical])
def test_with_a_hierarchy(kind: type[OnSubclasses]) -> None:
    net = fine_network("lstm2d", mixed=True)
    z, labels = training_input(net)
    labels = np.where(np.arange(labels.size).reshape(labels.shape) % 9 == 0, np.maximum(labels, 0), -1)
    plain = kind(PARENTS, WEIGHTS)
    scaled = replace(plain, largest_factor=3.0)
    factor = factor_of(labels, 3.0, ignore_index=-1)
    assert factor == 3
    losses = [float(objective.loss(net, z, labels, STEP).data) for objective in (plain, scaled)]
    assert losses[1] == pytest.approx(3 * losses[0], rel=1e-6)
    assert scaled.terms(net, labels) == pytest.approx(3 * plain.terms(net, labels))
