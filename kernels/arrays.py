"""Types of the arrays that kernels take and return, and the layout that compiled loops need.

CuPy ships no types: to a type checker an array on a GPU is one of NumPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

FloatArray = NDArray[np.floating[Any]]  # float32 or float64
IntArray = NDArray[np.integer[Any]]
Sums = NDArray[np.float64]
Pair = tuple[int, int]  # for rows and columns


def contiguous(array: NDArray[Any], dtype: DTypeLike | None = None) -> NDArray[Any]:
    """Return an array as compiled loops read it: C-contiguous, each value at a multiple of its alignment.

    Memory that comes from a file need not be aligned, as `numpy.frombuffer` with an odd offset: C has no
    meaning for such a pointer, and the instructions that a compiler chooses may fail.

    Parameters
    ----------
    array : ndarray
        On the host.
    dtype : dtype, optional
        Data type of the result; that of the array by default.

    Returns
    -------
    ndarray
        The array itself if it is so already, else a copy. At least one axis.
    """
    array = np.ascontiguousarray(array, dtype)
    return array if array.flags.aligned else array.copy()
