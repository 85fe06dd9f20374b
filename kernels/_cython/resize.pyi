from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
Taps = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]

def resample(x: FloatArray, rows: Taps, columns: Taps) -> FloatArray: ...
