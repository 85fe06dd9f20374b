"""clip_normalise, which has no operation of its own."""

import numpy as np
import pytest

from lstm2d import kernels

BACKENDS = kernels.available("softmax")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clip_normalise_by_hand(backend: str, dtype: type) -> None:
    x = np.array([[[0.5, -0.25, 1.5], [0.0, -1.0, 0.0], [np.nan, 1.0, 1.0], [0.2, 0.3, 0.5]]], dtype)
    x.setflags(write=False)
    with kernels.use(backend):
        y = kernels.pick("softmax", like=x).clip_normalise(x)
    assert y.dtype == dtype
    third = np.array(1 / 3, dtype)
    np.testing.assert_allclose(y[0, [0, 1, 3]], [[0.25, 0, 0.75], [third] * 3, [0.2, 0.3, 0.5]], rtol=1e-6)
    assert np.isnan(y[0, 2]).all()
