"""Sums over positions and channels on a GPU, or the stand-in, against the reference."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from lstm2d import kernels

SHAPES = [(1, 1, 1), (2, 50, 3), (1, 131, 40), (3, 65, 33), (1, 3, 150), (0, 4, 3), (2, 0, 3), (2, 3, 0)]
TYPES = ["float32", "float64"]


def agree(cp: ModuleType, dtype: str, name: str, *args: Any) -> None:
    """Compare what a function gives on the device with what the reference gives."""
    with kernels.use("_reference"), np.errstate(invalid="ignore"):
        expected = getattr(kernels.pick("norm", like=args[0]), name)(*args)
    device = [cp.asarray(a) if isinstance(a, np.ndarray) else a for a in args]
    got = getattr(kernels.pick("norm", like=device[0]), name)(*device)
    several = isinstance(expected, tuple)
    for value, wanted in zip(got if several else [got], expected if several else [expected], strict=True):
        assert (value.shape, value.dtype) == (wanted.shape, wanted.dtype)
        tight = {"rtol": 1e-4, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-11, "atol": 1e-12}
        np.testing.assert_allclose(value.get(), wanted, **tight)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", [s for s in SHAPES if 0 not in s])
def test_moments(cp: ModuleType, rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> None:
    agree(cp, dtype, "channel_moments", (100 + rng.standard_normal(shape)).astype(dtype))


def test_moments_of_many_rows(cp: ModuleType) -> None:
    norm = kernels.pick("norm", like=cp.zeros(1))
    rows = norm.CHUNK * norm.MAX_CHUNKS + 3  # so that each thread takes more of them
    x = np.zeros((1, rows, 1), np.float32)
    x[0, :3], x[0, -1] = 1, rows
    mean, var = norm.channel_moments(cp.asarray(x))
    assert mean.get()[0] == pytest.approx((3 + rows) / rows, rel=1e-12)
    np.testing.assert_allclose(var.get(), x.var(dtype=np.float64), rtol=1e-12)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_functions_of_channels(
    cp: ModuleType, rng: np.random.Generator, shape: tuple[int, ...], dtype: str
) -> None:
    x, y = rng.standard_normal((2, *shape)).astype(dtype)
    factors = rng.standard_normal((4, shape[2])).astype(dtype)
    agree(cp, dtype, "channel_products", x, y, factors[0])
    agree(cp, dtype, "channel_affine", x, *factors[:3])
    agree(cp, dtype, "channel_combine", x, y, *factors)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", [(1,), (3, 7), (2, 5, 6, 4), (1, 20000), (2, 33000), (0, 3), (2, 0, 3)])
def test_image_products(cp: ModuleType, rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> None:
    x, y = rng.random((2, *shape)).astype(dtype)
    agree(cp, dtype, "image_products", x, y)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("size", "beta"), [(1, 1.0), (2, 0.5), (5, 0.75), (41, 2.0)])
def test_response_norm(
    cp: ModuleType, rng: np.random.Generator, shape: tuple[int, ...], size: int, beta: float, dtype: str
) -> None:
    x, grad_y = rng.standard_normal((2, *shape)).astype(dtype)
    agree(cp, dtype, "response_norm_forward", x, size, 0.7, beta, 1.5)
    agree(cp, dtype, "response_norm_backward", x, grad_y, size, 0.7, beta, 1.5)


def test_views_are_understood(cp: ModuleType, rng: np.random.Generator) -> None:
    x = rng.standard_normal((4, 9, 6))
    norm = kernels.pick("norm", like=cp.zeros(1))
    mean, var = norm.channel_moments(cp.asarray(x)[::2, ::-1, 1::2])
    np.testing.assert_allclose(mean.get(), x[::2, :, 1::2].mean((0, 1)), rtol=1e-12)
    np.testing.assert_allclose(var.get(), x[::2, :, 1::2].var((0, 1)), rtol=1e-12)


def test_nan_is_seen(cp: ModuleType) -> None:
    x = np.ones((1, 4, 3))
    x[0, 2, 1] = np.nan
    norm = kernels.pick("norm", like=cp.zeros(1))
    assert np.isnan(norm.channel_moments(cp.asarray(x))[1].get()).tolist() == [False, True, False]
    assert np.isnan(norm.image_products(cp.asarray(x), cp.asarray(x)).get()).all()
    y = norm.response_norm_forward(cp.asarray(x), 1, 1.0, 0.75, 1.0).get()
    assert np.isnan(y).sum() == 1
