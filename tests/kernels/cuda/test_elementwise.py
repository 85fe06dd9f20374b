"""Functions of single elements on a GPU, or the stand-in."""

from types import ModuleType

import numpy as np
import pytest

from lstm2d import kernels

SHAPES = [(), (0, 3), (1,), (7, 5), (2, 3, 4, 8), (300, 5)]


def reference(name: str, *arrays: np.ndarray) -> np.ndarray:
    with kernels.use("_reference"):
        return getattr(kernels.pick("elementwise", like=arrays[0]), name)(*arrays)


def on_device(cp: ModuleType, name: str, *arrays: np.ndarray) -> np.ndarray:
    device = [cp.asarray(a) for a in arrays]
    return getattr(kernels.pick("elementwise", like=device[0]), name)(*device).get()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["tanh", "sigmoid", "relu"])
def test_functions(cp: ModuleType, rng: np.random.Generator, name: str, shape: tuple, dtype: str) -> None:
    x, g = (10 * rng.standard_normal((2, *shape))).astype(dtype)
    x, g = np.asarray(x), np.asarray(g)
    y = reference(f"{name}_forward", x)
    tight = {"rtol": 1e-5 if dtype == "float32" else 1e-12, "atol": 1e-30}
    np.testing.assert_allclose(on_device(cp, f"{name}_forward", x), y, **tight)
    expected = reference(f"{name}_backward", y, g)
    np.testing.assert_allclose(on_device(cp, f"{name}_backward", y, g), expected, **tight)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "relu"])
def test_special_values(cp: ModuleType, name: str) -> None:
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e30, -1e30, -100.0], np.float32)
    np.testing.assert_allclose(
        on_device(cp, f"{name}_forward", x), reference(f"{name}_forward", x), rtol=1e-6, atol=0
    )


def test_views_are_understood(cp: ModuleType, rng: np.random.Generator) -> None:
    x = rng.standard_normal((6, 8))
    k = kernels.pick("elementwise", like=cp.asarray(x))
    np.testing.assert_allclose(k.tanh_forward(cp.asarray(x)[::2, 1::3]).get(), np.tanh(x[::2, 1::3]))


@pytest.mark.parametrize("shape", [(8,), (0, 4), (3, 5, 12), (2, 7, 9, 20)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_direction_sum(cp: ModuleType, rng: np.random.Generator, shape: tuple, dtype: str) -> None:
    x = rng.standard_normal(shape).astype(dtype)
    y = reference("direction_sum_forward", x)
    np.testing.assert_array_equal(on_device(cp, "direction_sum_forward", x), y)
    np.testing.assert_array_equal(
        on_device(cp, "direction_sum_backward", y), reference("direction_sum_backward", y)
    )


def test_types_must_agree(cp: ModuleType) -> None:
    k = kernels.pick("elementwise", like=cp.zeros(3, "float32"))
    with pytest.raises(TypeError, match="float32 or all float64"):
        k.tanh_backward(cp.zeros(3, "float32"), cp.zeros(3, "float64"))
