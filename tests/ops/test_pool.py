"""max_pool2d and avg_pool2d against hand values, finite differences, windows cut one by one, all backends."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm2d import Tensor, backward, kernels, no_grad
from lstm2d.errors import ShapeError
from lstm2d.gradcheck import gradcheck
from lstm2d.kernels import arena
from lstm2d.kernels.threads import get_num_threads, set_num_threads
from lstm2d.ops import avg_pool2d, max_pool2d
from lstm2d.tensor import FloatArray

Pool = Callable[..., Tensor]
BACKENDS = kernels.available("pool")
POOLS = [max_pool2d, avg_pool2d]
CASES: list[tuple[tuple[int, ...], Any, dict[str, Any]]] = [
    ((1, 1, 1, 1), 1, {}),
    ((2, 6, 9, 3), 3, {}),
    ((1, 7, 8, 2), 2, {}),  # a row is left over
    ((1, 7, 8, 2), 3, {"stride": 1, "padding": 1}),  # pool4 and pool5 of fcn-largefov
    ((1, 9, 5, 18), 3, {"stride": 2}),  # windows overlap
    ((1, 9, 11, 2), (2, 3), {"stride": (3, 5)}),  # gaps between windows
    ((2, 5, 6, 2), (3, 4), {"stride": (2, 1), "padding": (1, 2)}),
    ((1, 17, 17, 1), 17, {}),  # a window of more than 256 pixels
    ((1, 18, 18, 17), 17, {"stride": 1}),
    ((1, 1, 1, 2), 3, {"padding": 1}),  # a window that is mostly padding
    ((0, 4, 4, 3), 2, {}),
    ((1, 4, 4, 0), 2, {}),
]


@pytest.mark.parametrize("backend", BACKENDS)
def test_max_by_hand(backend: str) -> None:
    x = Tensor(np.array([[1, 5, 2, 2, 9], [4, 3, 2, 2, 9]], float).reshape(1, 2, 5, 1), requires_grad=True)
    with kernels.use(backend):
        y = max_pool2d(x, 2)  # the last column is dropped
        backward(y, np.array([10.0, 20.0]).reshape(1, 1, 2, 1))
    assert y.data.ravel().tolist() == [5, 2]
    assert x.grad is not None
    assert x.grad[0, :, :, 0].tolist() == [[0, 10, 20, 0, 0], [0, 0, 0, 0, 0]]  # the first of equal ones


@pytest.mark.parametrize("backend", BACKENDS)
def test_overlapping_max_by_hand(backend: str) -> None:
    x = Tensor(np.array([-1, -5, -2, -3], float).reshape(1, 1, 4, 1), requires_grad=True)
    with kernels.use(backend):
        y = max_pool2d(x, (1, 3), stride=1, padding=(0, 1))  # the padding does not count as 0
        backward(y, np.array([1.0, 2.0, 4.0, 8.0]).reshape(1, 1, 4, 1))
    assert y.data.ravel().tolist() == [-1, -1, -2, -2]
    assert x.grad is not None
    assert x.grad.ravel().tolist() == [1 + 2, 0, 4 + 8, 0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_average_by_hand(backend: str) -> None:
    x = Tensor(np.array([3, 6, 9, 12], float).reshape(1, 1, 4, 1), requires_grad=True)
    with kernels.use(backend):
        y = avg_pool2d(
            x, (1, 3), stride=2, padding=(0, 1)
        )  # a zero on the left; the one on the right is left over
        backward(y, np.array([3.0, 30.0]).reshape(1, 1, 2, 1))
    assert y.data.ravel().tolist() == [3, 9]
    assert x.grad is not None
    assert x.grad.ravel().tolist() == [1, 1 + 10, 10, 10]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize(("shape", "size", "options"), CASES)
def test_gradient(
    backend: str,
    pool: Pool,
    shape: tuple[int, ...],
    size: Any,
    options: dict[str, Any],
    rng: np.random.Generator,
) -> None:
    # values of a channel are far apart: no winner changes within the difference
    x = rng.permuted(np.arange(np.prod(shape), dtype=float)).reshape(shape) / 100
    with kernels.use(backend):
        gradcheck(lambda t: pool(t, size, **options), x, rng=rng, atol=1e-7)


@pytest.mark.parametrize("pool", POOLS)
def test_gradcheck_sees_an_error_of_a_hundredth_percent(
    pool: Pool, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = kernels.pick("pool", like=np.zeros(1))
    name = f"{pool.__name__}_backward"
    right = getattr(module, name)
    monkeypatch.setattr(module, name, lambda *args: right(*args) * (1 + 1e-4))
    with pytest.raises(AssertionError):
        gradcheck(lambda t: pool(t, 2), rng.standard_normal((1, 4, 6, 3)), rng=rng)


@settings(max_examples=100)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_equals_windows_cut_one_by_one(data: st.DataObject, seed: int) -> None:
    size = data.draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    stride = data.draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    padding = data.draw(st.tuples(st.integers(0, size[0] // 2), st.integers(0, size[1] // 2)))
    height, width = (
        data.draw(st.integers(max(1, s - 2 * p), 12)) for s, p in zip(size, padding, strict=True)
    )
    channels = data.draw(st.integers(1, 20))
    x = np.random.default_rng(seed).standard_normal((2, height, width, channels))
    edges = ((0, 0), (padding[0],) * 2, (padding[1],) * 2, (0, 0))
    for pool, outside in ((max_pool2d, -np.inf), (avg_pool2d, 0)):
        padded = np.pad(x, edges, constant_values=outside)
        cut = np.lib.stride_tricks.sliding_window_view(padded, size, (1, 2))[:, :: stride[0], :: stride[1]]
        expected = cut.max((-2, -1)) if pool is max_pool2d else cut.mean((-2, -1))
        y = pool(Tensor(x), size, stride=stride, padding=padding).data
        np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-14)


@settings(max_examples=80)
@given(
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    height=st.integers(0, 13),
    width=st.integers(0, 50),
    channels=st.integers(1, 40) | st.integers(150, 180),  # some rows of windows are cut, some too long to be
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 2**32 - 1),
)
def test_windows_that_touch(
    size: tuple[int, int], height: int, width: int, channels: int, dtype: type, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    shape = (2, size[0] + height, size[1] + width, channels)  # with pixels left over
    x = rng.integers(-2, 3, shape).astype(dtype)  # many equal ones
    x[rng.random(shape) < 0.2] = np.nan
    results = []
    for name in BACKENDS:
        leaf = Tensor(x, requires_grad=True)
        with kernels.use(name):
            y = max_pool2d(leaf, size)
            backward(y, np.arange(1, y.data.size + 1, dtype=dtype).reshape(y.shape))
            with no_grad():
                np.testing.assert_array_equal(max_pool2d(leaf, size).data, y.data)
        results.append((y.data, leaf.grad))
    for expected, got in zip(results[-1], results[0], strict=True):
        np.testing.assert_array_equal(got, expected)


def test_results_larger_than_the_caches(rng: np.random.Generator) -> None:
    shape = (1, 1001, 521, 21)  # rows begin anywhere in a cache line
    values = rng.permutation(np.prod(shape)).astype(np.float32)  # all different
    x = Tensor(values.reshape(shape), requires_grad=True)
    y = max_pool2d(x, 2)
    assert y.data.nbytes > 1 << 23
    blocks = x.data[:, :1000, :520].reshape(1, 500, 2, 260, 2, 21)
    np.testing.assert_array_equal(y.data, blocks.max((2, 4)))
    backward(y, y.data)
    expected = np.zeros_like(x.data)
    expected[:, :1000, :520] = np.where(blocks == y.data[:, :, None, :, None], blocks, 0).reshape(
        1, 1000, 520, 21
    )
    np.testing.assert_array_equal(x.grad, expected)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 1e-6), (np.float64, 1e-14)])
@pytest.mark.parametrize(("shape", "size", "options"), CASES)
def test_backends_agree(
    backend: str,
    pool: Pool,
    shape: tuple[int, ...],
    size: Any,
    options: dict[str, Any],
    dtype: type,
    rtol: float,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # memory that nobody has written must not reach a result
    monkeypatch.setattr(arena, "empty", lambda shape, dtype: np.full(shape, 77, dtype))
    n, height, width, channels = shape
    x = rng.integers(-3, 4, (n, height, 2 * width, channels)).astype(dtype)[:, :, ::-2]  # with equal values
    x.setflags(write=False)
    results = []
    for name in ("_reference", backend):
        leaf = Tensor(x, requires_grad=True)
        with kernels.use(name):
            y = pool(leaf, size, **options)
            grad = rng.standard_normal(y.shape[::-1]).astype(dtype).T if not results else results[0][2]
            grad.setflags(write=False)
            backward(y, grad)
            with no_grad():
                alone = pool(leaf, size, **options)
        np.testing.assert_array_equal(alone.data, y.data)
        results.append((y.data, leaf.grad, grad))
    for expected, got in zip(*results, strict=True):
        assert got is not None
        assert expected is not None
        assert got.dtype == dtype
        np.testing.assert_allclose(got, expected, rtol=rtol, atol=10 * rtol)


@pytest.mark.parametrize("pool", POOLS)
def test_same_bits_for_any_threads_and_any_batch(pool: Pool, rng: np.random.Generator) -> None:
    images = rng.standard_normal((3, 64, 61, 20)).astype(np.float32)
    before = get_num_threads()

    def run(x: FloatArray) -> tuple[FloatArray, FloatArray]:
        leaf = Tensor(x, requires_grad=True)
        y = pool(leaf, 3, stride=2, padding=1)
        backward(
            y,
            np.sin(np.arange(y.data.size // len(x) * 3, dtype=np.float32)).reshape(3, *y.shape[1:])[: len(x)],
        )
        assert leaf.grad is not None
        return y.data, leaf.grad

    try:
        set_num_threads(1)
        expected = run(images)
        for threads in (2, 3):
            set_num_threads(threads)
            for got, wanted in zip(run(images), expected, strict=True):
                np.testing.assert_array_equal(got, wanted)
    finally:
        set_num_threads(before)
    for got, wanted in zip(run(images[:1]), expected, strict=True):
        np.testing.assert_array_equal(got, wanted[:1])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("channels", [1, 17])
def test_nan_wins(backend: str, dtype: type, channels: int) -> None:
    for place in np.ndindex(2, 2):
        x = np.arange(16 * channels).reshape(1, 4, 4, channels).astype(dtype)
        x[0, place[0], 2 + place[1]] = np.nan
        for pool in POOLS:
            leaf = Tensor(x, requires_grad=True)
            with kernels.use(backend):
                y = pool(leaf, 2)
                backward(y, np.ones_like(y.data))
            assert np.isnan(y.data[0, 0, 1]).all()
            assert np.isnan(y.data).sum() == channels
            assert leaf.grad is not None
            if pool is max_pool2d:
                assert leaf.grad[0, place[0], 2 + place[1]].tolist() == [1] * channels


@pytest.mark.parametrize("backend", BACKENDS)
def test_infinite_values(backend: str) -> None:
    x = Tensor(np.full((1, 2, 2, 1), -np.inf), requires_grad=True)
    with kernels.use(backend):
        y = max_pool2d(x, 3, padding=1)
        backward(y, np.ones_like(y.data))
    assert y.data.item() == -np.inf
    assert x.grad is not None
    assert x.grad.ravel().tolist() == [1, 0, 0, 0]  # a pixel wins, not the padding


@pytest.mark.parametrize("pool", POOLS)
def test_wrong(pool: Pool) -> None:
    x = Tensor(np.zeros((1, 4, 5, 2)))
    with pytest.raises(ShapeError, match=r"\(4, 5, 2\)"):
        pool(Tensor(x.data[0]), 2)
    with pytest.raises(ShapeError, match=r"4x5 pixels with padding \(0, 0\) in windows of 5x5"):
        pool(x, 5)
    with pytest.raises(ValueError, match=r"size \(0, 0\)"):
        pool(x, 0)
    with pytest.raises(ValueError, match=r"stride \(1, 0\)"):
        pool(x, 2, stride=(1, 0))
    with pytest.raises(ValueError, match=r"padding \(2, 2\), expected 0 to half the size \(3, 3\)"):
        pool(x, 3, padding=2)
    with pytest.raises(ValueError, match=r"padding \(-1, 0\)"):
        pool(x, 3, padding=(-1, 0))
    with pytest.raises(TypeError, match="int64"):
        pool(Tensor(x.data.astype(np.int64)), 2)
