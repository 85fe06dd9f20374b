"""Sums over a batch equal the sum over its images: losses bit by bit, gradients of linear layers closely."""

from dataclasses import replace

import numpy as np
import pytest

from lstm2d import Tensor, backward, ops
from lstm2d.selftest import CASES, Case, evaluate, typed
from lstm2d.tensor import FloatArray

LOSSES = [case for case in CASES if "cross_entropy" in case.op and "bits" in case.users]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda case: case.name)
def test_loss_of_a_batch_adds_images(loss: Case) -> None:
    (x,), arrays, _ = loss.values()

    def part(images: slice) -> dict[str, FloatArray]:
        chosen = {name: a if name == "class_weights" else a[images] for name, a in arrays.items()}
        return evaluate(
            replace(
                loss,
                options={**loss.options, "reduction": "sum"},
                arrays={name: lambda rng, a=a: a for name, a in chosen.items()},
                draw=lambda rng, shape: x[images],
            ),
            typed(np.float64),
        )

    total, alone = part(slice(None)), [part(slice(k, k + 1)) for k in range(len(x))]
    assert float(total["result"]) == sum(float(found["result"]) for found in alone)
    assert total["gradient 0"].tobytes() == b"".join(found["gradient 0"].tobytes() for found in alone)


@pytest.mark.parametrize(("c_in", "c_out"), [(12, 7), (30, 50), (270, 260)])  # the last one in strips
def test_parameter_gradients_of_linear(c_in: int, c_out: int, rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 48, 33, c_in)).astype(np.float32)  # 1584 positions: four blocks an image
    grad_y = rng.standard_normal((2, 48, 33, c_out)).astype(np.float32)

    def grads(images: slice) -> list[FloatArray]:
        parameters = [Tensor(np.ones(s, np.float32), requires_grad=True) for s in ((c_in, c_out), (c_out,))]
        backward(ops.linear(Tensor(x[images]), *parameters), grad_y[images])
        return [p.grad for p in parameters if p.grad is not None]

    for got, first, second in zip(grads(slice(0, 2)), grads(slice(0, 1)), grads(slice(1, 2)), strict=True):
        np.testing.assert_allclose(got, first + second, rtol=2e-6, atol=1e-3)
