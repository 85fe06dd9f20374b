"""Steps of optimizers on a GPU, or the stand-in, against the reference."""

from types import ModuleType

import numpy as np
import pytest

from lstm2d import kernels


@pytest.mark.parametrize("n", [0, 1, 255, 257, 5000])
@pytest.mark.parametrize(("dtype", "rel"), [("float32", 1e-12), ("float64", 1e-13)])
def test_norm(cp: ModuleType, rng: np.random.Generator, n: int, dtype: str, rel: float) -> None:
    gradient = (1e30 * rng.standard_normal(n)).astype(dtype)
    update, found = kernels.pick("update", like=cp.zeros(1)), cp.asarray(gradient)
    norm = update.gradient_norm(found)
    assert type(norm) is float
    assert norm == pytest.approx(np.linalg.norm(gradient.astype(np.float64)), rel=rel)
    assert update.gradient_norm(found) == norm


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_seen(cp: ModuleType, bad: float) -> None:
    values = np.full((7, 300), 1e30, np.float32)
    update = kernels.pick("update", like=cp.zeros(1))
    assert update.is_finite(cp.asarray(values)) is True
    assert update.is_finite(cp.asarray(values[:0]))
    for place in ((0, 0), (3, 17), (6, 299)):
        spoilt = values.copy()
        spoilt[place] = bad
        assert update.is_finite(cp.asarray(spoilt)) is False
        assert not np.isfinite(update.gradient_norm(cp.asarray(spoilt)))


def test_vectors_of_another_length_are_refused(cp: ModuleType) -> None:
    w, longer = cp.zeros(3), cp.zeros(4)
    with pytest.raises(ValueError, match="not one value a weight"):
        kernels.pick("update", like=w).sgd_step(w, w, longer, None, None, 0.1, 1.0, 0.0, 0.9, 0.0)
