"""ReLU and tanh inside a convolution are the ops of these names."""

from collections.abc import Callable
from itertools import product
from typing import Literal

import numpy as np
import pytest

from lstm2d import Tensor, backward, kernels
from lstm2d.gradcheck import gradcheck
from lstm2d.ops import conv2d, conv_transpose2d, relu, tanh
from tests.ops.conv_cases import CASES, LARGE, Case, draw, fits, run

BACKENDS = kernels.available("conv")
ACTIVATIONS = {"relu": relu, "tanh": tanh}


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize(("case", "transposed"), list(product(CASES + LARGE, [False, True])))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_activation_is_the_op_of_that_name(
    activation: Literal["relu", "tanh"], case: Case, transposed: bool, dtype: type, rng: np.random.Generator
) -> None:
    if not fits(case, transposed=transposed):
        pytest.skip("nothing is left of the output")
    arrays = draw(case, rng, dtype)
    for bias in (True, False):
        outcomes = []
        for fused in (True, False):
            leaves = [Tensor(a, requires_grad=True) for a in (arrays if bias else arrays[:2])]
            x, weight, *rest = leaves
            inside = activation if fused else None
            y = run(case, x, weight, *(rest or [None]), transposed=transposed, activation=inside)
            if not fused:
                y = ACTIVATIONS[activation](y)
            backward(y, np.random.default_rng(3).standard_normal(y.shape).astype(dtype))
            outcomes.append([y.data, *(leaf.grad for leaf in leaves if leaf.grad is not None)])
        for a, b in zip(*outcomes, strict=True):
            assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("transposed", [False, True])
def test_activation_gradient(
    backend: str, activation: Literal["relu", "tanh"], transposed: bool, rng: np.random.Generator
) -> None:
    case = CASES[0] if transposed else CASES[1]
    arrays = draw(case, rng)
    with kernels.use(backend):
        gradcheck(
            lambda *leaves: run(case, *leaves, transposed=transposed, activation=activation), *arrays, rng=rng
        )


@pytest.mark.parametrize("op", [conv2d, conv_transpose2d])
def test_wrong_activation(op: Callable[..., Tensor]) -> None:
    x, weight = Tensor(np.zeros((1, 4, 4, 3))), Tensor(np.zeros((3, 3, 3, 5)))
    with pytest.raises(ValueError, match=r"activation 'sigmoid', expected None, 'relu' or 'tanh'"):
        op(x, weight, activation="sigmoid")
