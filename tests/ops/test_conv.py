"""conv2d and conv_transpose2d against hand values, finite differences, PyTorch and every backend."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm2d import Tensor, backward, kernels
from lstm2d.errors import ShapeError
from lstm2d.gradcheck import gradcheck
from lstm2d.kernels.threads import get_num_threads, set_num_threads
from lstm2d.ops import conv2d, conv_transpose2d
from lstm2d.tensor import FloatArray
from tests.ops.conv_cases import BOTH, CASES, LARGE, Case, Pair, draw, fits, run

BACKENDS = kernels.available("conv")


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


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("case", "transposed"), BOTH)
def test_gradient(backend: str, case: Case, transposed: bool, rng: np.random.Generator) -> None:
    arrays = draw(case, rng)
    with kernels.use(backend):
        gradcheck(lambda *leaves: run(case, *leaves, transposed=transposed), *arrays, rng=rng)
        gradcheck(lambda x, w: run(case, x, w, None, transposed=transposed), *arrays[:2], rng=rng)


def results(
    case: Case, arrays: list[FloatArray], grad_y: FloatArray | None, *, transposed: bool
) -> list[FloatArray]:
    """Return y and all gradients."""
    leaves = [Tensor(a, requires_grad=True) for a in arrays]
    y = run(case, *leaves, transposed=transposed)
    if grad_y is None:
        grad_y = np.random.default_rng(3).standard_normal(y.shape).astype(y.data.dtype)
    backward(y, grad_y)
    return [y.data, *(leaf.grad for leaf in leaves if leaf.grad is not None)]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("case", "transposed"), list(product(CASES + LARGE, [False, True])))
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 5e-5), (np.float64, 1e-12)])
def test_backends_agree(
    backend: str, case: Case, transposed: bool, dtype: type, tolerance: float, rng: np.random.Generator
) -> None:
    if not fits(case, transposed=transposed):
        pytest.skip("nothing is left of the output")
    arrays = [np.asfortranarray(a) for a in draw(case, rng, dtype)]
    arrays[0] = np.repeat(arrays[0], 2, 2)[:, :, ::-2]
    for a in arrays:
        a.setflags(write=False)
    with kernels.use("_reference"):
        shape = run(case, *map(Tensor, arrays), transposed=transposed).shape
        grad_y = np.asfortranarray(rng.standard_normal(shape).astype(dtype))
        grad_y.setflags(write=False)
        expected = results(case, arrays, grad_y, transposed=transposed)
    with kernels.use(backend):
        got = results(case, arrays, grad_y, transposed=transposed)
    for a, b in zip(got, expected, strict=True):
        assert a.dtype == dtype
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max(initial=0))


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
    seed=st.integers(0, 2**32 - 1),
)
def test_any_shape_agrees(
    shape: tuple[int, int, int, int],
    kernel: tuple[int, int, int],
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    transposed: bool,
    seed: int,
) -> None:
    case = (shape, kernel, stride, padding, dilation)
    arrays = draw(case, np.random.default_rng(seed))
    found: list[list[FloatArray] | str] = []
    for backend in ("_reference", BACKENDS[0]):
        with kernels.use(backend):
            try:
                found.append(results(case, arrays, None, transposed=transposed))
            except ShapeError as e:
                found.append(str(e))
    if isinstance(found[0], str):
        assert found[0] == found[1]
        return
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-11)


@pytest.mark.parametrize(("case", "transposed"), list(product(LARGE, [False, True])))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_and_batch_change_no_bit(
    case: Case, transposed: bool, dtype: type, rng: np.random.Generator
) -> None:
    arrays = draw(case, rng, dtype)
    before = get_num_threads()
    try:
        set_num_threads(1)
        expected = results(case, arrays, None, transposed=transposed)
        for threads in (2, 3):
            set_num_threads(threads)
            for a, b in zip(results(case, arrays, None, transposed=transposed), expected, strict=True):
                assert a.tobytes() == b.tobytes()
        y = expected[0]
        grad_y = np.random.default_rng(3).standard_normal(y.shape).astype(dtype)
        first = results(case, [arrays[0][:1], *arrays[1:]], grad_y[:1], transposed=transposed)
        for k in (0, 1):  # y and the gradient of x
            assert first[k].tobytes() == expected[k][:1].tobytes()
    finally:
        set_num_threads(before)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-4), (np.float64, 1e-11)])
@pytest.mark.parametrize(
    ("kernel", "channels", "dilation"),
    [(3, 16, 1), (3, 300, 1), (3, 16, 6), (3, 300, 6), (4, 50, 1), (5, 30, 1), (8, 25, 1), (8, 200, 1)],
)
def test_winograd_is_precise(
    dtype: type, tolerance: float, kernel: int, channels: int, dilation: int, rng: np.random.Generator
) -> None:
    pair = (dilation, dilation)
    case: Case = ((1, 40, 43, channels), (kernel, kernel, channels), (1, 1), pair, pair)
    arrays = draw(case, rng, dtype)
    arrays[0] += 3  # as after a ReLU: no mean of 0 that hides rounding
    got = results(case, arrays, None, transposed=False)
    with kernels.use("_reference"):
        grad_y = np.random.default_rng(3).standard_normal(got[0].shape).astype(dtype).astype(np.float64)
        expected = results(case, [a.astype(np.float64) for a in arrays], grad_y, transposed=False)
    for a, b in zip(got, expected, strict=True):
        assert np.abs(a - b).max() <= tolerance * np.abs(b).max()


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("needed", [0, 1, 2])
def test_only_what_is_needed_is_computed(needed: int, transposed: bool, rng: np.random.Generator) -> None:
    case = CASES[0]
    leaves = [Tensor(a, requires_grad=k == needed) for k, a in enumerate(draw(case, rng))]
    y = run(case, *leaves, transposed=transposed)
    assert y.node is not None
    grads = y.node.backward(np.ones(y.shape))
    assert [g is not None for g in grads] == [k == needed for k in range(3)]


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


@pytest.mark.parametrize(("case", "transposed"), BOTH)
def test_equals_torch(case: Case, transposed: bool, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch", exc_type=ImportError)
    if 0 in (*case[0], *case[1]):
        pytest.skip("PyTorch refuses sizes of 0")
    arrays = draw(case, rng)
    x, weight, bias = (torch.tensor(a, requires_grad=True) for a in arrays)
    _, _, stride, padding, dilation = case
    if transposed:
        y = torch.nn.functional.conv_transpose2d(
            x.permute(0, 3, 1, 2), weight.permute(2, 3, 0, 1), bias, stride=stride, padding=padding
        )
    else:
        y = torch.nn.functional.conv2d(
            x.permute(0, 3, 1, 2), weight.permute(3, 2, 0, 1), bias, stride, padding, dilation
        )
    y = y.permute(0, 2, 3, 1)
    got = results(case, arrays, None, transposed=transposed)
    y.backward(torch.from_numpy(np.random.default_rng(3).standard_normal(tuple(y.shape))))
    for a, b in zip(got, (y.detach(), x.grad, weight.grad, bias.grad), strict=True):
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-10, atol=1e-10)
