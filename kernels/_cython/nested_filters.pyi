from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]

def points(weight: FloatArray, threads: int) -> FloatArray: ...
def grad_taps(sums: FloatArray, shape: tuple[int, int, int, int], threads: int) -> FloatArray: ...
