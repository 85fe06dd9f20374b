"""Nested Winograd convolutions against the reference, on images of any size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm2d.kernels._cython import conv_nested
from lstm2d.kernels._reference import conv as reference
from lstm2d.kernels.threads import get_num_threads, set_num_threads
from lstm2d.tensor import FloatArray

Pair = tuple[int, int]
ONE = (1, 1)


def products(x: FloatArray, weight: FloatArray, bias: FloatArray | None, padding: Pair) -> FloatArray:
    size = [x.shape[k + 1] + 2 * padding[k] - weight.shape[k] + 1 for k in (0, 1)]
    y = np.full((len(x), *size, weight.shape[3]), np.nan, x.dtype)
    conv_nested.products(x, weight, bias, y, padding)
    return y


def both(
    x: FloatArray, weight: FloatArray, bias: FloatArray | None, grad_y: FloatArray, padding: Pair
) -> tuple[list[FloatArray], list[FloatArray]]:
    """Return results, gradient of x and gradient of weight of the kernel and of the reference."""
    kernel = (weight.shape[0], weight.shape[1])
    outside = (kernel[0] - 1 - padding[0], kernel[1] - 1 - padding[1])
    turned = weight.transpose(0, 1, 3, 2)[::-1, ::-1]
    size = (x.shape[1], x.shape[2])
    found = [
        products(x, weight, bias, padding),
        products(grad_y, turned, None, outside),
        conv_nested.grad_weight(x, grad_y, kernel, padding),
    ]
    expected = [
        reference.conv2d_forward(x, weight, bias, ONE, padding, ONE),
        reference.conv2d_adjoint(grad_y, weight, None, size, ONE, padding, ONE),
        reference.conv2d_grad_weight(x, grad_y, kernel, ONE, padding, ONE),
    ]
    return found, expected


channels = st.sampled_from([1, 2, 11, 16, 17, 33])


@settings(max_examples=150)
@given(
    shape=st.tuples(st.integers(1, 2), st.integers(1, 30), st.integers(1, 60), channels),
    kernel=st.tuples(st.integers(1, 13), st.integers(1, 13), channels),
    padding=st.tuples(st.integers(0, 15), st.integers(0, 15)),
    bias=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_shape_agrees(
    shape: tuple[int, int, int, int], kernel: tuple[int, int, int], padding: Pair, bias: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    kh, kw, outputs = kernel
    n, h, w, inputs = shape
    h, w = max(h, kh - 2 * padding[0]), max(w, kw - 2 * padding[1])
    x = rng.standard_normal((n, h, w, inputs))
    grad_y = rng.standard_normal((n, h + 2 * padding[0] - kh + 1, w + 2 * padding[1] - kw + 1, outputs))
    weight = rng.standard_normal((kh, kw, inputs, outputs))
    found, expected = both(x, weight, rng.standard_normal(outputs) if bias else None, grad_y, padding)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 * max(1, np.abs(b).max()))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("shape", "kernel"),
    [
        ((1, 9, 1100, 3), (4, 8, 18)),  # three blocks side by side
        ((2, 60, 50, 16), (7, 5, 11)),
        ((1, 25, 30, 130), (5, 5, 129)),  # products in pieces, filters in several chunks, two groups
    ],
)
def test_blocks_and_threads(
    dtype: type, shape: tuple[int, int, int, int], kernel: tuple[int, int, int], rng: np.random.Generator
) -> None:
    kh, kw, outputs = kernel
    x = rng.standard_normal(shape).astype(dtype)
    weight = rng.standard_normal((kh, kw, shape[3], outputs)).astype(dtype)
    bias = rng.standard_normal(outputs).astype(dtype)
    grad_y = rng.standard_normal((shape[0], shape[1] - kh + 3, shape[2] - kw + 5, outputs)).astype(dtype)
    before = get_num_threads()
    try:
        set_num_threads(1)
        found, expected = both(x, weight, bias, grad_y, (1, 2))
        for threads in (2, 3):
            set_num_threads(threads)
            for a, b in zip(both(x, weight, bias, grad_y, (1, 2))[0], found, strict=True):
                assert a.tobytes() == b.tobytes()
    finally:
        set_num_threads(before)
    tolerance = 5e-5 if dtype is np.float32 else 1e-12
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max())
