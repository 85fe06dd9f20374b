"""Convolutions on a GPU, or the stand-in, each way that computes them."""

from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from lstm2d import kernels
from tests.kernels.cuda.compare import assert_agrees
from tests.ops.conv_cases import CASES, Case, Pair

# windows of a stride that shares a part with the dilation, or is a multiple of it, or the other way round
STRIDED: list[Case] = [
    ((2, 9, 13, 3), (3, 2, 4), (4, 2), (2, 1), (2, 4)),
    ((1, 21, 10, 2), (4, 3, 3), (3, 6), (1, 5), (6, 4)),
    ((2, 7, 8, 5), (1, 3, 2), (2, 1), (0, 1), (1, 3)),
]
BLOCKS: list[Case] = [  # copied patches of a few outputs at a time
    ((3, 5, 6, 3), (3, 2, 4), (1, 1), (1, 1), (1, 1)),
    ((2, 9, 8, 2), (2, 2, 3), (3, 4), (0, 0), (1, 1)),  # pixels that no output sees
    ((2, 7, 9, 2), (2, 3, 3), (2, 3), (0, 0), (1, 1)),
    ((1, 4, 5, 2), (3, 3, 3), (1, 2), (4, 3), (2, 1)),
]


def draw(
    case: Case, rng: np.random.Generator, dtype: str
) -> tuple[list[np.ndarray], tuple[Pair, Pair, Pair]]:
    """Return x, weight, a bias for either side, and a gradient of the results."""
    shape, (kh, kw, outputs), stride, padding, dilation = case
    size = [
        (shape[k + 1] + 2 * padding[k] - dilation[k] * ((kh, kw)[k] - 1) - 1) // stride[k] + 1 for k in (0, 1)
    ]
    shapes = [shape, (kh, kw, shape[3], outputs), (outputs,), (shape[3],), (shape[0], *size, outputs)]
    return [rng.standard_normal(s).astype(dtype) for s in shapes], (stride, padding, dilation)


def check(cp: ModuleType, case: Case, rng: np.random.Generator, dtype: str) -> None:
    (x, weight, bias, bias_in, grad_y), options = draw(case, rng, dtype)
    size = (x.shape[1], x.shape[2])
    assert_agrees(cp, "conv", "conv2d_forward", x, weight, bias, *options, "tanh")
    assert_agrees(cp, "conv", "conv2d_forward", x, weight, None, *options, None)
    assert_agrees(cp, "conv", "conv2d_adjoint", grad_y, weight, bias_in, size, *options, "relu")
    assert_agrees(cp, "conv", "conv2d_adjoint", grad_y, weight, None, size, *options, None)
    assert_agrees(cp, "conv", "conv2d_grad_weight", x, grad_y, weight.shape[:2], *options)


@pytest.mark.parametrize("case", CASES + STRIDED)
def test_agrees(cp: ModuleType, rng: np.random.Generator, case: Case) -> None:
    check(cp, case, rng, "float64")


@pytest.mark.parametrize("case", CASES[::5] + STRIDED)
def test_single_precision(cp: ModuleType, rng: np.random.Generator, case: Case) -> None:
    check(cp, case, rng, "float32")


@pytest.mark.parametrize("outputs", [1, 7, 33])
@pytest.mark.parametrize("case", BLOCKS)
def test_blocks_of_patches(
    cp: ModuleType, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, case: Case, outputs: int
) -> None:
    (_, _, _, c), (kh, kw, _), *_ = case
    module = import_module("lstm2d.kernels._cuda.conv")
    monkeypatch.setattr(module, "SCRATCH", outputs * kh * kw * c * 8 + 7)
    check(cp, case, rng, "float64")


def test_views(cp: ModuleType, rng: np.random.Generator) -> None:
    x = cp.asarray(rng.standard_normal((2, 8, 9, 6)))[:, ::-1, :, ::2]
    weight = cp.asarray(rng.standard_normal((3, 2, 4, 3))).transpose(0, 1, 3, 2)
    k = kernels.pick("conv", like=x)
    options: tuple[Any, ...] = ((2, 1), (1, 0), (1, 2))
    y = k.conv2d_forward(x, weight, None, *options)
    plain = x.get(), weight.get()
    with kernels.use("_reference"):
        reference = kernels.pick("conv", like=plain[0])
        expected = reference.conv2d_forward(*plain, None, *options)
        back = reference.conv2d_adjoint(expected[:, ::-1], plain[1], None, (8, 9), *options)
        grad = reference.conv2d_grad_weight(plain[0], expected[:, ::-1], (3, 2), *options)
    np.testing.assert_allclose(y.get(), expected, atol=1e-12)
    turned = y[:, ::-1]
    np.testing.assert_allclose(
        k.conv2d_adjoint(turned, weight, None, (8, 9), *options).get(), back, atol=1e-11
    )
    np.testing.assert_allclose(k.conv2d_grad_weight(x, turned, (3, 2), *options).get(), grad, atol=1e-11)
    assert x.get().tobytes() == plain[0].tobytes()


def test_types_must_agree(cp: ModuleType) -> None:
    x, weight = cp.zeros((1, 4, 4, 2), "float32"), cp.zeros((2, 2, 2, 3))
    with pytest.raises(TypeError, match="float32 or all float64"):
        kernels.pick("conv", like=x).conv2d_forward(x, weight, None, (1, 1), (0, 0), (1, 1))


def test_a_nan_reaches_only_what_sees_it(cp: ModuleType) -> None:
    x = np.zeros((1, 7, 7, 1))
    x[0, 3, 3] = np.nan
    device = cp.asarray(x)
    k = kernels.pick("conv", like=device)
    y = k.conv2d_forward(device, cp.asarray(np.ones((2, 2, 1, 1))), None, (1, 1), (0, 0), (1, 1)).get()
    assert np.argwhere(np.isnan(y[0, ..., 0])).tolist() == [[2, 2], [2, 3], [3, 2], [3, 3]]
