"""conv2d and conv_transpose2d: values by hand, any shape, activations, NaN, wrong arguments."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm2d import Tensor, backward, kernels, ops
from lstm2d.errors import ShapeError
from lstm2d.ops import conv2d, conv_transpose2d
from lstm2d.selftest import CASES, Case, evaluate, typed
from lstm2d.selftest.cases.conv import Pair, conv
from lstm2d.tensor import FloatArray
from tests.selftest.comparison import parameters

BACKENDS = kernels.available("conv")
TYPES = (np.float32, np.float64)
FUSED = [case for case in CASES if len(case.shapes) == 3 and case.op in ("conv2d", "conv_transpose2d")]


@pytest.mark.parametrize("backend", BACKENDS)
def test_values_by_hand(backend: str) -> None:
    x = Tensor(np.arange(1.0, 10).reshape(1, 3, 3, 1), requires_grad=True)
    weight = Tensor(np.array([[1.0, 2.0], [0.0, -1.0]]).reshape(2, 2, 1, 1), requires_grad=True)
    bias = Tensor(np.array([100.0]), requires_grad=True)
    with kernels.use(backend):
        y = conv2d(x, weight, bias)
        backward(y, np.array([[1.0, 0.0], [0.0, 10.0]]).reshape(1, 2, 2, 1))
    assert y.data.reshape(-1).tolist() == [100, 102, 106, 108]  # 1 + 2 * 2 - 5 = 0, ...
    assert x.grad is not None
    assert weight.grad is not None
    assert bias.grad is not None
    assert x.grad.reshape(3, 3).tolist() == [[1, 2, 0], [0, 9, 20], [0, 0, -10]]
    assert weight.grad.reshape(-1).tolist() == [51, 62, 84, 95]
    assert bias.grad.tolist() == [11]


@pytest.mark.parametrize("backend", BACKENDS)
def test_options_by_hand(backend: str) -> None:
    x = Tensor(np.arange(1.0, 6).reshape(1, 1, 5, 1))
    ones = Tensor(np.ones((1, 2, 1, 1)))

    def row(**options: Pair) -> list[float]:
        return [float(v) for v in conv2d(x, ones, **options).data.reshape(-1)]

    with kernels.use(backend):
        assert row() == [3, 5, 7, 9]
        assert row(stride=(1, 2)) == [3, 7]
        assert row(padding=(0, 1)) == [1, 3, 5, 7, 9, 5]
        assert row(dilation=(1, 3)) == [5, 7]
        assert row(stride=(1, 2), padding=(0, 3), dilation=(1, 5)) == [3, 5, 2]


@pytest.mark.parametrize("backend", BACKENDS)
def test_transposed_by_hand(backend: str) -> None:
    x = Tensor(np.array([1.0, 10.0]).reshape(1, 1, 2, 1), requires_grad=True)
    weight = Tensor(np.array([1.0, 2.0, 3.0]).reshape(1, 3, 1, 1), requires_grad=True)
    bias = Tensor(np.array([0.5]))
    with kernels.use(backend):
        assert conv_transpose2d(x, weight).data.reshape(-1).tolist() == [1, 12, 23, 30]
        assert conv_transpose2d(x, weight, padding=(0, 1)).data.reshape(-1).tolist() == [12, 23]
        y = conv_transpose2d(x, weight, bias, stride=2)
        backward(y, np.array([1.0, 0.0, 5.0, 0.0, 100.0]).reshape(1, 1, 5, 1))
    assert y.data.reshape(-1).tolist() == [1.5, 2.5, 13.5, 20.5, 30.5]
    assert x.grad is not None
    assert weight.grad is not None
    assert x.grad.reshape(-1).tolist() == [16, 305]
    assert weight.grad.reshape(-1).tolist() == [51, 0, 1005]


sizes = st.tuples(st.integers(1, 4), st.integers(1, 4))


@settings(max_examples=150)
@given(
    shape=st.tuples(
        st.integers(1, 2), st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 2, 3, 17])
    ),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5), st.sampled_from([1, 2, 5, 18])),
    stride=sizes,
    padding=st.tuples(st.integers(0, 5), st.integers(0, 5)),
    dilation=sizes,
    transposed=st.booleans(),
)
def test_any_shape_agrees(
    shape: tuple[int, int, int, int],
    kernel: tuple[int, int, int],
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    transposed: bool,
) -> None:
    geometry = (shape, kernel, stride, padding, (1, 1) if transposed else dilation)
    case = conv(geometry, transposed=transposed)
    found: list[dict[str, FloatArray] | str] = []
    for backend in ("_reference", BACKENDS[0]):
        with kernels.use(backend):
            try:
                found.append(evaluate(case, typed(np.float64)))
            except ShapeError as e:
                found.append(str(e))
    first, second = found
    if isinstance(first, str):
        assert first == second
        return
    for name, values in first.items():
        np.testing.assert_allclose(values, second[name], atol=1e-11)


@pytest.mark.parametrize("case", parameters(c for c in FUSED if c.users & {"cuda", "bits"}))
def test_activation_is_the_op_of_that_name(case: Case) -> None:
    def apart(*tensors: Tensor, activation: str, **options: Pair) -> Tensor:
        return getattr(ops, activation)(case.run(*tensors, **options))

    for activation, shapes, dtype in product(("relu", "tanh"), (case.shapes, case.shapes[:2]), TYPES):
        inside = replace(case, shapes=shapes, options={**case.options, "activation": activation})
        together, separate = (evaluate(c, typed(dtype)) for c in (inside, replace(inside, call=apart)))
        assert {name: a.tobytes() for name, a in together.items()} == {
            name: a.tobytes() for name, a in separate.items()
        }


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("kernel", "channels", "reach"), [(3, 3, 1), (3, 20, 4), (5, 3, 9), (5, 20, 9)])
def test_nan_reaches_what_sees_it(backend: str, kernel: int, channels: int, reach: int) -> None:
    x = np.ones((1, 30, 30, channels), np.float32)
    x[0, 14, 15, 0] = np.nan
    half = kernel // 2
    weight = np.zeros((kernel, kernel, channels, 20), np.float32)
    with kernels.use(backend):
        y = conv2d(Tensor(x), Tensor(weight), padding=half).data[0]
    assert np.isnan(y[14 - half : 15 + half, 15 - half : 16 + half]).all()
    y[14 - reach : 15 + reach, 15 - reach : 16 + reach] = 0
    assert not np.isnan(y).any()


@pytest.mark.parametrize(
    ("x", "weight", "bias", "options", "text"),
    [
        ((1, 4, 4, 3), (3, 3, 4, 5), None, {}, r"x \(1, 4, 4, 3\) does not fit weight \(3, 3, 4, 5\)"),
        ((4, 4, 3), (3, 3, 3, 5), None, {}, r"x \(4, 4, 3\) does not fit"),
        ((1, 4, 4, 3), (3, 3, 5), None, {}, r"does not fit weight \(3, 3, 5\)"),
        ((1, 4, 4, 3), (0, 3, 3, 5), None, {}, r"does not fit weight \(0, 3, 3, 5\)"),
        ((1, 4, 4, 3), (3, 3, 3, 5), (3,), {}, r"bias \(3,\) does not fit weight"),
        ((1, 2, 4, 3), (3, 3, 3, 5), None, {}, "is smaller than weight"),
        ((1, 4, 4, 3), (3, 3, 3, 5), None, {"padding": 1, "dilation": 3}, "is smaller than weight"),
    ],
)
def test_wrong_shape(
    x: tuple[int, ...],
    weight: tuple[int, ...],
    bias: tuple[int, ...] | None,
    options: dict[str, int],
    text: str,
) -> None:
    with pytest.raises(ShapeError, match=text):
        conv2d(
            Tensor(np.zeros(x)),
            Tensor(np.zeros(weight)),
            None if bias is None else Tensor(np.zeros(bias)),
            **options,
        )


def test_wrong_transposed() -> None:
    x, weight = Tensor(np.zeros((1, 2, 2, 3))), Tensor(np.zeros((3, 3, 3, 5)))
    with pytest.raises(ShapeError, match="leave 0x0 pixels"):
        conv_transpose2d(x, weight, padding=2)
    with pytest.raises(ShapeError, match=r"conv_transpose2d: x .* does not fit"):
        conv_transpose2d(weight, x)
    with pytest.raises(ShapeError, match=r"conv_transpose2d: bias \(3,\)"):
        conv_transpose2d(x, weight, Tensor(np.zeros(3)))
    with pytest.raises(ValueError, match=r"stride \(0, 1\), expected 1 or more"):
        conv_transpose2d(x, weight, stride=(0, 1))


@pytest.mark.parametrize("options", [{"stride": 0}, {"dilation": 0}, {"padding": -1}])
def test_wrong_options(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="or more"):
        conv2d(Tensor(np.zeros((1, 4, 4, 3))), Tensor(np.zeros((3, 3, 3, 5))), **options)


@pytest.mark.parametrize("dtypes", [(np.float32, np.float64), (np.float16, np.float16), (np.int64, np.int64)])
def test_wrong_dtype(dtypes: tuple[type, type]) -> None:
    x, weight = Tensor(np.zeros((1, 4, 4, 3), dtypes[0])), Tensor(np.zeros((3, 3, 3, 5), dtypes[1]))
    with pytest.raises(TypeError, match="all float32 or all float64"):
        conv2d(x, weight)
    with pytest.raises(TypeError, match="all float32 or all float64"):
        conv_transpose2d(x, weight)


@pytest.mark.parametrize("op", [conv2d, conv_transpose2d])
def test_wrong_activation(op: Callable[..., Tensor]) -> None:
    x, weight = Tensor(np.zeros((1, 4, 4, 3))), Tensor(np.zeros((3, 3, 3, 5)))
    with pytest.raises(ValueError, match=r"activation 'sigmoid', expected None, 'relu' or 'tanh'"):
        op(x, weight, activation="sigmoid")
