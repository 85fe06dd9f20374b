"""Linear layers on a GPU, or the stand-in."""

from types import ModuleType

import numpy as np
import pytest

from lstm2d import kernels
from tests.kernels.cuda.compare import assert_agrees, on_device

# images, positions, channels in and out
CASES = [(2, 7, 5, 3), (1, 1, 1, 1), (3, 40, 8, 12), (0, 4, 3, 2), (2, 0, 3, 2), (2, 3, 0, 2), (2, 3, 4, 0)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
def test_agrees(
    cp: ModuleType, rng: np.random.Generator, case: tuple[int, int, int, int], dtype: str
) -> None:
    n, positions, c_in, c_out = case
    x = rng.standard_normal((n, positions, c_in)).astype(dtype)
    weight = rng.standard_normal((c_in, c_out)).astype(dtype)
    bias = rng.standard_normal(c_out).astype(dtype)
    grad_y = rng.standard_normal((n, positions, c_out)).astype(dtype)
    for activation in (None, "relu", "tanh"):
        assert_agrees(cp, "linear", "linear_forward", x, weight, bias, activation)
        assert_agrees(cp, "linear", "linear_forward", x, weight, None, activation)
    assert_agrees(cp, "linear", "linear_grad_x", grad_y, weight)
    assert_agrees(cp, "linear", "linear_grad_weight", x, grad_y)
    assert_agrees(cp, "linear", "linear_grad_bias", grad_y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_views(cp: ModuleType, rng: np.random.Generator, dtype: str) -> None:
    x, weight, bias, grad_y = (
        cp.asarray(rng.standard_normal(shape).astype(dtype)) for shape in ((4, 6, 9), (5, 3), (6,), (4, 6, 3))
    )
    x, weight, bias, grad_y = x[::2, ::-1, ::3], weight.T, bias[::-2], grad_y[::2, :, :]
    k = kernels.pick("linear", like=x)
    found = k.linear_forward(x, weight[:, 1:4], bias).get()
    plain = [a.get() for a in (x, weight[:, 1:4], bias, grad_y)]
    np.testing.assert_allclose(found, plain[0] @ plain[1] + plain[2], rtol=1e-5)
    back = k.linear_grad_x(grad_y, weight[:, 1:4]).get()
    np.testing.assert_allclose(back, plain[3] @ plain[1].T, rtol=1e-5, atol=1e-6)
    assert x.get().tobytes() == plain[0].tobytes()


def test_special_values(cp: ModuleType) -> None:
    x = np.array([[[np.nan], [-np.inf], [np.inf], [-0.0], [-2.0]]])
    y = on_device(cp, "linear", "linear_forward", x, np.ones((1, 1)), None, "relu")
    np.testing.assert_array_equal(y.ravel(), [np.nan, 0, np.inf, 0, 0])


def test_types_must_agree(cp: ModuleType) -> None:
    k = kernels.pick("linear", like=cp.zeros(1))
    x, weight = cp.zeros((1, 2, 3), "float32"), cp.zeros((3, 4), "float32")
    with pytest.raises(TypeError, match="float32 or all float64"):
        k.linear_forward(x, cp.zeros((3, 4)), None)
    with pytest.raises(TypeError, match="float32 or all float64"):
        k.linear_forward(x, weight, cp.zeros(4))


@pytest.mark.parametrize("positions", [127, 128, 129, 128 * 128 + 1])
def test_bias_gradient_is_summed_in_double(cp: ModuleType, positions: int) -> None:
    grad_y = np.full((1, positions, 2), 0.1, np.float32)
    grad_y[0, 0, 1] = 1e8  # beside it nothing would be left of the others in float32
    expected = grad_y.sum((0, 1), dtype=np.float64).astype(np.float32)
    found = on_device(cp, "linear", "linear_grad_bias", grad_y)
    assert found.tolist() == expected.tolist()
