"""Elementwise functions on a GPU, or the stand-in: precision of small values."""

from types import ModuleType

import numpy as np
import pytest

from lstm2d import kernels
from tests.kernels.cuda.compare import on_device


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["tanh", "sigmoid", "relu"])
def test_relative_error(cp: ModuleType, rng: np.random.Generator, name: str, dtype: str) -> None:
    x, g = (10 * rng.standard_normal((2, 300, 5))).astype(dtype)
    with kernels.use("_reference"):
        k = kernels.pick("elementwise", like=x)
        y = getattr(k, f"{name}_forward")(x)
        grad = getattr(k, f"{name}_backward")(y, g)
    tight = {"rtol": 1e-5 if dtype == "float32" else 1e-12, "atol": 1e-30}
    np.testing.assert_allclose(on_device(cp, "elementwise", f"{name}_forward", x), y, **tight)
    np.testing.assert_allclose(on_device(cp, "elementwise", f"{name}_backward", y, g), grad, **tight)


def test_types_must_agree(cp: ModuleType) -> None:
    k = kernels.pick("elementwise", like=cp.zeros(3, "float32"))
    with pytest.raises(TypeError, match="float32 or all float64"):
        k.tanh_backward(cp.zeros(3, "float32"), cp.zeros(3, "float64"))
