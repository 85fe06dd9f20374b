"""Scans of strips of rows, one below the other, are those of the whole image."""

import itertools

import numpy as np
import pytest
from numpy.random import Generator

from lstm2d import kernels

BACKENDS = [name for name in kernels.available("lstm2d") if name != "_numba"]
BOUND = {"float32": 2e-6, "float64": 1e-14}


def cuts_of(rows: int, rng: Generator) -> list[int]:
    inside = rng.choice(np.arange(1, rows), size=min(4, rows - 1), replace=False) if rows > 1 else []
    return [0, *sorted(int(cut) for cut in inside), rows]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("leaky", "peepholes"), [(False, True), (True, False), (True, True)])
@pytest.mark.parametrize("size", [(1, 1), (1, 6), (7, 1), (13, 5), (6, 19)])
def test_lstm2d(
    backend: str, dtype: str, leaky: bool, peepholes: bool, size: tuple[int, int], rng: Generator
) -> None:
    n, (height, width), channels, units = 2, size, 3, 4
    draw = lambda *shape: rng.normal(0, 0.3, shape).astype(dtype)  # noqa: E731
    x, weight, recurrent = (
        draw(n, height, width, channels),
        draw(4, channels, 5 * units),
        draw(4, 2 * units, 5 * units),
    )
    bias, peep = draw(4, 5 * units), draw(4, 5, units) if peepholes else None
    with kernels.use(backend):
        k = kernels.pick("lstm2d", like=x)
        whole, _ = k.lstm2d_forward(x, weight, recurrent, bias, peep, 0.5, leaky, False)
        for up in (False, True):
            part = slice(2, 4) if up else slice(0, 2)
            rows = x[:, ::-1] if up else x
            above = np.zeros((n, 2, width, 2 * units), dtype)
            above.flags.writeable = False
            parts, cuts = [], cuts_of(height, rng)
            for first, last in itertools.pairwise(cuts):
                strip = rows[:, first:last]
                peeps = None if peep is None else peep[part]
                y, above = k.lstm2d_strip(
                    strip, weight[part], recurrent[part], bias[part], peeps, 0.5, leaky, above
                )
                assert y.shape == (n, last - first, width, 2 * units)
                parts.append(y)
            found = np.concatenate(parts, axis=1)[:, :: -1 if up else 1]
            expected = whole[..., 2 * units :] if up else whole[..., : 2 * units]
            assert found.dtype == expected.dtype
            np.testing.assert_allclose(found, expected, rtol=0, atol=BOUND[dtype])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("unit", "gates", "states"), [("gru", 3, 1), ("lstm", 4, 2), ("tanh", 1, 1), ("relu", 1, 1)]
)
@pytest.mark.parametrize("size", [(1, 4), (7, 1), (13, 5), (6, 410)])
def test_rnn(
    backend: str, dtype: str, unit: str, gates: int, states: int, size: tuple[int, int], rng: Generator
) -> None:
    n, (height, width), channels, units = 2, size, 3, 5
    draw = lambda *shape: rng.normal(0, 0.4, shape).astype(dtype)  # noqa: E731
    x, weight = draw(n, height, width, channels), draw(2, channels, gates * units)
    recurrent, bias = draw(2, units, gates * units), draw(2, gates * units)
    with kernels.use(backend):
        k = kernels.pick("rnn", like=x)
        whole, _ = k.rnn_forward(x, weight, recurrent, bias, unit, 1, False)
        for up in (False, True):
            side, rows = slice(up, up + 1), x[:, ::-1] if up else x
            above = np.zeros((n, 1, width, states * units), dtype)
            above.flags.writeable = False
            parts, cuts = [], cuts_of(height, rng)
            for first, last in itertools.pairwise(cuts):
                y, above = k.rnn_strip(
                    rows[:, first:last], weight[side], recurrent[side], bias[side], unit, above
                )
                parts.append(y)
            found = np.concatenate(parts, axis=1)[:, :: -1 if up else 1]
            expected = whole[..., units:] if up else whole[..., :units]
            np.testing.assert_allclose(found, expected, rtol=0, atol=BOUND[dtype])


@pytest.mark.slow  # compiles
@pytest.mark.parametrize("size", [(1, 6), (7, 1), (13, 5)])
def test_lstm2d_of_numba(size: tuple[int, int], rng: Generator) -> None:
    pytest.importorskip("numba")
    test_lstm2d("_numba", "float64", True, True, size, rng)


@pytest.mark.slow
@pytest.mark.parametrize(("unit", "gates", "states"), [("gru", 3, 1), ("lstm", 4, 2)])
def test_rnn_of_numba(unit: str, gates: int, states: int, rng: Generator) -> None:
    pytest.importorskip("numba")
    test_rnn("_numba", "float64", unit, gates, states, (13, 5), rng)
