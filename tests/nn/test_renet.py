"""Sweep and ReNet: against plain NumPy, and initial parameters."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit

from lstm2d import Tensor, backward
from lstm2d.nn import ReNet, Sweep, Unit, init
from lstm2d.nn.renet import GATES, UNITS

Array = NDArray[np.float64]
EVEN = partial(init.uniform, limit=0.5)


def step(unit: Unit, a: Array, h: Array, c: Array, r: Array) -> tuple[Array, Array]:
    """Return hidden state and cell after one step; `a` is the input's product with its bias, `r` is R."""
    u = h.shape[-1]
    gates = [slice(k * u, (k + 1) * u) for k in range(GATES[unit])]
    if unit == "gru":
        reset, update = (expit(a[:, g] + h @ r[:, g]) for g in gates[:2])
        candidate = np.tanh(a[:, gates[2]] + reset * (h @ r[:, gates[2]]))
        return (1 - update) * h + update * candidate, c
    total = a + h @ r
    if unit == "lstm":
        i, f, o = (expit(total[:, gates[k]]) for k in (0, 1, 3))
        c = f * c + i * np.tanh(total[:, gates[2]])
        return o * np.tanh(c), c
    return (np.tanh(total) if unit == "tanh" else np.maximum(total, 0)), c


def plain_sweep(x: Array, sweep: Sweep, unit: Unit, axis: int) -> Array:
    """Return a sweep, computed position by position."""
    x = np.moveaxis(x, axis, 0)  # (steps, N, others, C)
    steps, n, others, _ = x.shape
    results = []
    for d in (0, 1):
        weight, recurrent, bias = (p.data[d] for p in (sweep.weight, sweep.recurrent, sweep.bias))
        units = recurrent.shape[0]
        h = c = np.zeros((n * others, units))
        states = np.empty((steps, n, others, units))
        for t in range(steps) if d == 0 else reversed(range(steps)):
            h, c = step(unit, x[t].reshape(n * others, -1) @ weight + bias, h, c, recurrent)
            states[t] = h.reshape(n, others, units)
        results.append(states)
    return np.moveaxis(np.concatenate(results, axis=-1), 0, axis)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("axis", [1, 2])
def test_sweep_against_plain_numpy(unit: Unit, axis: int, rng: np.random.Generator) -> None:
    sweep = Sweep(5, 3, axis=axis, unit=unit, weight=EVEN, recurrent=EVEN, rng=rng, dtype=np.float64)
    for p in sweep.parameters():
        p.data[...] = 0.7 * rng.standard_normal(p.shape)
    x = rng.standard_normal((2, 4, 6, 5))
    y = sweep(Tensor(x))
    assert y.shape == (2, 4, 6, 6)
    np.testing.assert_allclose(y.data, plain_sweep(x, sweep, unit, axis), rtol=1e-10, atol=1e-12)
    backward(y, np.ones(y.shape))
    assert all(p.grad is not None and p.grad.any() for p in sweep.parameters())


@settings(max_examples=40)
@given(
    unit=st.sampled_from(UNITS),
    size=st.tuples(st.integers(1, 2), st.integers(1, 4), st.integers(1, 4)),
    channels=st.integers(1, 3),
    units=st.integers(1, 4),
    patch=st.integers(1, 3),
)
def test_renet_against_plain_numpy(
    unit: Unit, size: tuple[int, int, int], channels: int, units: int, patch: int
) -> None:
    rng = np.random.default_rng([*size, channels, units, patch])
    layer = ReNet(
        channels, units, patch=patch, unit=unit, weight=EVEN, recurrent=EVEN, rng=rng, dtype=np.float64
    )
    n, rows, columns = size
    blocks = rng.standard_normal((n, rows, columns, patch, patch, channels))
    x = blocks.transpose(0, 1, 3, 2, 4, 5).reshape(n, rows * patch, columns * patch, channels)
    vertical = plain_sweep(blocks.reshape(n, rows, columns, -1), layer.vertical, unit, 1)
    horizontal = plain_sweep(vertical, layer.horizontal, unit, 2)
    found = layer.sweeps(Tensor(x))
    np.testing.assert_allclose(found[0].data, vertical, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found[1].data, horizontal, rtol=1e-10, atol=1e-12)
    assert layer(Tensor(x)).data.tobytes() == found[1].data.tobytes()


def test_every_position_sees_the_whole_image(rng: np.random.Generator) -> None:
    layer = ReNet(1, 3, weight=EVEN, recurrent=EVEN, rng=rng, dtype=np.float64)
    x = rng.standard_normal((1, 4, 5, 1))
    before = layer(Tensor(x)).data
    for place in ((0, 0), (3, 0), (0, 4), (3, 4), (1, 2)):
        changed = x.copy()
        changed[0, *place] += 1
        assert (np.abs(layer(Tensor(changed)).data - before).max(axis=-1) > 0).all()


@pytest.mark.parametrize("unit", ["gru", "lstm", "tanh"])
def test_each_recurrent_matrix_starts_orthonormal(unit: Unit, rng: np.random.Generator) -> None:
    normal = partial(init.normal, deviation=0.1)
    sweep = Sweep(30, 8, axis=1, unit=unit, weight=normal, recurrent=init.orthonormal, rng=rng)
    gates = GATES[unit]
    matrices = sweep.recurrent.data.reshape(2, 8, gates, 8).swapaxes(1, 2)
    for matrix in matrices.reshape(-1, 8, 8):
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(8), atol=1e-6)
    assert len({m.tobytes() for m in matrices.reshape(-1, 8, 8)}) == 2 * gates
    assert sweep.weight.shape == (2, 30, gates * 8)
    assert sweep.weight.data.std() == pytest.approx(0.1, rel=0.1)
    assert not sweep.bias.data.any()


def test_rectified_units_start_by_keeping_their_state(rng: np.random.Generator) -> None:
    sweep = Sweep(2, 5, axis=2, unit="irnn", weight=EVEN, recurrent=init.orthonormal, rng=rng)
    np.testing.assert_array_equal(sweep.recurrent.data, [np.eye(5)] * 2)
    x = np.zeros((1, 1, 4, 2), np.float32)
    x[0, 0, 0] = rng.standard_normal(2)
    y = sweep(Tensor(x)).data[0, 0, :, :5]  # rightward
    np.testing.assert_array_equal(y, [y[0]] * 4)
    assert y.any()


def test_forget_bias(rng: np.random.Generator) -> None:
    sweep = Sweep(2, 3, axis=1, unit="lstm", forget_bias=2.0, weight=EVEN, recurrent=EVEN, rng=rng)
    assert sweep.bias.data.reshape(2, 4, 3)[:, :, 0].tolist() == [[0, 2, 0, 0]] * 2
    other = ReNet(2, 3, unit="gru", forget_bias=2.0, weight=EVEN, recurrent=EVEN, rng=rng)
    assert not any(s.bias.data.any() for s in (other.vertical, other.horizontal))


def test_names_of_the_parameters(rng: np.random.Generator) -> None:
    layer = ReNet(2, 3, patch=2, weight=EVEN, recurrent=EVEN, rng=rng)
    shapes = {name: p.shape for name, p in layer.named_parameters()}
    assert shapes == {
        "vertical.weight": (2, 8, 9),
        "vertical.recurrent": (2, 3, 9),
        "vertical.bias": (2, 9),
        "horizontal.weight": (2, 6, 9),
        "horizontal.recurrent": (2, 3, 9),
        "horizontal.bias": (2, 9),
    }
