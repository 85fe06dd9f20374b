"""The partition of a step's product: assumptions of the kernels, for every GPU and size."""

from importlib import import_module
from types import ModuleType

import numpy as np
import pytest

LIMITS = [64 << 10, 99 << 10, 163 << 10, 227 << 10]  # bytes of shared memory: compute 7.5, 8.6, 8.0, 9.0


@pytest.fixture
def steps(cupy_module: ModuleType) -> ModuleType:
    return import_module("lstm2d.kernels._cuda.steps")


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("itemsize", [4, 8])
@pytest.mark.parametrize("crowded", [True, False])
@pytest.mark.parametrize("couriers", [0, 64])
def test_what_kernels_rely_on(
    steps: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    limit: int,
    itemsize: int,
    crowded: bool,
    couriers: int,
) -> None:
    monkeypatch.setattr(steps, "shared_limit", lambda: limit)
    for units in (1, 2, 3, 4, 10, 20, 50, 80, 100, 400 // itemsize, 800 // itemsize):
        for rows, columns in ((2, 5), (5, 2), (1, 1), (4, 1), (1, 3)):
            size = (rows * units, columns * units)
            p = steps.plan(*size, units, 3 * units, 14 * units, itemsize, crowded, couriers)
            assert p.lanes == (8 if crowded and itemsize == 4 else 4) or p.n_held < size[0]
            assert p.shared <= limit
            assert p.threads <= 384
            assert p.threads % 32 == 0
            assert p.threads - couriers >= min(p.quarter * p.slices, 384 - couriers)
            assert 4 * p.quarter >= size[1]
            assert p.stride >= 4 * p.quarter
            assert (p.stride - p.quarter) % 32 == 0  # no bank conflict between slices
            assert 1 <= p.slices <= max(1, size[0])
            assert 0 <= p.n_held <= size[0]


def test_networks_of_the_papers_fit(steps: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    # 50 units of the 2D-LSTM, 80 of N-ReNet, on a GPU of compute capability 9.0: all rows in shared memory
    monkeypatch.setattr(steps, "shared_limit", lambda: 227 << 10)
    for crowded in (True, False):
        assert steps.plan(100, 250, 50, 100, 700, 4, crowded, 64).n_held == 100
        assert steps.plan(250, 100, 50, 150, 350, 4, crowded, 64).n_held == 250
        assert steps.plan(80, 320, 80, 80, 320, 4, crowded).n_held == 80
        assert steps.plan(320, 80, 80, 80, 0, 4, crowded).n_held == 320


def test_too_little_room(steps: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "shared_limit", lambda: 4096)
    with pytest.raises(ValueError, match="200 units: the states of a step do not fit in the 1024 values"):
        steps.plan(200, 600, 200, 200, 600, 4, False)


def test_layout(steps: ModuleType, cp: ModuleType) -> None:
    p = steps.plan(3, 10, 2, 2, 0, 8, False)
    matrix = np.arange(60.0).reshape(2, 3, 10)
    rows = steps.laid_out(cp.asarray(matrix), p).get()
    assert rows.shape == (2, 3, p.stride)
    np.testing.assert_array_equal(rows[..., :10], matrix)
    assert not rows[..., 10:].any()


def test_side_by_side(steps: ModuleType, cp: ModuleType) -> None:
    weight = np.arange(24.0).reshape(2, 3, 4)
    x = np.arange(6.0).reshape(2, 3)
    y = cp.matmul(cp.asarray(x), steps.side_by_side(cp.asarray(weight))).get()
    np.testing.assert_array_equal(y.reshape(2, 2, 4), np.stack([x @ weight[0], x @ weight[1]], 1))
