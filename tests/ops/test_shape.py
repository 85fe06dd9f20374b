"""concatenate, crop, pad2d, reshape and transpose against hand values, NumPy and finite differences."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm2d import Tensor, backward
from lstm2d.errors import ShapeError
from lstm2d.gradcheck import gradcheck
from lstm2d.ops import concatenate, crop, pad2d, reshape, transpose


def test_concatenate_by_hand() -> None:
    a = Tensor(np.array([[1.0], [2.0]]), requires_grad=True)
    b = Tensor(np.array([[3.0, 4.0], [5.0, 6.0]]), requires_grad=True)
    y = concatenate([a, b])
    backward(y, np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    assert y.data.tolist() == [[1, 3, 4], [2, 5, 6]]
    assert a.grad is not None
    assert b.grad is not None
    assert a.grad.tolist() == [[1], [4]]
    assert b.grad.tolist() == [[2, 3], [5, 6]]


def test_concatenate_a_tensor_with_itself() -> None:
    x = Tensor(np.array([1.0]), requires_grad=True)
    backward(concatenate([x, x]), np.array([2.0, 5.0]))
    assert x.grad is not None
    assert x.grad.tolist() == [7.0]


def test_concatenate_wrong() -> None:
    with pytest.raises(ShapeError, match=r"\(2, 1\), \(3, 1\)"):
        concatenate([Tensor(np.zeros((2, 1))), Tensor(np.zeros((3, 1)))])
    with pytest.raises(ShapeError, match="nothing"):
        concatenate([])
    with pytest.raises(ShapeError, match=r"\(\)"):
        concatenate([Tensor(np.array(1.0))])
    with pytest.raises(TypeError, match="float32, float64"):
        concatenate([Tensor(np.zeros(1, np.float32)), Tensor(np.zeros(1))])


def test_crop_by_hand() -> None:
    x = Tensor(np.arange(12.0).reshape(1, 3, 4, 1), requires_grad=True)
    y = crop(x, top=1, left=2, height=2, width=1)
    backward(y, np.array([7.0, 8.0]).reshape(y.shape))
    assert y.data.ravel().tolist() == [6, 10]
    assert y.data.flags.c_contiguous
    assert x.grad is not None
    assert x.grad.reshape(3, 4).tolist() == [[0, 0, 0, 0], [0, 0, 7, 0], [0, 0, 8, 0]]


@pytest.mark.parametrize("box", [(0, 0, 6, 1), (0, 7, 1, 1), (-1, 0, 2, 2), (0, 0, 2, -1)])
def test_crop_wrong(box: tuple[int, int, int, int]) -> None:
    with pytest.raises(ShapeError, match="of 5x7"):
        crop(Tensor(np.zeros((1, 5, 7, 1))), top=box[0], left=box[1], height=box[2], width=box[3])
    with pytest.raises(ShapeError, match=r"crop: \(5, 7\)"):
        crop(Tensor(np.zeros((5, 7))), top=0, left=0, height=1, width=1)


def test_pad_by_hand() -> None:
    x = Tensor(np.array([1.0, 2.0, 3.0]).reshape(1, 1, 3, 1), requires_grad=True)
    y = pad2d(x, (0, 1, 2, 3), mode="reflect")
    backward(y, np.ones(y.shape))
    assert y.data.reshape(2, 8).tolist() == [[3, 2, 1, 2, 3, 2, 1, 2]] * 2
    assert x.grad is not None
    assert x.grad.ravel().tolist() == [4, 8, 4]
    zero = pad2d(x, (1, 0, 0, 2))
    assert zero.data.reshape(2, 5).tolist() == [[0] * 5, [1, 2, 3, 0, 0]]


@settings(max_examples=60)
@given(
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    padding=st.tuples(*[st.integers(0, 12)] * 4),
    mode=st.sampled_from(["zero", "reflect"]),
)
def test_pad_is_that_of_numpy_and_has_its_gradient(
    size: tuple[int, int], padding: tuple[int, int, int, int], mode: str
) -> None:
    rng = np.random.default_rng([*size, *padding])
    x = rng.standard_normal((2, *size, 2))
    around = [(0, 0), padding[:2], padding[2:], (0, 0)]
    expected = np.pad(x, around, mode="reflect") if mode == "reflect" else np.pad(x, around)
    y = pad2d(Tensor(x), padding, mode=mode)  # type: ignore[arg-type]
    np.testing.assert_array_equal(y.data, expected)
    gradcheck(lambda t: pad2d(t, padding, mode=mode), x, rng=rng)  # type: ignore[arg-type]


def test_pad_wrong() -> None:
    x = Tensor(np.zeros((1, 2, 0, 1)))
    with pytest.raises(ShapeError, match="nothing to reflect"):
        pad2d(x, 1, mode="reflect")
    with pytest.raises(ValueError, match="'edge'"):
        pad2d(x, 1, mode="edge")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="-1"):
        pad2d(x, (0, 0, 0, -1))
    with pytest.raises(ShapeError, match=r"pad2d: \(2,\)"):
        pad2d(Tensor(np.zeros(2)), 1)


def test_reshape_by_hand() -> None:
    x = Tensor(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), requires_grad=True)
    y = reshape(x, (3, -1))
    backward(y, np.array([[6.0, 5.0], [4.0, 3.0], [2.0, 1.0]]))
    assert y.data.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert x.grad is not None
    assert x.grad.tolist() == [[6, 5, 4], [3, 2, 1]]


@pytest.mark.parametrize("shape", [(5, 5), (-1, 5), (-1, -1), (-1, 0), (-2, 12), ()])
def test_reshape_wrong(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"reshape: \(4, 6\) to"):
        reshape(Tensor(np.zeros((4, 6))), shape)


def test_transpose_by_hand() -> None:
    x = Tensor(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), requires_grad=True)
    y = transpose(x, (1, 0))
    backward(y, np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    assert y.data.tolist() == [[1, 4], [2, 5], [3, 6]]
    assert y.data.flags.c_contiguous
    assert x.grad is not None
    assert x.grad.tolist() == [[1, 3, 5], [2, 4, 6]]


@given(axes=st.permutations(range(4)))
def test_transpose_back(axes: list[int]) -> None:
    x = np.arange(120.0).reshape(2, 3, 4, 5)
    y = transpose(Tensor(x), tuple(axes))
    np.testing.assert_array_equal(y.data, x.transpose(axes))
    back = transpose(y, tuple(axes.index(axis) for axis in range(4)))
    np.testing.assert_array_equal(back.data, x)


@pytest.mark.parametrize("axes", [(0, 1), (0, 0, 1), (0, 1, 3), (0, 1, -1)])
def test_transpose_wrong(axes: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"transpose: axes .* of \(2, 3, 4\)"):
        transpose(Tensor(np.zeros((2, 3, 4))), axes)
