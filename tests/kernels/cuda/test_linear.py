"""Linear layers on a GPU, or the stand-in."""

from types import ModuleType

import numpy as np
import pytest

from lstm2d import kernels
from tests.kernels.cuda.compare import on_device

# images, positions, channels in and out


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
    grad_y[0, 0, 1] = 1e8  # the others would be lost next to it in float32
    expected = grad_y.sum((0, 1), dtype=np.float64).astype(np.float32)
    found = on_device(cp, "linear", "linear_grad_bias", grad_y)
    assert found.tolist() == expected.tolist()
