"""Winograd's tiles: exact matrices, every result in one tile, and the kernel for any geometry."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lstm2d.kernels import winograd
from lstm2d.kernels._cython import conv_winograd
from lstm2d.kernels._reference import conv as reference
from lstm2d.kernels.threads import get_num_threads, set_num_threads

FloatArray = NDArray[np.floating[Any]]
Pair = tuple[int, int]
FEW, MANY = (16, 17), (257, 256)  # channels: tiles of up to 4 and up to 6 results


@pytest.mark.parametrize(("largest", "n"), [*((m, 3) for m in range(1, 7)), *((m, 4) for m in range(1, 6))])
def test_tiles_of_any_length_share_the_points_of_the_filters(
    largest: int, n: int, rng: np.random.Generator
) -> None:
    taps = [Fraction(int(v)) for v in rng.integers(-9, 9, n)]
    filters = _apply(winograd.tap_matrix(largest, n), taps)
    for m in range(1, largest + 1):
        pixels = [Fraction(int(v)) for v in rng.integers(-9, 9, m + n - 1)]
        points = _apply(winograd.pixel_matrix(m, largest, n), pixels)
        products = [a * b for a, b in zip(points, filters, strict=False)]
        expected = [sum(w * pixels[t + s] for s, w in enumerate(taps)) for t in range(m)]
        assert _apply(winograd.result_matrix(m, n), products) == expected


def _apply(matrix: list[list[Fraction]], values: list[Fraction]) -> list[Fraction]:
    return [sum((a * v for a, v in zip(row, values, strict=True)), start=Fraction(0)) for row in matrix]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_matrices_are_the_exact_ones_rounded(dtype: type) -> None:
    t = winograd.transforms(6, np.dtype(dtype))
    assert t.pixels.dtype == dtype
    assert t.pixels[6, 0].tolist() == [-1, 0, 5.25, 0, -5.25, 0, 1, 0]
    assert t.results[2].tolist()[:3] == [[1, 0, 1, 1, 0, 0, 0, 0], [0, 1, 1, -1, 0, 0, 0, 0], [0] * 8]
    assert (t.grad_results == t.results.transpose(0, 2, 1)).all()
    assert (t.grad_taps == t.taps.T).all()
    assert t.taps[4, 0] == dtype(1 / 90)


@pytest.mark.parametrize(
    ("n", "dilation", "largest"), [(50, 12, 6), (63, 12, 6), (90, 1, 4), (7, 9, 4), (1, 1, 6)]
)
def test_every_result_is_in_one_tile(n: int, dilation: int, largest: int) -> None:
    tiles = winograd.cut(n, dilation, largest)
    seen = [f + k * dilation for f, m in zip(tiles.first, tiles.results, strict=True) for k in range(m)]
    assert sorted(seen) == list(range(n))
    assert (np.diff(tiles.results) <= 0).all()
    assert 1 <= tiles.results.min() <= tiles.results.max() <= largest


def test_few_tiles() -> None:
    assert winograd.cut(50, 12, 6).results.tolist() == [5, 5] + [4] * 10  # sub-images of 5 and 4 rows
    assert winograd.cut(90, 1, 4).results.tolist() == [4] * 22 + [2]


def test_saves_counts_multiplications() -> None:
    def saves(size: Pair, padding: int, dilation: int, largest: int) -> bool:
        return winograd.saves(size, size, (padding,) * 2, (dilation,) * 2, largest)

    assert saves((50, 63), 12, 12, 6)  # 74 * 87 + 24 * 56 points, 126 * 165 taps inside the image
    assert not saves((50, 63), 49, 49, 6)  # in most rows a result uses one tap of three
    assert saves((13, 13), 1, 1, 4)  # 21 * 21 + 24 * 36 against 37 * 37
    assert not saves((12, 12), 1, 1, 4)  # 18 * 18 + 24 * 36 against 34 * 34
    assert not winograd.saves((1, 1), (3, 3), (2, 2), (1, 1), 4)


def _reference(
    x: FloatArray, weight: FloatArray, bias: FloatArray | None, size: Pair, padding: Pair, dilation: Pair
) -> FloatArray:
    """Return `size` results of the convolution, for any padding, including negative ones."""
    padded = x
    for axis in (1, 2):
        places = np.arange(size[axis - 1] + 2 * dilation[axis - 1]) - padding[axis - 1]
        inside = (places >= 0) & (places < padded.shape[axis])
        shape = [-1 if k == axis else 1 for k in range(4)]
        padded = np.take(padded, np.where(inside, places, 0), axis) * inside.reshape(shape)
    return reference.conv2d_forward(padded, weight, bias, (1, 1), (0, 0), dilation)


def _draw(
    shape: tuple[int, int, int], size: Pair, outputs: int, seed: int, dtype: type = np.float64
) -> list[FloatArray]:
    """Return x, weight, bias and a gradient of the results."""
    rng = np.random.default_rng(seed)
    shapes = [(2, *shape), (3, 3, shape[2], outputs), (outputs,), (2, *size, outputs)]
    return [rng.standard_normal(s).astype(dtype) for s in shapes]


def _products(
    x: FloatArray,
    weight: FloatArray,
    bias: FloatArray | None,
    size: Pair,
    padding: Pair,
    dilation: Pair,
    *,
    turned: bool = False,
) -> FloatArray:
    y = np.full((len(x), *size, weight.shape[2 if turned else 3]), np.nan, x.dtype)
    conv_winograd.products(x, weight, bias, y, padding, dilation, 0, turned)
    return y


lengths = st.tuples(st.integers(1, 40), st.integers(1, 40))


@settings(max_examples=60)
@given(
    image=lengths,
    size=lengths,
    padding=st.tuples(st.integers(-4, 20), st.integers(-4, 20)),
    dilation=st.tuples(st.integers(1, 50), st.integers(1, 5)),
    channels=st.sampled_from([FEW, FEW[::-1], (33, 16), MANY]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_geometry(
    image: Pair, size: Pair, padding: Pair, dilation: Pair, channels: Pair, seed: int
) -> None:
    if channels == MANY:  # small ones do
        image, size = (image[0] % 14 + 1, image[1] % 9 + 1), (size[0] % 14 + 1, size[1] % 9 + 1)
    c, outputs = channels
    x, weight, bias, grad_y = _draw((*image, c), size, outputs, seed)
    y = _products(x, weight, bias, size, padding, dilation)
    np.testing.assert_allclose(y, _reference(x, weight, bias, size, padding, dilation), atol=1e-10)
    turned = _products(x, weight.transpose(0, 1, 3, 2), bias, size, padding, dilation, turned=True)
    flipped = np.ascontiguousarray(weight[::-1, ::-1])
    np.testing.assert_allclose(turned, _reference(x, flipped, bias, size, padding, dilation), atol=1e-10)
    grad = conv_winograd.grad_weight(x, grad_y, padding, dilation)
    ones = np.sum(grad * weight)  # linear in the weight: its directional derivative is its value
    expected = np.sum(_reference(x, weight, None, size, padding, dilation) * grad_y)
    assert abs(ones - expected) <= 1e-9 * np.sqrt(np.sum(weight**2) * np.sum(grad**2))


CASES = [
    ((37, 29), (1, 1), (1, 1), FEW),
    ((37, 29), (4, 3), (4, 3), FEW),
    ((37, 29), (1, 1), (1, 1), MANY),
    ((50, 31), (12, 12), (12, 12), MANY),
]


@pytest.mark.parametrize(("size", "padding", "dilation", "channels"), CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_grad_weight_agrees(size: Pair, padding: Pair, dilation: Pair, channels: Pair, dtype: type) -> None:
    x, _, _, grad_y = _draw((*size, channels[0]), size, channels[1], 3, dtype)
    got = conv_winograd.grad_weight(x, grad_y, padding, dilation)
    wide = [a.astype(np.float64) for a in (x, grad_y)]
    expected = reference.conv2d_grad_weight(*wide, (3, 3), (1, 1), padding, dilation)
    assert np.abs(got - expected).max() <= (2e-5 if dtype == np.float32 else 1e-12) * np.abs(expected).max()


@pytest.mark.parametrize(("size", "padding", "dilation", "channels"), CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_and_batch_change_no_bit(
    size: Pair, padding: Pair, dilation: Pair, channels: Pair, dtype: type
) -> None:
    x, weight, bias, grad_y = _draw((*size, channels[0]), size, channels[1], 4, dtype)
    before = get_num_threads()

    def run() -> list[bytes]:
        y = _products(x, weight, bias, size, padding, dilation)
        grad_x = _products(grad_y, weight, None, size, padding, dilation, turned=True)
        return [a.tobytes() for a in (y, grad_x, conv_winograd.grad_weight(x, grad_y, padding, dilation))]

    try:
        set_num_threads(1)
        expected = run()
        for threads in (2, 3):
            set_num_threads(threads)
            assert run() == expected
    finally:
        set_num_threads(before)
    alone = _products(x[1:], weight, bias, size, padding, dilation)
    assert alone.tobytes() == expected[0][len(expected[0]) // 2 :]


def test_large_images_are_cut_into_blocks() -> None:
    size: Pair = (130, 140)  # 22 * 24 tiles of 64 points and 513 values: more than one block
    x, weight, bias, grad_y = _draw((*size, MANY[0]), size, MANY[1], 5, np.float32)
    y = _products(x[:1], weight, bias, size, (1, 1), (1, 1))
    expected = _reference(x[:1], weight, bias, size, (1, 1), (1, 1))
    assert np.abs(y - expected).max() <= 1e-4 * np.abs(expected).max()
    grad = conv_winograd.grad_weight(x[:1], grad_y[:1], (1, 1), (1, 1))
    exact = reference.conv2d_grad_weight(x[:1], grad_y[:1], (3, 3), (1, 1), (1, 1), (1, 1))
    assert np.abs(grad - exact).max() <= 1e-4 * np.abs(exact).max()
