"""Losses, normalisations and optimizers against PyTorch in float64, where PyTorch is installed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lstm2d import Tensor, backward, ops
from lstm2d.training.adadelta import Adadelta
from lstm2d.training.sgd import SGD

torch: Any = pytest.importorskip("torch", exc_type=ImportError)
SHAPE = (2, 7, 9, 12)


def compare(
    ours: Callable[..., Tensor], theirs: Callable[..., Any], rng: np.random.Generator, *arrays: np.ndarray
) -> None:
    """Compare results and gradients; images are channel last here and channel first in PyTorch."""
    leaves = [Tensor(a, requires_grad=True) for a in arrays]
    twins = [torch.tensor(first(a), requires_grad=True) for a in arrays]
    y, t = ours(*leaves), theirs(*twins)
    grad = rng.standard_normal(y.shape)
    backward(y, grad)
    t.backward(torch.tensor(first(grad)))
    np.testing.assert_allclose(first(y.data), t.detach().numpy(), rtol=1e-10, atol=1e-10)
    for leaf, twin in zip(leaves, twins, strict=True):
        assert leaf.grad is not None
        np.testing.assert_allclose(first(leaf.grad), twin.grad.numpy(), rtol=1e-10, atol=1e-10)


def first(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(array, -1, 1)) if array.ndim == 4 else np.array(array)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("weighted", [True, False])
def test_cross_entropy(reduction: str, weighted: bool, rng: np.random.Generator) -> None:
    labels = rng.integers(0, 13, SHAPE[:3])
    labels[labels == 12] = 255
    weights = rng.random(12) if weighted else None
    compare(
        lambda x: ops.cross_entropy(x, labels, class_weights=weights, reduction=reduction),  # type: ignore[arg-type]
        lambda x: torch.nn.functional.cross_entropy(
            x,
            torch.tensor(labels),
            weight=None if weights is None else torch.tensor(weights),
            ignore_index=255,
            reduction=reduction,
        ),
        rng,
        5 * rng.standard_normal(SHAPE),
    )


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm(training: bool, rng: np.random.Generator) -> None:
    mean, var = rng.standard_normal(12), rng.random(12)
    twins = torch.tensor(mean), torch.tensor(var)
    compare(
        lambda x, *p: ops.batch_norm(x, mean, var, *p, training=training),
        lambda x, *p: torch.nn.functional.batch_norm(x, *twins, *p, training=training),
        rng,
        3 + rng.standard_normal(SHAPE),
        rng.random(12),
        rng.standard_normal(12),
    )
    np.testing.assert_allclose(mean, twins[0].numpy(), rtol=1e-12)
    np.testing.assert_allclose(var, twins[1].numpy(), rtol=1e-12)


@pytest.mark.parametrize(("size", "beta"), [(1, 1.0), (4, 0.5), (5, 0.75), (7, 0.6), (30, 0.75)])
def test_local_response_norm(size: int, beta: float, rng: np.random.Generator) -> None:
    compare(
        lambda x: ops.local_response_norm(x, size, alpha=0.5, beta=beta, k=2.0),
        lambda x: torch.nn.functional.local_response_norm(x, size, alpha=0.5, beta=beta, k=2.0),
        rng,
        rng.standard_normal(SHAPE),
    )


def test_l2_normalise(rng: np.random.Generator) -> None:
    compare(
        lambda x: ops.l2_normalise(x, 100),
        lambda x: 100 * torch.nn.functional.normalize(x.flatten(1)).view_as(x),
        rng,
        rng.standard_normal(SHAPE),
    )


def test_elementwise_and_shapes(rng: np.random.Generator) -> None:
    x = rng.standard_normal(SHAPE)
    compare(ops.relu, torch.relu, rng, x)
    compare(ops.sigmoid, torch.sigmoid, rng, x)
    compare(lambda *t: ops.concatenate(t), lambda *t: torch.cat(t, 1), rng, x, x[..., :5])
    pad = torch.nn.functional.pad
    compare(lambda t: ops.pad2d(t, (1, 2, 3, 4)), lambda t: pad(t, (3, 4, 1, 2)), rng, x)
    compare(
        lambda t: ops.pad2d(t, (6, 5, 4, 3), mode="reflect"),
        lambda t: pad(t, (4, 3, 6, 5), mode="reflect"),
        rng,
        x,
    )


@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
@pytest.mark.parametrize("name", ["sgd", "adadelta"])
def test_optimizers(name: str, weight_decay: float, rng: np.random.Generator) -> None:
    start = rng.standard_normal(5)
    ours, theirs = Tensor(start.copy(), requires_grad=True), torch.tensor(start, requires_grad=True)
    optimizer: SGD | Adadelta
    if name == "sgd":
        optimizer = SGD({"w": ours}, momentum=0.9, weight_decay=weight_decay)
        twin = torch.optim.SGD([theirs], lr=0.05, momentum=0.9, weight_decay=weight_decay)
    else:
        optimizer = Adadelta({"w": ours}, rho=0.95, eps=1e-6, weight_decay=weight_decay)
        twin = torch.optim.Adadelta([theirs], lr=0.05, rho=0.95, eps=1e-6, weight_decay=weight_decay)
    for time in range(40):
        grad = rng.standard_normal(5)
        ours.grad, theirs.grad = grad, torch.tensor(grad)
        optimizer.step(0.05, optimizer.gradient_norm(), time)
        twin.step()
    np.testing.assert_allclose(ours.data, theirs.detach().numpy(), rtol=1e-10)
