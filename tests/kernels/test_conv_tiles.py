"""Winograd's convolutions on Numba: every result in one tile, and the kernel for any geometry."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm2d.kernels._numba import conv_tiles, conv_winograd
from lstm2d.kernels._reference import conv as reference
from lstm2d.kernels.threads import get_num_threads, set_num_threads
from lstm2d.tensor import FloatArray

Pair = tuple[int, int]
ONE = (1, 1)


@pytest.mark.parametrize("results", [(1, 1), (4, 5), (50, 63), (9, 1100), (130, 140)])
@pytest.mark.parametrize("kernel", [(3, 3), (8, 8), (1, 13)])
@pytest.mark.parametrize("dilation", [(1, 1), (3, 2), (12, 60)])
def test_every_result_is_in_one_tile(results: Pair, kernel: Pair, dilation: Pair) -> None:
    method = conv_tiles.method(kernel)
    tiles = conv_tiles.tiles(results, 36, method, (2, 1), dilation)
    covered = np.zeros(results, int)
    for (row, column), (rows, columns) in zip(tiles.first, tiles.counts, strict=True):
        covered[row :: dilation[0], column :: dilation[1]][:rows, :columns] += 1
    assert (covered == 1).all()
    assert tiles.counts.max() <= 4
    for block in range(len(tiles.begin) - 1):  # the windows of a tile: what it sees, and its neighbours see
        seen = tiles.seen[slice(*tiles.seen_begin[block : block + 2])]
        for tile in range(*tiles.begin[block : block + 2]):
            for a, b in np.ndindex(method.down, method.across):
                at = seen[tiles.window[tile] + a * tiles.pitch[tile] + b]
                assert (at == tiles.first[tile] + 4 * np.multiply((a, b), dilation) - (2, 1)).all()


def test_what_is_worth_it() -> None:
    def saves(weight: tuple[int, int, int, int], size: Pair = (120, 160), padding: Pair = ONE) -> bool:
        results = tuple(size[k] + 2 * padding[k] - weight[k] + 1 for k in (0, 1))
        return conv_tiles.saves(size, (results[0], results[1]), weight, padding, ONE)

    assert saves((3, 3, 64, 64))
    assert saves((8, 8, 25, 50), padding=(0, 0))
    assert not saves((3, 3, 3, 64))  # nothing is multiplied: few channels
    assert not saves((1, 1, 64, 64), padding=(0, 0))
    assert not saves((3, 3, 64, 64), (3, 3))  # the filters' transform, for one tile
    assert not conv_tiles.saves((50, 63), (50, 63), (3, 3, 512, 512), (49, 49), (49, 49))  # mostly zeros


def both(
    x: FloatArray,
    weight: FloatArray,
    bias: FloatArray | None,
    grad_y: FloatArray,
    padding: Pair,
    dilation: Pair,
) -> tuple[list[FloatArray], list[FloatArray]]:
    """Return results and gradient of weight of the kernel and of the reference."""
    y = np.full_like(grad_y, np.nan)
    conv_winograd.products(x, weight, bias, y, padding, dilation, 1)
    kernel = weight.shape[0], weight.shape[1]
    grad = conv_winograd.grad_weight(x, grad_y, kernel, padding, dilation)
    exact = reference.conv2d_forward(x, weight, bias, ONE, padding, dilation, "relu")
    return [y, grad], [exact, reference.conv2d_grad_weight(x, grad_y, kernel, ONE, padding, dilation)]


def draw(
    shape: tuple[int, ...], kernel: Pair, outputs: int, padding: Pair, dilation: Pair, seed: int, dtype: type
) -> list[FloatArray]:
    """Return x, weight, bias and a gradient of the results."""
    rng = np.random.default_rng(seed)
    n, h, w, channels = shape
    results = [s + 2 * p - d * (k - 1) for s, p, d, k in zip((h, w), padding, dilation, kernel, strict=True)]
    shapes = [shape, (*kernel, channels, outputs), (outputs,), (n, *results, outputs)]
    return [rng.standard_normal(s).astype(dtype) for s in shapes]


channels = st.sampled_from([1, 2, 3, 11, 17])


@pytest.mark.slow  # compiles
@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 2), st.integers(1, 30), st.integers(1, 60), channels),
    kernel=st.tuples(st.integers(1, 13), st.integers(1, 13)),
    outputs=channels,
    padding=st.tuples(st.integers(0, 15), st.integers(0, 15)),
    dilation=st.tuples(st.integers(1, 4), st.integers(1, 9)),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_geometry_agrees(
    shape: tuple[int, int, int, int], kernel: Pair, outputs: int, padding: Pair, dilation: Pair, seed: int
) -> None:
    n, *size, inputs = shape
    least = [d * (k - 1) + 1 - 2 * p for k, p, d in zip(kernel, padding, dilation, strict=True)]
    size = [max(s, m) for s, m in zip(size, least, strict=True)]
    drawn = draw((n, *size, inputs), kernel, outputs, padding, dilation, seed, np.float64)
    for found, expected in zip(*both(*drawn, padding, dilation), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11 * max(1, np.abs(expected).max()))


CASES = [
    ((1, 9, 1100, 3), (4, 8), 5, (0, 1), ONE),  # three runs of tiles side by side
    ((2, 130, 100, 11), (8, 8), 6, (0, 0), ONE),  # several blocks
    ((2, 70, 60, 16), (3, 3), 17, (12, 12), (12, 12)),  # phases
]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_blocks_and_threads(
    case: tuple[tuple[int, ...], Pair, int, Pair, Pair], dtype: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lstm2d.kernels._numba.jit.GRAIN", 1 << 8)  # small loops, too, are spread
    shape, kernel, outputs, padding, dilation = case
    drawn = draw(shape, kernel, outputs, padding, dilation, 1, dtype)
    before = get_num_threads()
    bits = []
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            pairs = both(*drawn, padding, dilation)
            bits.append([array.tobytes() for array in pairs[0]])
            for found, expected in zip(*pairs, strict=True):
                error = np.abs(found - expected).max()
                assert error <= (3e-5 if dtype == np.float32 else 1e-12) * np.abs(expected).max()
    finally:
        set_num_threads(before)
    assert bits[0] == bits[1] == bits[2]
