"""Winograd's tiles on a GPU, or the stand-in."""

from importlib import import_module
from types import ModuleType

import numpy as np
import pytest

from lstm2d.kernels import winograd
from lstm2d.kernels._reference import conv as reference

Pair = tuple[int, int]
ONE = (1, 1)
# images, rows, columns, channels in and out; padding; dilation
CASES: list[tuple[tuple[int, int, int, int, int], Pair, Pair]] = [
    ((1, 3, 3, 1, 1), (0, 0), ONE),
    ((1, 1, 1, 2, 3), (1, 1), ONE),
    ((2, 9, 10, 3, 5), (1, 1), ONE),
    ((1, 8, 6, 33, 2), (2, 0), ONE),  # two groups of channels; the second has one
    ((1, 7, 9, 2, 34), (1, 2), (2, 3)),
    ((1, 11, 6, 3, 2), (5, 4), (5, 4)),  # not every remainder has as many results
    ((2, 5, 4, 2, 3), (7, 6), (7, 3)),  # more padding than image, and remainders without a result
]


@pytest.fixture
def module(cp: ModuleType) -> ModuleType:
    return import_module("lstm2d.kernels._cuda.conv_winograd")


def draw(
    case: tuple[int, int, int, int, int], padding: Pair, dilation: Pair, rng: np.random.Generator, dtype: str
) -> list[np.ndarray]:
    """Return x, weight, bias and a gradient of the results."""
    n, h, w, c_in, c_out = case
    size = [v + 2 * p - 2 * d for v, p, d in zip((h, w), padding, dilation, strict=True)]
    shapes = [(n, h, w, c_in), (3, 3, c_in, c_out), (c_out,), (n, *size, c_out)]
    return [rng.standard_normal(s).astype(dtype) for s in shapes]


def close(found: np.ndarray, expected: np.ndarray) -> None:
    tolerance = 1e-4 if found.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("case", "padding", "dilation"), CASES)
@pytest.mark.parametrize("tiles", [None, 1, 5])  # of a block
def test_agrees(
    cp: ModuleType,
    module: ModuleType,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
    case: tuple[int, int, int, int, int],
    padding: Pair,
    dilation: Pair,
    dtype: str,
    tiles: int | None,
) -> None:
    arrays = draw(case, padding, dilation, rng, dtype)
    if tiles:
        monkeypatch.setattr(module, "SCRATCH", tiles * 36 * sum(case[3:]) * np.dtype(dtype).itemsize)
    x, weight, bias, grad_y = (cp.asarray(a) for a in arrays)
    wide = [a.astype(np.float64) for a in arrays]
    y = cp.empty(grad_y.shape, dtype)
    module.products(x, weight, bias, y, padding, dilation, "relu", turned=False)
    close(y.get(), reference.conv2d_forward(*wide[:3], ONE, padding, dilation, "relu"))
    grad_x = cp.empty(x.shape, dtype)
    outside = (2 * dilation[0] - padding[0], 2 * dilation[1] - padding[1])
    module.products(grad_y, weight, None, grad_x, outside, dilation, None, turned=True)
    size = (x.shape[1], x.shape[2])
    close(grad_x.get(), reference.conv2d_adjoint(wide[3], wide[1], None, size, ONE, padding, dilation))
    grad = module.grad_weight(x, grad_y, padding, dilation)
    close(grad.get(), reference.conv2d_grad_weight(wide[0], wide[3], (3, 3), ONE, padding, dilation))


def test_segments_of_a_long_sum(
    cp: ModuleType, module: ModuleType, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SEGMENT", 8)
    x, _, _, grad_y = draw((2, 17, 18, 2, 3), (1, 1), ONE, rng, "float64")  # 50 tiles
    assert module._segments(50, 2, 3) == (6, 16)
    grad = module.grad_weight(cp.asarray(x), cp.asarray(grad_y), (1, 1), ONE)
    close(grad.get(), reference.conv2d_grad_weight(x, grad_y, (3, 3), ONE, (1, 1), ONE))


def test_segments_keep_a_gpu_busy(cp: ModuleType, module: ModuleType) -> None:
    assert module._segments(10800, 64, 64) == (28, 392)
    assert module._segments(10800, 512, 512) == (1, 10800)
    assert module._segments(3, 64, 64) == (1, 8)
    for tiles in (1, 255, 1000, 4096):
        segments, length = module._segments(tiles, 65, 16)
        assert segments * length >= tiles
        assert length % module.TILES == 0


def test_matrices_are_those_of_the_cpu(cp: ModuleType, module: ModuleType, rng: np.random.Generator) -> None:
    exact = winograd.transforms(4, np.dtype(np.float64))
    pixels, results, taps = exact.pixels[4, :6, :6], exact.results[4, :4, :6], exact.taps[:6, :3]
    tile, weight, points = (rng.standard_normal(s) for s in ((6, 6), (3, 3), (6, 6)))
    grad_y = rng.standard_normal((4, 4))
    launch = module.launch
    found = cp.empty(36)
    one = np.int64(1)
    sizes = (1, 1, 0, 0, 1, 1, np.int64(0), one, one)
    launch("conv_winograd", "pixel_points", 1, cp.asarray(tile), found, 6, 6, 1, *sizes)
    np.testing.assert_allclose(found.get().reshape(6, 6), pixels @ tile @ pixels.T, atol=1e-13)
    launch("conv_winograd", "filter_points", 1, cp.asarray(weight), found, 1, 1, 0, one)
    np.testing.assert_allclose(found.get().reshape(6, 6), taps @ weight @ taps.T, atol=1e-14)
    y = cp.empty((4, 4))
    given = cp.asarray(points.ravel())
    launch("conv_winograd", "results", 1, given, y, None, 0, 4, 4, 1, 1, 1, 1, 1, np.int64(0), one)
    np.testing.assert_allclose(y.get(), results @ points @ results.T, atol=1e-13)
    turned = cp.empty((36, 1, 8))
    module._grad_points(cp.asarray(grad_y.reshape(1, 4, 4, 1)), turned, ONE, ONE, 1, 0, 1)
    np.testing.assert_allclose(turned.get()[:, 0, 0].reshape(6, 6), results.T @ grad_y @ results, atol=1e-13)
    assert (turned.get()[:, 0, 1:] == 0).all()
    grad = cp.empty((3, 3))
    launch("conv_winograd", "filter_gradient", 1, given, grad, 1, 1, 1, 0, one)
    np.testing.assert_allclose(grad.get(), taps.T @ points @ taps, atol=1e-14)


def test_saves_counts_memory_and_multiplications(cp: ModuleType, module: ModuleType) -> None:
    def saves(size: Pair, c_in: int, c_out: int, n: int = 1, dilation: int = 1) -> bool:
        return module.saves((n, *size, c_in), (n, *size, c_out), (dilation, dilation))

    assert saves((240, 320), 64, 64)
    assert not saves((240, 320), 3, 64)  # the points of 64 results are much more than the patches of 3
    assert saves((30, 40), 512, 512)
    assert saves((30, 40), 1024, 1024)
    assert not saves((6, 6), 1024, 1024)  # points of the filters, for four tiles
    assert saves((6, 6), 1024, 1024, n=64)
    assert not saves((20, 20), 64, 64, dilation=17)  # tiles with one or two results
    assert saves((60, 80), 512, 1024, dilation=12)


def test_the_right_ones_go_this_way(
    cp: ModuleType, module: ModuleType, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    conv = import_module("lstm2d.kernels._cuda.conv")
    x, weight, _, grad_y = draw((2, 16, 16, 8, 8), (1, 1), ONE, rng, "float64")
    assert module.saves(x.shape, grad_y.shape, ONE)
    device = [cp.asarray(a) for a in (x, weight, grad_y)]
    calls = []
    for name in ("products", "grad_weight"):
        function = getattr(module, name)
        monkeypatch.setattr(
            module,
            name,
            lambda *args, _f=function, **options: (calls.append(_f.__name__), _f(*args, **options))[1],
        )
    y = conv.conv2d_forward(*device[:2], None, ONE, ONE, ONE)
    close(y.get(), reference.conv2d_forward(x, weight, None, ONE, ONE, ONE))
    grad_x = conv.conv2d_adjoint(device[2], device[1], None, (16, 16), ONE, ONE, ONE)
    close(grad_x.get(), reference.conv2d_adjoint(grad_y, weight, None, (16, 16), ONE, ONE, ONE))
    grad = conv.conv2d_grad_weight(device[0], device[2], (3, 3), ONE, ONE, ONE)
    close(grad.get(), reference.conv2d_grad_weight(x, grad_y, (3, 3), ONE, ONE, ONE))
    assert calls == ["products", "products", "grad_weight"]
    conv.conv2d_forward(*device[:2], None, (2, 2), ONE, ONE)
    conv.conv2d_forward(device[0], device[1][:, :2], None, ONE, ONE, ONE)
    assert len(calls) == 3
