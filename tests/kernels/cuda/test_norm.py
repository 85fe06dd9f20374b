"""Sums over positions and channels on a GPU, or the stand-in, against the reference."""

from types import ModuleType

import numpy as np
import pytest

from lstm2d import kernels


def test_moments_of_many_rows(cp: ModuleType) -> None:
    norm = kernels.pick("norm", like=cp.zeros(1))
    rows = norm.CHUNK * norm.MAX_CHUNKS + 3  # so that each thread takes more of them
    x = np.zeros((1, rows, 1), np.float32)
    x[0, :3], x[0, -1] = 1, rows
    mean, var = norm.channel_moments(cp.asarray(x))
    assert mean.get()[0] == pytest.approx((3 + rows) / rows, rel=1e-12)
    np.testing.assert_allclose(var.get(), x.var(dtype=np.float64), rtol=1e-12)
