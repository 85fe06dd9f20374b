"""Recurrent sweeps on a GPU, or the stand-in, against the reference."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lstm2d import kernels

Array = NDArray[Any]
UNITS = {"gru": 3, "lstm": 4, "tanh": 1, "relu": 1}  # and the products of each
SIZES = [(1, 1, 1, 1), (1, 1, 5, 3), (2, 5, 1, 2), (2, 4, 7, 3), (3, 6, 3, 1)]


def arguments(
    rng: np.random.Generator, size: tuple[int, ...], units: int, gates: int, dtype: str
) -> list[Array]:
    """Return x, weight, recurrent, bias and the gradient of the result."""
    shapes = [size, (2, size[3], gates * units), (2, units, gates * units), (2, gates * units)]
    scales = (1, 0.4, 0.4, 0.4)  # states stay small
    arrays = [(k * rng.standard_normal(s)).astype(dtype) for k, s in zip(scales, shapes, strict=True)]
    return [*arrays, rng.standard_normal((*size[:3], 2 * units)).astype(dtype)]


def run(arrays: list[Any], unit: str, axis: int, need_x: bool = True) -> list[Any]:
    """Return the result and all gradients."""
    x, weight, recurrent, bias, grad_y = arrays
    k = kernels.pick("rnn", like=x)
    y, kept = k.rnn_forward(x, weight, recurrent, bias, unit, axis, True)
    grads = k.rnn_backward(grad_y, x, y, kept, weight, recurrent, unit, axis, need_x)
    return [y, *grads]


def assert_agree(got: list[Any], expected: list[Array], dtype: str) -> None:
    tolerance = 1e-4 if dtype == "float32" else 1e-10
    for g, e in zip(got, expected, strict=True):
        assert g.dtype == dtype
        assert g.shape == e.shape
        scale = max(1.0, float(np.abs(e).max(initial=0)))
        np.testing.assert_allclose(g.get(), e, rtol=tolerance, atol=tolerance * scale)


def compare(cp: ModuleType, arrays: list[Array], unit: str, axis: int) -> None:
    with kernels.use("_reference"):
        expected = run(arrays, unit, axis)
    assert_agree(run([cp.asarray(a) for a in arrays], unit, axis), expected, str(arrays[0].dtype))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("unit", UNITS)
def test_sizes(cp: ModuleType, rng: np.random.Generator, unit: str, axis: int, size: tuple[int, ...]) -> None:
    compare(cp, arguments(rng, size, 3, UNITS[unit], "float64"), unit, axis)


@pytest.mark.parametrize("units", [1, 17, 34])  # the last has slices of rows, and a line for several threads
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("unit", UNITS)
def test_units(cp: ModuleType, rng: np.random.Generator, unit: str, dtype: str, units: int) -> None:
    compare(cp, arguments(rng, (1, 4, 5, 2), units, UNITS[unit], dtype), unit, 1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("unit", ["gru", "lstm"])
def test_eight_lines_a_block(
    cp: ModuleType, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, unit: str, dtype: str
) -> None:
    monkeypatch.setattr("lstm2d.kernels._cuda.rnn.processors", lambda: 1)
    compare(cp, arguments(rng, (2, 3, 11, 2), 5, UNITS[unit], dtype), unit, 1)


@pytest.mark.parametrize("room", [2000, 5000])
@pytest.mark.parametrize("unit", ["gru", "lstm", "tanh"])
def test_weights_beyond_shared_memory(
    cp: ModuleType, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, unit: str, room: int
) -> None:
    monkeypatch.setattr("lstm2d.kernels._cuda.steps.shared_limit", lambda: 4 * room)
    compare(cp, arguments(rng, (1, 4, 5, 2), 20, UNITS[unit], "float32"), unit, 2)


def test_too_many_units(cp: ModuleType, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lstm2d.kernels._cuda.steps.shared_limit", lambda: 1000)
    with pytest.raises(ValueError, match=r"20 units: .* room for 250 values"):
        compare(cp, arguments(rng, (1, 4, 5, 2), 20, 3, "float32"), "gru", 2)


def test_views(cp: ModuleType, rng: np.random.Generator) -> None:
    def views(arrays: list[Any]) -> list[Any]:
        x, weight, recurrent, bias, grad_y = arrays
        x, grad_y = x[::2, :, ::-1], grad_y.transpose(0, 2, 1, 3)[1::2]
        return [x, weight[:, ::-1], recurrent[..., ::-1], bias[::-1], grad_y]

    arrays = arguments(rng, (4, 5, 5, 4), 3, 3, "float64")
    with kernels.use("_reference"):
        expected = run(views(arrays), "gru", 1)
    assert_agree(run(views([cp.asarray(a) for a in arrays]), "gru", 1), expected, "float64")


@pytest.mark.parametrize("size", [(0, 3, 3, 2), (1, 0, 4, 2), (1, 3, 0, 2), (1, 3, 3, 0)])
@pytest.mark.parametrize("unit", UNITS)
def test_empty(cp: ModuleType, rng: np.random.Generator, unit: str, size: tuple[int, ...]) -> None:
    compare(cp, arguments(rng, size, 2, UNITS[unit], "float32"), unit, 1)


def test_nothing_kept_and_no_gradient_of_x(cp: ModuleType, rng: np.random.Generator) -> None:
    for unit, gates in UNITS.items():
        arrays = [cp.asarray(a) for a in arguments(rng, (1, 3, 4, 2), 3, gates, "float32")]
        k = kernels.pick("rnn", like=arrays[0])
        y, kept = k.rnn_forward(*arrays[:4], unit, 2, False)
        assert kept is None
        results = run(arrays, unit, 2, need_x=False)
        np.testing.assert_array_equal(results[0].get(), y.get())
        assert results[1] is None


def test_same_bits_every_time(cp: ModuleType, rng: np.random.Generator) -> None:
    arrays = [cp.asarray(a) for a in arguments(rng, (1, 3, 4, 2), 20, 4, "float32")]
    for first, second in zip(run(arrays, "lstm", 1), run(arrays, "lstm", 1), strict=True):
        np.testing.assert_array_equal(first.get(), second.get())


def test_nan_is_not_hidden(cp: ModuleType, rng: np.random.Generator) -> None:
    for unit, gates in UNITS.items():
        x, *rest = arguments(rng, (1, 4, 2, 1), 2, gates, "float32")
        x[0, 2, 0, 0] = np.nan
        k = kernels.pick("rnn", like=cp.asarray(x))
        y = k.rnn_forward(*(cp.asarray(a) for a in (x, *rest[:3])), unit, 1, False)[0].get()
        assert np.isnan(y[0, 2:, 0, :2]).all()
        assert np.isnan(y[0, :3, 0, 2:]).all()
        assert np.isfinite(y[0, :2, 0, :2]).all()
        assert np.isfinite(y[0, :, 1]).all()
