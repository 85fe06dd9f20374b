"""Winograd's tiles on a GPU, or the stand-in."""

from importlib import import_module
from types import ModuleType

import numpy as np
import pytest

from lstm2d.kernels import winograd
from lstm2d.kernels._reference import conv as reference
from lstm2d.selftest.cases.conv import Geometry, Pair, conv
from tests.kernels.cuda.compare import check

ONE = (1, 1)
GEOMETRIES: list[Geometry] = [
    ((1, 3, 3, 1), (3, 3, 1), ONE, (0, 0), ONE),
    ((1, 1, 1, 2), (3, 3, 3), ONE, (1, 1), ONE),
    ((2, 9, 10, 3), (3, 3, 5), ONE, (1, 1), ONE),
    ((1, 8, 6, 33), (3, 3, 2), ONE, (2, 0), ONE),  # two groups of channels; the second has one
    ((1, 7, 9, 2), (3, 3, 34), ONE, (1, 2), (2, 3)),
    ((1, 11, 6, 3), (3, 3, 2), ONE, (5, 4), (5, 4)),  # not every remainder has as many results
    ((2, 5, 4, 2), (3, 3, 3), ONE, (7, 6), (7, 3)),  # more padding than image, remainders without a result
]


@pytest.fixture
def module(cp: ModuleType) -> ModuleType:
    return import_module("lstm2d.kernels._cuda.conv_winograd")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("tiles", [None, 1, 5])  # of a block
def test_agrees(
    cp: ModuleType,
    module: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    geometry: Geometry,
    dtype: type,
    tiles: int | None,
) -> None:
    (*_, c_in), (*_, c_out), *_ = geometry
    monkeypatch.setattr(module, "saves", lambda *shapes: True)
    if tiles:
        monkeypatch.setattr(module, "SCRATCH", tiles * 36 * (c_in + c_out) * np.dtype(dtype).itemsize)
    check(cp, conv(geometry, activation="relu"), dtype)


def close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_segments_of_a_long_sum(
    cp: ModuleType, module: ModuleType, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SEGMENT", 8)
    x, grad_y = rng.standard_normal((2, 17, 18, 2)), rng.standard_normal((2, 17, 18, 3))  # 50 tiles
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
    assert not saves((240, 320), 3, 64)  # 64 results have many more points than the patches of 3 channels
    assert saves((30, 40), 512, 512)
    assert saves((30, 40), 1024, 1024)
    assert not saves((6, 6), 1024, 1024)  # points of the filters, for four tiles
    assert saves((6, 6), 1024, 1024, n=64)
    assert not saves((20, 20), 64, 64, dilation=17)  # tiles with one or two results
    assert saves((60, 80), 512, 1024, dilation=12)


def test_the_right_ones_go_this_way(
    cp: ModuleType, module: ModuleType, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    k = import_module("lstm2d.kernels._cuda.conv")
    x, grad_y = rng.standard_normal((2, 2, 16, 16, 8))
    weight = rng.standard_normal((3, 3, 8, 8))
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
    y = k.conv2d_forward(*device[:2], None, ONE, ONE, ONE)
    close(y.get(), reference.conv2d_forward(x, weight, None, ONE, ONE, ONE))
    grad_x = k.conv2d_adjoint(device[2], device[1], None, (16, 16), ONE, ONE, ONE)
    close(grad_x.get(), reference.conv2d_adjoint(grad_y, weight, None, (16, 16), ONE, ONE, ONE))
    grad = k.conv2d_grad_weight(device[0], device[2], (3, 3), ONE, ONE, ONE)
    close(grad.get(), reference.conv2d_grad_weight(x, grad_y, (3, 3), ONE, ONE, ONE))
    assert calls == ["products", "products", "grad_weight"]
    k.conv2d_forward(*device[:2], None, (2, 2), ONE, ONE)
    k.conv2d_forward(device[0], device[1][:, :2], None, ONE, ONE, ONE)
    assert len(calls) == 3
