"""max_pool2d and avg_pool2d against hand values, finite differences, windows cut one by one, all backends."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm2d import Tensor, backward, kernels, no_grad
from lstm2d.errors import ShapeError
from lstm2d.kernels.threads import get_num_threads, set_num_threads
from lstm2d.ops import avg_pool2d, max_pool2d

Pool = Callable[..., Tensor]
Part = tuple[slice, ...]
BACKENDS = kernels.available("pool")
POOLS = [max_pool2d, avg_pool2d]


@pytest.fixture
def _threads() -> Iterator[None]:
    before = get_num_threads()
    yield
    set_num_threads(before)


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
        y = max_pool2d(x, (1, 3), stride=1, padding=(0, 1))  # padding is not a zero
        backward(y, np.array([1.0, 2.0, 4.0, 8.0]).reshape(1, 1, 4, 1))
    assert y.data.ravel().tolist() == [-1, -1, -2, -2]
    assert x.grad is not None
    assert x.grad.ravel().tolist() == [1 + 2, 0, 4 + 8, 0]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("image", "size", "padding", "windows"),
    [((0, 5), (2, 3), (1, 1), (1, 5)), ((5, 0), (1, 4), (0, 2), (5, 1)), ((0, 0), (2, 6), (1, 3), (1, 1))],
)
def test_an_image_without_pixels_whose_padding_has_room_for_windows(
    backend: str,
    dtype: type,
    image: tuple[int, int],
    size: tuple[int, int],
    padding: tuple[int, int],
    windows: tuple[int, int],
) -> None:
    for pool, value in ((max_pool2d, -np.inf), (avg_pool2d, 0)):
        x = Tensor(np.zeros((2, *image, 17), dtype), requires_grad=True)
        with kernels.use(backend):
            y = pool(x, size, stride=1, padding=padding)
            backward(y, np.ones(y.shape, dtype))
            with no_grad():
                alone = pool(x, size, stride=1, padding=padding)
        np.testing.assert_array_equal(y.data, np.full((2, *windows, 17), value, dtype), strict=True)
        np.testing.assert_array_equal(alone.data, y.data)
        assert x.grad is not None
        assert x.grad.shape == x.shape


@pytest.mark.parametrize("pool", POOLS)
def test_a_window_with_too_many_pixels_to_number(pool: Pool) -> None:
    x = Tensor(np.zeros((1, 3, 3, 1), np.float32))
    with pytest.raises(ValueError, match=r"size \(65536, 32768\), expected at most 2147483647 pixels"):
        pool(x, (65536, 32768), padding=(32768, 16384))


DILATED = [  # size, options, maxima, and gradients of the pixels with 1, 2, 4 ... at the maxima
    (2, {"stride": 1, "dilation": 2}, [4, 9, 2, 9], [1, 0, 4, 2 + 8, 0, 0]),
    (2, {"stride": 2, "dilation": 3, "padding": 1}, [2, 2, 9], [0, 0, 1, 4, 2, 0]),
    (3, {"stride": 1, "dilation": 2, "padding": 1}, [9, 4, 9, 2], [2, 0, 8, 1 + 4, 0, 0]),
    (2, {"dilation": 5}, [7], [0, 0, 0, 0, 0, 1]),
    (2, {"stride": 1, "dilation": 7, "padding": 1}, [-np.inf], [0] * 6),  # both taps in the padding
]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(("size", "options", "maxima", "gradient"), DILATED)
def test_dilated_max_by_hand(
    size: int, options: dict[str, int], maxima: list[float], gradient: list[float], axis: int, backend: str
) -> None:
    def along(value: int, other: int) -> tuple[int, int]:
        return (value, other) if axis == 0 else (other, value)

    row = np.array([4, 1, 2, 9, 2, 7], float)
    x = Tensor(row.reshape(1, *along(6, 1), 1), requires_grad=True)
    pairs = {name: along(value, int(name != "padding")) for name, value in options.items()}
    with kernels.use(backend):
        y = max_pool2d(x, along(size, 1), **pairs)
        backward(y, 2.0 ** np.arange(len(maxima)).reshape(y.shape))
        with no_grad():
            np.testing.assert_array_equal(max_pool2d(x, along(size, 1), **pairs).data, y.data)
    assert y.data.ravel().tolist() == maxima
    assert x.grad is not None
    assert x.grad.ravel().tolist() == gradient


@pytest.mark.parametrize("backend", BACKENDS)
def test_average_by_hand(backend: str) -> None:
    x = Tensor(np.array([3, 6, 9, 12], float).reshape(1, 1, 4, 1), requires_grad=True)
    with kernels.use(backend):
        y = avg_pool2d(
            x, (1, 3), stride=2, padding=(0, 1)
        )  # a zero on the left; the one on the right is not used
        backward(y, np.array([3.0, 30.0]).reshape(1, 1, 2, 1))
    assert y.data.ravel().tolist() == [3, 9]
    assert x.grad is not None
    assert x.grad.ravel().tolist() == [1, 1 + 10, 10, 10]


@settings(max_examples=100)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_equals_windows_cut_one_by_one(data: st.DataObject, seed: int) -> None:
    size = data.draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    stride = data.draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    padding = data.draw(st.tuples(st.integers(0, size[0] // 2), st.integers(0, size[1] // 2)))
    dilation = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    spans = [d * (s - 1) + 1 for d, s in zip(dilation, size, strict=True)]
    height, width = (
        data.draw(st.integers(max(1, s - 2 * p), s + 12)) for s, p in zip(spans, padding, strict=True)
    )
    channels = data.draw(st.integers(1, 20))
    x = np.random.default_rng(seed).standard_normal((2, height, width, channels))
    edges = ((0, 0), (padding[0],) * 2, (padding[1],) * 2, (0, 0))

    def cut(outside: float, window: Sequence[int]) -> np.ndarray:
        padded = np.pad(x, edges, constant_values=outside)
        return np.lib.stride_tricks.sliding_window_view(padded, window, (1, 2))[:, :: stride[0], :: stride[1]]

    expected = cut(-np.inf, spans)[..., :: dilation[0], :: dilation[1]].max((-2, -1))
    y = max_pool2d(Tensor(x), size, stride=stride, padding=padding, dilation=dilation)
    np.testing.assert_array_equal(y.data, expected)
    if min(height - size[0] + 2 * padding[0], width - size[1] + 2 * padding[1]) >= 0:
        mean = avg_pool2d(Tensor(x), size, stride=stride, padding=padding).data
        np.testing.assert_allclose(mean, cut(0, size).mean((-2, -1)), rtol=1e-12, atol=1e-14)


@settings(max_examples=80)
@given(
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    dilation=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    height=st.integers(0, 40),  # more than one band
    width=st.integers(0, 20),
    channels=st.integers(1, 40) | st.integers(150, 180),  # some lines are cut into strips
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_dilated_pool_interleaves_those_of_the_sub_images(
    size: tuple[int, int],
    dilation: tuple[int, int],
    height: int,
    width: int,
    channels: int,
    dtype: type,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    shape = (1, size[0] * dilation[0] + height, size[1] * dilation[1] + width, channels)
    x = rng.integers(-2, 3, shape).astype(dtype)  # many equal ones
    x[rng.random(shape) < 0.1] = np.nan
    x[rng.random(shape) < 0.1] = -0.0
    shape = (1, *(n - d * (s - 1) for n, d, s in zip(shape[1:3], dilation, size, strict=True)), channels)
    grad_y = rng.standard_normal(shape).astype(dtype)

    def run(part: Part, dilation: int | tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        leaf = Tensor(np.ascontiguousarray(x[part]), requires_grad=True)
        y = max_pool2d(leaf, size, stride=1, dilation=dilation)
        backward(y, np.ascontiguousarray(grad_y[part]))
        with no_grad():
            alone = max_pool2d(leaf, size, stride=1, dilation=dilation)
        assert alone.data.tobytes() == y.data.tobytes()
        assert leaf.grad is not None
        return y.data, leaf.grad

    y, grad_x = run((), dilation)
    for first in np.ndindex(dilation):
        part = (slice(None), *(slice(k, None, d) for k, d in zip(first, dilation, strict=True)))
        for whole, expected in zip((y, grad_x), run(part, 1), strict=True):
            np.testing.assert_array_equal(whole[part], expected)


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("size", [2, 8])
def test_bits_of_windows_at_every_pixel(size: int, rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 160, 440, 29), np.float32)  # several bands and strips
    with no_grad():
        first = max_pool2d(Tensor(x), size, stride=1, dilation=8).data
        assert first.nbytes > 1 << 23 > first[0].nbytes  # larger than the caches, one image smaller
        expected = np.full_like(first, -np.inf)
        for i, j in np.ndindex(size, size):
            shifted = x[:, 8 * i : 8 * i + first.shape[1], 8 * j : 8 * j + first.shape[2]]
            np.maximum(expected, shifted, out=expected)
        np.testing.assert_array_equal(first, expected)
        for threads in (1, 2, 3):
            set_num_threads(threads)
            for image in range(2):
                alone = max_pool2d(Tensor(x[image : image + 1]), size, stride=1, dilation=8).data
                assert alone.tobytes() == first[image : image + 1].tobytes()


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


def test_wrong_dilation() -> None:
    x = Tensor(np.zeros((1, 4, 5, 2)))
    with pytest.raises(ValueError, match=r"dilation \(1, 0\), expected 1 or more"):
        max_pool2d(x, 2, dilation=(1, 0))
    with pytest.raises(ValueError, match=r"padding \(2, 2\), expected 0 to half the size \(2, 2\)"):
        max_pool2d(x, 2, padding=2, dilation=3)
    with pytest.raises(ShapeError, match=r"windows of 5x2 \(2x2 with dilation \(4, 1\)\)"):
        max_pool2d(x, 2, dilation=(4, 1))
