"""The 2D-LSTM layer on a GPU, or the stand-in, against the reference."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lstm2d import Tensor, backward, kernels
from lstm2d.ops import lstm2d_layer

Array = NDArray[Any]
SIZES = [(1, 1, 1, 1), (1, 1, 6, 3), (2, 5, 1, 2), (1, 9, 4, 2), (2, 6, 7, 1), (3, 4, 5, 2)]
OPTIONS = [(1.0, False), (0.5, False), (1.0, True), (0.7, True)]  # cell_scale, leaky


def arguments(
    rng: np.random.Generator, size: tuple[int, ...], units: int, dtype: str, peepholes: bool = True
) -> list[Any]:
    """Return x, weight, recurrent, bias, peepholes and the gradient of the result."""
    shapes = [size, (4, size[3], 5 * units), (4, 2 * units, 5 * units), (4, 5 * units), (4, 5, units)]
    scales = (1, *(4 * (0.9 / (3 + units),)))  # cells stay small
    arrays = [(k * rng.standard_normal(s)).astype(dtype) for k, s in zip(scales, shapes, strict=True)]
    grad_y = rng.standard_normal((*size[:3], 4 * units)).astype(dtype)
    return [*arrays[:4], arrays[4] if peepholes else None, grad_y]


def run(arrays: list[Any], cell_scale: float = 1.0, leaky: bool = False, need_x: bool = True) -> list[Any]:
    """Return the result and all gradients."""
    x, weight, recurrent, bias, peepholes, grad_y = arrays
    k = kernels.pick("lstm2d", like=x)
    parameters = (weight, recurrent, bias, peepholes, cell_scale, leaky)
    y, kept = k.lstm2d_forward(x, *parameters, True)
    return [y, *k.lstm2d_backward(grad_y, x, kept, *parameters, need_x)]


def on_device(cp: ModuleType, arrays: list[Any]) -> list[Any]:
    return [None if a is None else cp.asarray(a) for a in arrays]


def assert_agree(got: list[Any], expected: list[Any], dtype: str) -> None:
    tolerance = 1e-4 if dtype == "float32" else 1e-10
    for g, e in zip(got, expected, strict=True):
        if e is None:
            assert g is None
            continue
        assert g.dtype == dtype
        assert g.shape == e.shape
        scale = max(1.0, float(np.abs(e).max(initial=0)))
        np.testing.assert_allclose(g.get(), e, rtol=tolerance, atol=tolerance * scale)


def compare(cp: ModuleType, arrays: list[Any], *options: Any) -> None:
    with kernels.use("_reference"):
        expected = run(arrays, *options)
    assert_agree(run(on_device(cp, arrays), *options), expected, str(arrays[0].dtype))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("peepholes", [True, False])
def test_sizes(cp: ModuleType, rng: np.random.Generator, size: tuple[int, ...], peepholes: bool) -> None:
    compare(cp, arguments(rng, size, 3, "float64", peepholes))


@pytest.mark.parametrize(("cell_scale", "leaky"), OPTIONS)
@pytest.mark.parametrize("peepholes", [True, False])
def test_options(
    cp: ModuleType, rng: np.random.Generator, cell_scale: float, leaky: bool, peepholes: bool
) -> None:
    compare(cp, arguments(rng, (1, 6, 5, 2), 2, "float64", peepholes), cell_scale, leaky)


@pytest.mark.parametrize("units", [1, 13, 30])  # the last has slices of rows, and more units than threads
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_units(cp: ModuleType, rng: np.random.Generator, dtype: str, units: int) -> None:
    compare(cp, arguments(rng, (1, 6, 4, 2), units, dtype))


@pytest.mark.parametrize("processors", [1, 3, 4, 8, 9, 1000])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bands_in_turn(
    cp: ModuleType, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, dtype: str, processors: int
) -> None:
    # few multiprocessors: eight rows a band, and several bands one after the other in a block
    monkeypatch.setenv("LSTM2D_STAND_IN_PROCESSORS", str(processors))
    monkeypatch.setattr("lstm2d.kernels._cuda.lstm2d.processors", lambda: processors)
    compare(cp, arguments(rng, (2, 19, 5, 2), 3, dtype))


@pytest.mark.parametrize("room", [2200, 4000])
def test_weights_beyond_shared_memory(
    cp: ModuleType, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    monkeypatch.setattr("lstm2d.kernels._cuda.steps.shared_limit", lambda: 4 * room)
    compare(cp, arguments(rng, (1, 6, 4, 2), 16, "float32"))


def test_views(cp: ModuleType, rng: np.random.Generator) -> None:
    def views(arrays: list[Any]) -> list[Any]:
        x, weight, recurrent, bias, peepholes, grad_y = arrays
        x, grad_y = x[::2, :, ::-1], grad_y.transpose(0, 2, 1, 3)[1::2]
        return [x, weight[:, ::-1], recurrent[..., ::-1], bias[::-1], peepholes[:, ::-1], grad_y]

    arrays = arguments(rng, (4, 5, 5, 4), 3, "float64")
    with kernels.use("_reference"):
        expected = run(views(arrays))
    assert_agree(run(views(on_device(cp, arrays))), expected, "float64")


@pytest.mark.parametrize("size", [(0, 3, 3, 2), (1, 0, 4, 2), (1, 3, 0, 2), (1, 3, 3, 0)])
@pytest.mark.parametrize("peepholes", [True, False])
def test_empty(cp: ModuleType, rng: np.random.Generator, size: tuple[int, ...], peepholes: bool) -> None:
    compare(cp, arguments(rng, size, 2, "float32", peepholes))


def test_nothing_kept_and_no_gradient_of_x(cp: ModuleType, rng: np.random.Generator) -> None:
    arrays = on_device(cp, arguments(rng, (1, 5, 4, 2), 3, "float32"))
    k = kernels.pick("lstm2d", like=arrays[0])
    y, kept = k.lstm2d_forward(*arrays[:5], 1.0, False, False)
    assert kept is None
    results = run(arrays, need_x=False)
    np.testing.assert_array_equal(results[0].get(), y.get())
    assert results[1] is None


def test_what_is_kept_serves_twice(cp: ModuleType, rng: np.random.Generator) -> None:
    *arrays, grad_y = on_device(cp, arguments(rng, (1, 5, 4, 2), 3, "float64"))
    x, parameters = arrays[0], (*arrays[1:], 1.0, False)
    k = kernels.pick("lstm2d", like=x)
    _, kept = k.lstm2d_forward(x, *parameters, True)
    first, second = (k.lstm2d_backward(grad_y, x, kept, *parameters, True) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.get(), b.get())


def test_nan_is_not_hidden(cp: ModuleType, rng: np.random.Generator) -> None:
    x, *parameters, _ = arguments(rng, (1, 9, 6, 2), 3, "float32")
    x[0, 5, 3, 0] = np.nan
    k = kernels.pick("lstm2d", like=cp.asarray(x))
    y = k.lstm2d_forward(*on_device(cp, [x, *parameters]), 1.0, False, False)[0].get()
    down_right = np.isnan(y[0, ..., 0])
    assert down_right[5:, 3:].all()
    assert not down_right[:5].any()
    assert not down_right[:, :3].any()


def test_layer_with_clipped_errors(cp: ModuleType, rng: np.random.Generator) -> None:
    *arrays, grad_y = arguments(rng, (1, 5, 4, 2), 3, "float64")
    grads: list[list[Any]] = []
    for move in (np.asarray, cp.asarray):
        leaves = [Tensor(move(a), requires_grad=True) for a in arrays]
        y = lstm2d_layer(*leaves, cell_scale=0.7, error_clip=0.3)
        backward(y, move(grad_y))
        grads.append([y.data, *(leaf.grad for leaf in leaves)])
    assert_agree(grads[1], grads[0], "float64")
