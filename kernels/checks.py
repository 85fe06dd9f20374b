"""Argument checks shared by the fast kernels."""

from __future__ import annotations

import numpy as np

from lstm2d.kernels.arrays import FloatArray, contiguous


def contiguous_floats(*arrays: FloatArray) -> tuple[FloatArray, ...]:
    """Return C-contiguous, aligned arrays, copied only if needed.

    Parameters
    ----------
    *arrays : ndarray
        All float32 or all float64.

    Returns
    -------
    tuple of ndarray
        The arrays in the same order.

    Raises
    ------
    TypeError
        If a data type is another one, or they differ.
    """
    dtype = arrays[0].dtype
    if dtype not in (np.float32, np.float64) or any(a.dtype != dtype for a in arrays):
        raise TypeError(f"all float32 or all float64, got {', '.join(str(a.dtype) for a in arrays)}")
    return tuple(contiguous(a) for a in arrays)
