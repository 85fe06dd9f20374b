"""Steps of optimizers: every backend on the host has the same bits as the reference."""

import numpy as np
import pytest

from lstm2d import kernels
from lstm2d.selftest import CASES, Case, evaluate, typed
from tests.selftest.comparison import bits

FAST = [backend for backend in kernels.available("update") if backend != "_reference"]
SCALARS = {"sgd_step": (0.7, 0.1, 0.9), "adadelta_step": (0.7, 0.1, 0.95, 1e-6)}
MEMORY = {"sgd_step": 1, "adadelta_step": 2}


@pytest.mark.parametrize("case", [c for c in CASES if c.family == "update"], ids=lambda case: case.name)
def test_same_bits_as_the_reference(case: Case) -> None:
    for dtype in (np.float32, np.float64):
        with kernels.use("_reference"):
            expected = evaluate(case, typed(dtype))
        for backend in FAST:
            with kernels.use(backend):
                assert bits(evaluate(case, typed(dtype))) == bits(expected)


@pytest.mark.parametrize("backend", kernels.available("update"))
def test_a_rate_of_zero_leaves_all_as_it_is(backend: str) -> None:
    for name, memory in MEMORY.items():
        weights, rates = np.array([1.0, 2.0]), np.array([0.0, 1.0])
        vectors = [np.zeros(2) for _ in range(memory)]
        clip, decay, *rest = SCALARS[name]
        with kernels.use(backend):
            function = getattr(kernels.pick("update", like=weights), name)
            function(weights, np.ones(2), *vectors, None, rates, 0.1, clip, decay, *rest, 0.0)
        assert weights[0] == 1
        assert weights[1] < 2
        assert all(v[0] == 0 and v[1] != 0 for v in vectors)


@pytest.mark.parametrize("backend", kernels.available("update"))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_norm_by_hand(backend: str, dtype: type) -> None:
    with kernels.use(backend):
        update = kernels.pick("update", like=None)
        assert update.gradient_norm(np.array([3.0, 0.0, -4.0], dtype)) == 5
        assert update.gradient_norm(np.zeros(0, dtype)) == 0
        assert update.gradient_norm(np.full(5, 2, dtype)[::2]) == pytest.approx(np.sqrt(12))
        assert update.gradient_norm(np.array([1.0, np.inf], dtype)) == np.inf
        assert np.isnan(update.gradient_norm(np.array([1.0, np.nan], dtype)))
        assert update.gradient_norm(np.array([3e30, 4e30], dtype)) == pytest.approx(5e30)
        assert type(update.gradient_norm(np.ones(3, dtype))) is float
    if dtype is np.float64:
        with kernels.use(backend):
            assert kernels.pick("update", like=None).gradient_norm(np.full(2, 1e200)) == np.inf


@pytest.mark.parametrize("n", [*range(20), 127, 128, 129, 136, 255, 1000, 16_384, (1 << 20) + 1, 3_000_007])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("backend", FAST)
def test_norm_has_the_bits_of_the_reference(backend: str, dtype: type, n: int) -> None:
    gradient = np.random.default_rng(n).standard_normal(n).astype(dtype)
    norms = set()
    for name in ("_reference", backend):
        with kernels.use(name):
            norms.add(kernels.pick("update", like=gradient).gradient_norm(gradient))
    assert len(norms) == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("backend", kernels.available("update"))
def test_is_finite(backend: str, bad: float) -> None:
    with kernels.use(backend):
        update = kernels.pick("update", like=None)
        for dtype in (np.float32, np.float64):
            values = np.full((50, 400), 1e30, dtype)
            assert update.is_finite(values) is True
            assert update.is_finite(values[:0])
            for place in ((0, 0), (25, 17), (49, 399)):
                spoilt = values.copy()
                spoilt[place] = bad
                assert update.is_finite(spoilt) is False


@pytest.mark.parametrize("backend", FAST)
def test_wrong_vectors_are_refused(backend: str) -> None:
    w, g = np.ones(3), np.ones(3)
    with kernels.use(backend):
        update = kernels.pick("update", like=w)
        with pytest.raises(ValueError, match="not one value a weight"):
            update.sgd_step(w, g, np.ones(4), None, None, 0.1, 1.0, 0.0, 0.9, 0.0)
        for vectors in (
            (g[:0], g, None, None),
            (g, g[:0], None, None),
            (g, g, g[:0], None),
            (g, g, None, g[:0]),
        ):
            with pytest.raises(ValueError, match="not one value a weight"):
                update.sgd_step(w, *vectors, 0.1, 1.0, 0.0, 0.9, 0.0)
        unaligned = np.frombuffer(bytearray(25), np.float64, offset=1)
        with pytest.raises(ValueError, match="not aligned"):
            update.sgd_step(w, g, unaligned, None, None, 0.1, 1.0, 0.0, 0.9, 0.0)
        with pytest.raises(ValueError, match="not C-contiguous"):  # a copy would be changed, not the array
            update.sgd_step(np.ones(6)[::2], g, w, None, None, 0.1, 1.0, 0.0, 0.9, 0.0)
        with pytest.raises((ValueError, TypeError), match=r"mismatch|all float32 or all float64"):
            update.sgd_step(w, np.ones(3, np.float32), w, None, None, 0.1, 1.0, 0.0, 0.9, 0.0)
    assert w.tolist() == [1, 1, 1]
