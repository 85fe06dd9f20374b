"""Operations on tensors on a GPU, or the stand-in, give the same results as on the host."""

from types import ModuleType

import numpy as np

from lstm2d import Tensor, backward, kernels, ops


def test_a_map_of_zeros_stays_one(cp: ModuleType) -> None:
    x = Tensor(cp.zeros((2, 3, 3, 2)), requires_grad=True)
    x.data[0] = 1
    y = ops.l2_normalise(x)
    backward(y, cp.zeros(y.shape) + 1)
    assert x.grad is not None
    assert not kernels.to_host(y.data)[1].any()
    assert not kernels.to_host(x.grad)[1].any()


def test_a_gradient_is_added_to_what_is_there(cp: ModuleType) -> None:
    x = Tensor(cp.asarray(np.array([1.0, 2.0])), requires_grad=True)
    for _ in range(2):
        backward(ops.add(x, x), cp.asarray(np.array([10.0, 20.0])))
    assert x.grad is not None
    assert kernels.to_host(x.grad).tolist() == [40, 80]
