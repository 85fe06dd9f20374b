"""Matrices that are multiplied from the right many times, in the order in which gemm.h reads them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAST = 32  # bytes: fewer columns join the panel before them


def panels(b: NDArray[np.floating[Any]], size: int) -> NDArray[np.floating[Any]]:
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
        One panel after the other; for `product_panels` in gemm.pxd, which cuts in the same way.
    """
    *front, inner, columns = b.shape
    width, least = size // b.itemsize, LEAST // b.itemsize
    starts = list(range(0, max(1, columns - least + 1), width))
    cut = [
        b[..., j:k].reshape(*front, inner * (k - j))
        for j, k in zip(starts, [*starts[1:], columns], strict=True)
    ]
    return np.concatenate(cut, axis=-1)
