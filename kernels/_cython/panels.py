"""Matrices that are multiplied from the right many times, in the order in which gemm.h reads them."""

from __future__ import annotations

import numpy as np

from lstm2d.kernels.arrays import FloatArray

NARROWEST = 32  # bytes: fewer columns join the panel before them


def panels(b: FloatArray, size: int) -> FloatArray:
    """Return matrices with their columns cut into panels, each contiguous.

    Parameters
    ----------
    b : ndarray of shape (..., inner, columns)
        The matrices.
    size : int
        Bytes of a row of a panel: `panel_bytes` of gemm.pxd.

    Returns
    -------
    ndarray of shape (..., inner * columns)
        Panels one after the other, for `product_panels` in gemm.pxd, which cuts in the same way.
    """
    *front, inner, columns = b.shape
    width, narrowest = size // b.itemsize, NARROWEST // b.itemsize
    starts = list(range(0, max(1, columns - narrowest + 1), width))
    cut = [
        b[..., j:k].reshape(*front, inner * (k - j))
        for j, k in zip(starts, [*starts[1:], columns], strict=True)
    ]
    return np.concatenate(cut, axis=-1)
