"""What every compiled kernel asks of its arrays."""

from __future__ import annotations

import numpy as np

from lstm2d.kernels.arrays import FloatArray


def contiguous_floats(*arrays: FloatArray) -> tuple[FloatArray, ...]:
    """Return the arrays C-contiguous, copied only where they are not.

    Parameters
    ----------
    *arrays : ndarray
        All float32 or all float64.

    Returns
    -------
    tuple of ndarray
        In the same order.

    Raises
    ------
    TypeError
        If one has another data type, or they differ.
    """
    dtype = arrays[0].dtype
    if dtype not in (np.float32, np.float64) or any(a.dtype != dtype for a in arrays):
        raise TypeError(f"all float32 or all float64, got {', '.join(str(a.dtype) for a in arrays)}")
    return tuple(np.ascontiguousarray(a) for a in arrays)
