"""linear against hand values, finite differences, NumPy and every backend."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm2d import Tensor, backward, kernels
from lstm2d.errors import ShapeError
from lstm2d.ops import linear

BACKENDS = kernels.available("linear")


@pytest.mark.parametrize("backend", BACKENDS)
def test_values_by_hand(backend: str) -> None:
    x = Tensor(np.array([[[1.0, 2.0]], [[3.0, 4.0]]]), requires_grad=True)  # two images of one position
    weight = Tensor(np.array([[1.0, 0.0, 2.0], [0.0, 1.0, -1.0]]), requires_grad=True)
    bias = Tensor(np.array([10.0, 20.0, 30.0]), requires_grad=True)
    with kernels.use(backend):
        y = linear(x, weight, bias)
        backward(y, np.array([[[1.0, 0.0, 0.0]], [[0.0, 1.0, 2.0]]]))
    assert y.data.tolist() == [[[11.0, 22.0, 30.0]], [[13.0, 24.0, 32.0]]]
    assert x.grad is not None
    assert weight.grad is not None
    assert bias.grad is not None
    assert x.grad.tolist() == [[[1.0, 0.0]], [[4.0, -1.0]]]
    assert weight.grad.tolist() == [[1.0, 3.0, 6.0], [2.0, 4.0, 8.0]]
    assert bias.grad.tolist() == [1.0, 1.0, 2.0]


@settings(max_examples=80)
@given(
    positions=st.integers(1, 70) | st.integers(500, 1100),  # blocks of 512
    c_in=st.integers(1, 70) | st.integers(380, 800),  # tiles of 12 rows, sums cut after 384
    c_out=st.integers(1, 110),  # panels of 32 columns, the last one of any width
    with_bias=st.booleans(),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 2**32 - 1),
)
def test_products_of_any_shape(
    positions: int, c_in: int, c_out: int, with_bias: bool, dtype: type, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    shapes = [(2, positions, c_in), (c_in, c_out)] + with_bias * [(c_out,)]
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    leaves = [Tensor(a, requires_grad=True) for a in arrays]
    y = linear(*leaves)
    grad_y = rng.standard_normal(y.shape).astype(dtype)
    backward(y, grad_y)
    x, w, *b = (a.astype(np.float64) for a in arrays)
    g = grad_y.astype(np.float64)
    expected = [x @ w + sum(b), g @ w.T, np.einsum("npi,npo->io", x, g), g.sum((0, 1))]
    tolerance = 1e-5 if dtype is np.float32 else 1e-13
    for got, wanted in zip([y.data, *(leaf.grad for leaf in leaves)], expected, strict=False):
        assert got is not None
        np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance * (1 + np.abs(wanted).max()))


def test_nothing_is_recorded_for_constants() -> None:
    y = linear(Tensor(np.ones((2, 3))), Tensor(np.ones((3, 1))))
    assert y.node is None
    assert not y.requires_grad


@pytest.mark.parametrize(
    ("x", "weight", "bias", "text"),
    [
        ((2, 3), (4, 5), None, r"x \(2, 3\) does not fit weight \(4, 5\)"),
        ((2, 4), (4, 5), (4,), r"bias \(4,\) does not fit weight \(4, 5\)"),
        ((2, 4), (4,), None, r"does not fit weight \(4,\)"),
        ((), (4, 5), None, r"x \(\) does not fit"),
    ],
)
def test_wrong_shape(
    x: tuple[int, ...], weight: tuple[int, ...], bias: tuple[int, ...] | None, text: str
) -> None:
    tensors = [None if s is None else Tensor(np.zeros(s)) for s in (x, weight, bias)]
    assert tensors[0] is not None
    assert tensors[1] is not None
    with pytest.raises(ShapeError, match=text):
        linear(tensors[0], tensors[1], tensors[2])


@pytest.mark.parametrize("dtypes", [(np.float32, np.float64), (np.float16, np.float16), (np.int64, np.int64)])
def test_wrong_dtype(dtypes: tuple[type, type]) -> None:
    with pytest.raises(TypeError, match="all float32 or all float64"):
        linear(Tensor(np.zeros((1, 2), dtypes[0])), Tensor(np.zeros((2, 2), dtypes[1])))
