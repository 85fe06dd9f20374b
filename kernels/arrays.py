"""Types of the arrays that kernels take and return.

CuPy ships no types: to a type checker an array on a GPU is one of NumPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]  # float32 or float64
IntArray = NDArray[np.integer[Any]]
Sums = NDArray[np.float64]
Pair = tuple[int, int]  # for rows and columns
